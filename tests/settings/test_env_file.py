"""KEY=VALUE lines as systemd and a shell both read them; parsed, never sourced."""

import shlex
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SLOW

from hhtoken.settings import env_file
from hhtoken.settings.env_file import Malformed, parse

QUICK = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=SLOW)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=30)
PUNCTUATED = st.text(" \t\n'\"\\$`#;=abc", max_size=20)


def values(text):
    return {name: value for name, (value, _line) in parse(text).items()}


@pytest.mark.parametrize(
    "line, value",
    [
        ("A=", ""),
        ("A=x", "x"),
        ("A=x y", "x y"),
        ("A=  x  ", "x"),
        ("A=\tx\t", "x"),
        ("  A=x", "x"),
        ("A =x", "x"),
        ("export A=x", "x"),
        ("export\tA=x", "x"),
        ("  export   A=x", "x"),
        ("A=a=b=c", "a=b=c"),
        ("A=https://hh.ru/?a=1&b=2", "https://hh.ru/?a=1&b=2"),
        ("A=App/1.0 (me@example.com)", "App/1.0 (me@example.com)"),
        ("A=x # comment", "x"),
        ("A=x\t# comment", "x"),
        ("A= # comment", ""),
        ("A=x#y", "x#y"),
        ("A=#y", "#y"),
        ("A=x;y", "x;y"),
        ('A="x"', "x"),
        ("A='x'", "x"),
        ('A=""', ""),
        ("A=''", ""),
        ('A=" x "', " x "),
        ("A=' x '", " x "),
        ('A="x" ', "x"),
        ('A="x" # comment', "x"),
        ('A="x # y"', "x # y"),
        ("A='x # y'", "x # y"),
        ('A="x; y"', "x; y"),
        ('A="it\'s"', "it's"),
        ("A='say \"x\"'", 'say "x"'),
        ('A="a\\"b"', 'a"b'),
        ('A="a\\\\b"', "a\\b"),
        ('A="a\\$b\\`c"', "a$b`c"),
        ('A="a\\nb"', "a\\nb"),
        ('A="a\\\nb"', "ab"),
        ('A="a\nb"', "a\nb"),
        ("A='a\nb'", "a\nb"),
        ("A='a\\b'", "a\\b"),
        ("A=a\\ b", "a b"),
        ("A=a\\\\b", "a\\b"),
        ("A=a\\\nb", "ab"),
        ("A=x\\ ", "x "),
        ("A=a\\#b", "a#b"),
        ("A=a\\ #b", "a #b"),
        ("A='a'b\"c\"", "abc"),
        ("A=$HOME", "$HOME"),
        ('A="$HOME `id` $(id)"', "$HOME `id` $(id)"),
        ("A=`id`", "`id`"),
        ("A=%s", "%s"),
        ("A=значение", "значение"),
        ("A=x\\", "x\\"),
    ],
    ids=ascii,
)
def test_a_value_is_read_as_the_two_readers_do(line, value):
    for text in (line, line + "\n", "\n" + line, "B=1\n" + line):
        if not (line.endswith("\\") and text.endswith("\n")):
            assert values(text)["A"] == value
    if not line.endswith("\\"):
        assert values(line + "\nC=2")["C"] == "2"


@pytest.mark.parametrize("name", ["A", "_", "_A", "a1", "HH_CLIENT_ID", "export", "exported"])
def test_a_name_is_what_a_shell_takes(name):
    assert values(f"{name}=x") == {name: "x"}


