"""KEY=VALUE lines as systemd and a shell both read them; parsed, never sourced."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.settings.env_file import Malformed, parse

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=30)
PUNCTUATED = st.text(" \t\n'\"\\$`#;=abc", max_size=20)


def values(text):
    return {name: value for name, (value, _line) in parse(text).items()}


@pytest.mark.parametrize(
    "line, value",
    [
        ("A=", ""),
        ("A=x y", "x y"),
        ("A=\tx  ", "x"),
        ("  A =x", "x"),
        ("export A=x", "x"),
        ("  export\tA=x", "x"),
        ("A=https://hh.ru/?a=1&b=2", "https://hh.ru/?a=1&b=2"),
        ("A=App/1.0 (me@example.com)", "App/1.0 (me@example.com)"),
        ("A=x # comment", "x"),
        ("A= # comment", ""),
        ("A=x#y", "x#y"),
        ("A=#y", "#y"),
        ("A=x;y", "x;y"),
        ('A=""', ""),
        ('A=" x " ', " x "),
        ("A=' x '", " x "),
        ('A="x # y" # comment', "x # y"),
        ("A='x # y'", "x # y"),
        ('A="it\'s"', "it's"),
        ("A='say \"x\"'", 'say "x"'),
        ('A="a\\"b\\\\"', 'a"b\\'),
        ('A="a\\$b\\`c"', "a$b`c"),
        ('A="a\\nb"', "a\\nb"),
        ('A="a\\\nb"', "ab"),
        ("A='a\nb'", "a\nb"),
        ("A='a\\b'", "a\\b"),
        ("A=a\\ b", "a b"),
        ("A=a\\\nb", "ab"),
        ("A=x\\ ", "x "),
        ("A=a\\ #b", "a #b"),
        ("A='a'b\"c\"", "abc"),
        ('A="$HOME `id` $(id)"', "$HOME `id` $(id)"),
        ("A=%s", "%s"),
        ("A=значение", "значение"),
    ],
    ids=ascii,
)
def test_a_value_is_read_as_the_two_readers_do(line, value):
    for text in (line, line + "\n", "\n" + line, "B=1\n" + line, f"A=overruled\n{line}\nC=2"):
        assert values(text)["A"] == value
    assert values(f"\ufeff{line}\r\nC=2")["C"] == "2"


@pytest.mark.parametrize(
    "text, line",
    [
        ("canary", 1),
        (" =x", 1),
        ("1A=x", 1),
        ("A B=x", 1),
        ("A-B=x", 1),
        ("ЯA=x", 1),
        ("export A", 1),
        ('"A"=x', 1),
        ("\0=x", 1),
        ("A=1\n\n# c\nB", 4),
        ("A='1\n2\n3'\nB", 4),
        ('A="1\\\n2"\nB', 3),
        ("A=1\\\n2\nB", 3),
        ("A=1\r\nB=2\r\nC", 3),
        ("A=1\nB='canary\n\n\n", 2),
        ('A="x\\"', 1),
        ("A=1\nB=x\0y\nC", 2),
    ],
    ids=ascii,
)
def test_a_line_that_cannot_be_read_is_named_and_not_repeated(text, line):
    with pytest.raises(Malformed) as caught:
        parse(text)
    assert caught.value.line == line
    assert str(caught.value) == f"line {line} is not KEY=VALUE"


@pytest.mark.parametrize("text", ["", "\n\n  \n\t\n", "  # A=x\n\t; A=x", "\ufeff# it's \"open\r\n"], ids=ascii)
def test_blanks_and_comments_hold_nothing(text):
    assert parse(text) == {}


def test_every_value_knows_its_line():
    assert parse("# c\r\n\r\nA='1\r\n2'\r\nexport=3\\\n4\n_=5\nA=6") == {
        "A": ("6", 8),
        "export": ("34", 5),
        "_": ("5", 7),
    }


@QUICK
@given(st.dictionaries(NAMES, VALUES | PUNCTUATED, max_size=4))
def test_what_is_quoted_for_a_shell_or_for_systemd_reads_back_the_same(settings):
    def quoted(value):
        return '"' + "".join("\\" + one if one in '"\\$`' else one for one in value) + '"'

    assert values("\n".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())) == settings
    assert values("\r\n".join(f"export {name}={quoted(value)} # it's" for name, value in settings.items())) == settings


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
