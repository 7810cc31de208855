"""The command line: what a mistake is told, and the help text."""

import pytest

from hhtoken.commands.parser import COMMANDS

RUSSIAN = {"LC_ALL": "ru_RU.UTF-8"}


@pytest.mark.parametrize(
    "words, said",
    [
        ("statsu", "unknown command statsu; did you mean status?"),
        ("help statsu", "unknown command statsu; did you mean status?"),
        ("logot", "unknown command logot; did you mean logout?"),
        ("--state-dir status statsu", "unknown command statsu; did you mean status?"),
        ("quux", "unknown command quux"),
        ("--accont bob show", "unknown option --accont; did you mean --account?"),
        ("show --feild=SECRET", "unknown option --feild; did you mean --field?"),
        ("refresh --wait 3 --forse", "unknown option --forse; did you mean --force?"),
        ("refresh --account=bob --quux", "unknown option --quux"),
        ("refresh now", "unexpected argument now"),
        ("show SECRET", "unexpected argument"),
        ("SECRET", "unknown command"),
        ("show --SECRET", "unknown option"),
        ("s3cr3t", "unknown command"),
        ("status --json=SECRET", "argument --json: takes no value"),
        ("", "no command given"),
        ("--account bob", "no command given"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant_unless_it_may_be_a_secret(lonely, words, said):
    run = lonely.run(*words.split(), expect=2)
    assert f"hhtoken: error: {said}\n" in run.stderr
    hint = run.stderr.partition("hint: type 'hhtoken ")[2].partition("'")[0]
    assert lonely.run(*hint.split()).stdout.startswith("usage: hhtoken ")


def test_help_is_asked_for_in_any_way_that_people_try(lonely):
    overview = lonely.run("--help").stdout
    for words in ("help", "-h", "-h show", "--account a help", "help --account a"):
        assert lonely.run(*words.split()).stdout == overview
    for words in ("help show", "show -h", "--account a show --help", "help --account a show"):
        assert lonely.run(*words.split()).stdout.startswith("usage: hhtoken show ")
    assert lonely.run("-V").stdout == lonely.run("--version").stdout == lonely.run("-V", "show").stdout


def test_logout_is_another_word_for_revoke(lonely):
    for words in (["logout"], ["revoke"]):
        assert "not logged in" in lonely.run(*words, expect=77).stderr


@pytest.mark.parametrize("environment", [{}, RUSSIAN])
def test_help_has_each_command_in_a_group_and_fits_a_terminal(lonely, environment):
    lines = lonely.run("help", COLUMNS="80", **environment).stdout.splitlines()
    assert max(map(len, lines)) < 80 and any("man hhtoken" in line for line in lines)
    headings = [number for number, line in enumerate(lines) if line.endswith(":") and not line.startswith(" ")]
    assert len(headings) == 5, "four groups, and the options"
    for name in COMMANDS:
        [place] = [number for number, line in enumerate(lines) if line.startswith(f"  {name} ")]
        assert headings[0] < place < headings[-1]
        shown = lonely.run(name, "--help", COLUMNS="80", **environment).stdout
        assert max(map(len, shown.splitlines())) < 80, shown