@pytest.mark.parametrize(
    "text, line",
    [
        ("A", 1),
        ("=x", 1),
        (" =x", 1),
        ("1A=x", 1),
        ("A B=x", 1),
        ("A-B=x", 1),
        ("A.B=x", 1),
        ("ЯA=x", 1),
        ("export A", 1),
        ('"A"=x', 1),
        ("\0=x", 1),
        ("A=1\nB", 2),
        ("A=1\n\n# c\nB", 4),
        ("A='1\n2\n3'\nB", 4),
        ('A="1\\\n2"\nB', 3),
        ("A=1\\\n2\nB", 3),
        ("A=1\r\nB=2\r\nC", 3),
        ("A='x", 1),
        ('A="x', 1),
        ("A=1\nB='x\n\n\n", 2),
        ('A="x\\"', 1),
        ("A=it's", 1),
        ("A=1\nB=x\0y\nC", 2),
        ("A='1\n\0'", 2),
    ],
    ids=ascii,
)
def test_a_line_that_cannot_be_read_is_named(text, line):
    with pytest.raises(Malformed) as caught:
        parse(text)
    assert caught.value.line == line
    assert str(caught.value) == f"line {line} is not KEY=VALUE"


def test_a_broken_line_is_not_repeated():
    with pytest.raises(Malformed) as caught:
        parse("canary")
    assert "canary" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n  \n\t\n",
        "# A=x",
        "; A=x",
        "  # A=x\n\t; A=x",
        "#",
        "\ufeff",
        "\ufeff# A=x",
        "\r\n",
        "# it's \"open\n",
    ],
    ids=ascii,
)
def test_blanks_and_comments_hold_nothing(text):
    assert parse(text) == {}


@pytest.mark.parametrize("text", ["\ufeffA=1\r\nB=2\r\n", "A=1\rB=2", "A=1\nB=2", "\n\nA=1\n\n#c\nB=2\n\n"], ids=ascii)
def test_every_kind_of_line_end_and_a_bom_are_read(text):
    assert values(text) == {"A": "1", "B": "2"}


def test_the_last_of_several_counts():
    assert parse("A=1\nB=2\nA=3\n") == {"A": ("3", 3), "B": ("2", 2)}


@pytest.mark.parametrize(
    "text, lines",
    [
        ("A=1\nB=2", [1, 2]),
        ("# c\n\nA=1\nB=2", [3, 4]),
        ("\nA=1\nB=2", [2, 3]),
        ("A='1\n2'\nB=2", [1, 3]),
        ("A=1\\\n2\nB=2", [1, 3]),
        ("A=1 # c\r\nB=2", [1, 2]),
    ],
)
def test_every_value_knows_its_line(text, lines):
    assert [line for _value, line in parse(text).values()] == lines


@QUICK
@given(st.dictionaries(NAMES, VALUES | PUNCTUATED, max_size=4))
def test_what_a_shell_quotes_reads_back_the_same(settings_):
    text = "\n".join(f"{name}={shlex.quote(value)}" for name, value in settings_.items())
    assert values(text) == settings_


@QUICK
@given(st.dictionaries(NAMES, VALUES | PUNCTUATED, max_size=4))
def test_what_is_quoted_for_systemd_reads_back_the_same(settings_):
    def quoted(value):
        return '"' + "".join("\\" + one if one in '"\\$`' else one for one in value) + '"'

    text = "\r\n".join(f"export {name}={quoted(value)} # it's" for name, value in settings_.items())
    assert values(text) == settings_


@QUICK
@given(NAMES, st.text(string.ascii_letters + string.digits + "-._~:/?&=+%@!,()[]{}<>|*^$`;", max_size=30))
def test_a_bare_value_without_spaces_and_quotes_is_itself(name, value):
    assert values(f"{name}={value}") == {name: value}


@QUICK
@given(st.text(max_size=60) | st.text("A=B\"'\\\n\r# ;\texport_1", max_size=40))
def test_arbitrary_text_is_settings_or_malformed(text):
    try:
        found = parse(text)
    except Malformed as error:
        assert 1 <= error.line <= text.count("\n") + text.count("\r") + 1
        return
    assert all(isinstance(value, str) and line >= 1 for value, line in found.values())
    assert all(name.isascii() and name.isidentifier() for name in found)


def test_a_large_file_is_read_quickly():
    text = "".join(f"A{n}=x\n" for n in range(8000))
    assert len(text) < 100_000
    assert len(env_file.parse(text)) == 8000
