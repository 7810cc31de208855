"""What a reader is promised: one version, one section of CHANGELOG.md for it, no address of anybody else's project."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from support import ROOT

from hhtoken import __version__
from hhtoken.settings.settings import DEFAULTS

CITED = {"hhru/api", "scop/bash-completion", "tqdm/shtab", "zsh-users/zsh-completions"}
REPOSITORY = re.compile(rb"\b(?:github|gitlab|bitbucket|codeberg)\.(?:com|org)[:/]([\w.-]+/[\w.-]+)")
GENERATED = {
    ".coverage",
    ".git",
    ".hypothesis",
    ".mutants",
    ".venv",
    ".venv-debian",
    "build",
    "dist",
    "hhtoken.egg-info",
}


def sources():
    for path in ROOT.iterdir():
        if path.name not in GENERATED:
            yield from (file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def test_the_only_repositories_named_are_sources_that_are_cited():
    named = {found.decode() for path in sources() for found in REPOSITORY.findall(path.read_bytes())}
    assert named == CITED


def test_the_default_user_agent_names_the_program_alone():
    assert DEFAULTS["HH_USER_AGENT"] == f"hhtoken/{__version__}"


def test_the_changelog_has_one_section_which_is_this_version():
    assert re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.M) == [__version__]


def test_the_debian_package_has_this_version():
    assert (ROOT / "debian" / "changelog").read_text().startswith(f"hhtoken ({__version__}) ")
    assert f"./hhtoken_{__version__}_all.deb" in (ROOT / "docs" / "install.md").read_text()


# -- sdist and wheel --

IN_THE_WHEEL = (
    "share/bash-completion/completions/hhtoken",
    "share/fish/vendor_completions.d/hhtoken.fish",
    "share/man/man1/hhtoken.1",
    "share/man/ru/man1/hhtoken.1",
    "share/zsh/site-functions/_hhtoken",
)


def build(kind, source, target):
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=source, check=True, timeout=100, capture_output=True, text=True)
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout, since setuptools leaves files of its own where it builds."""
    target = tmp_path_factory.mktemp("copy") / "hhtoken"
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*GENERATED, "__pycache__", ".pytest_cache"))
    return target


def test_the_sdist_holds_the_whole_checkout(copy, tmp_path):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a checkout of git's")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    with tarfile.open(build("sdist", copy, tmp_path)) as archive:
        held = {name.partition("/")[2]: archive.getmember(name) for name in archive.getnames()}
    assert wanted - held.keys() == set()
    for name in wanted:
        assert held[name].mode & 0o100 == (ROOT / name).stat().st_mode & 0o100, name


def test_the_wheel_holds_the_program_the_translations_the_manual_and_the_completions(copy, tmp_path):
    with zipfile.ZipFile(build("wheel", copy, tmp_path)) as archive:
        held = [re.sub(r"^hhtoken-[^/]+\.data/data/", "", name) for name in archive.namelist()]
    own = sorted(name for name in held if not re.match(r"hhtoken-[^/]+\.dist-info/", name))
    modules = [path.relative_to(copy) for path in (copy / "hhtoken").rglob("*") if path.suffix in (".py", ".mo")]
    assert own == sorted([*map(str, modules), *IN_THE_WHEEL])
