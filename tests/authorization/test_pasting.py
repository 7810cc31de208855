"""Lines that come in while other things are waited for: on the real standard input of this process."""

import os
import pty

import pytest

from hhtoken.authorization import pasting
from hhtoken.errors import UsageError


@pytest.fixture
def standard_input():
    """A function that puts a descriptor in the place of standard input."""
    before = os.dup(0)
    yield lambda descriptor: os.dup2(descriptor, 0)
    os.dup2(before, 0)
    os.close(before)


@pytest.fixture
def typing(standard_input):
    """The descriptor to write to, of a pipe that is standard input."""
    reading, writing = os.pipe()
    standard_input(reading)
    os.close(reading)
    yield writing
    os.close(writing)


def test_lines_come_when_they_are_whole_and_empty_ones_not_at_all(typing):
    lines = pasting.Lines()
    os.write(typing, b"one\n\n  \ntw")
    assert lines.read() == [b"one"]
    os.write(typing, b"o\n")
    assert lines.read() == [b"two"]


def test_a_line_without_an_end_is_given_up_once_no_code_is_as_long(typing):
    lines, found = pasting.Lines(), []
    os.write(typing, b"x" * (pasting.LONGEST_INPUT_BYTES + 1))
    while not found:
        found = lines.read()
    with pytest.raises(UsageError, match="neither a code nor an address"):
        pasting.clean(found[0])
    os.write(typing, b"fresh\n")
    assert lines.read() == [b"fresh"]


def test_an_input_that_ends_or_cannot_be_read_brings_nothing_more(standard_input):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        descriptor = os.open(os.devnull, flags)
        standard_input(descriptor)
        os.close(descriptor)
        with pytest.raises(EOFError):
            pasting.Lines().read()


def test_a_terminal_that_does_not_control_this_process_may_be_read(standard_input):
    ours, theirs = pty.openpty()
    standard_input(theirs)
    try:
        assert pasting.is_ours()
    finally:
        os.close(theirs)
        os.close(ours)
