"""The lock: one holder at a time, on a real file."""

import os

import pytest

from hhtoken.errors import TryLaterError
from hhtoken.store import file_lock
from hhtoken.store.private_directory import open_directory


@pytest.fixture
def directory(tmp_path):
    return open_directory(str(tmp_path / "state"), create=True)


def test_the_holder_is_named_while_it_holds_the_lock_and_not_after(directory, monkeypatch):
    path = os.path.join(directory.path, ".lock")
    with file_lock.held(directory, ".lock"):
        with open(path) as note:
            assert note.read() == f"{os.getpid()}\n"
        monkeypatch.setattr(file_lock, "LOCK_WAIT_SECONDS", 0.05)
        with pytest.raises(TryLaterError, match=f"process {os.getpid()} has held the lock") as raised:
            with file_lock.held(directory, ".lock"):
                pass
        assert f"ps -fp {os.getpid()}" in raised.value.hint
    assert os.path.getsize(path) == 0
    with file_lock.held(directory, ".lock"):
        pass


def test_a_holder_that_left_no_note_can_still_be_looked_up(directory, monkeypatch):
    monkeypatch.setattr(file_lock, "LOCK_WAIT_SECONDS", 0)
    with file_lock.held(directory, ".lock"):
        os.truncate(os.path.join(directory.path, ".lock"), 0)
        with pytest.raises(TryLaterError, match="another process has held the lock") as raised:
            with file_lock.held(directory, ".lock"):
                pass
    assert "fuser -v" in raised.value.hint
