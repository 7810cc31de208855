"""What a reader is promised: one version, one section of CHANGELOG.md for it, no address of anybody else's project."""

import re
from pathlib import Path

from hhtoken import __version__, config

ROOT = Path(__file__).parent.parent
CITED = {"hhru/api", "scop/bash-completion", "tqdm/shtab", "zsh-users/zsh-completions"}
REPOSITORY = re.compile(rb"\b(?:github|gitlab|bitbucket|codeberg)\.(?:com|org)[:/]([\w.-]+/[\w.-]+)")
GENERATED = {".git", ".venv", "build", "dist", "hhtoken.egg-info"}


def sources():
    for path in ROOT.iterdir():
        if path.name not in GENERATED:
            yield from (file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def test_the_only_repositories_named_are_sources_that_are_cited():
    named = {found.decode() for path in sources() for found in REPOSITORY.findall(path.read_bytes())}
    assert named == CITED


def test_the_default_user_agent_names_the_program_alone():
    assert config.DEFAULTS["HH_USER_AGENT"] == f"hhtoken/{__version__}"


def test_the_changelog_has_one_section_which_is_this_version():
    assert re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.M) == [__version__]
