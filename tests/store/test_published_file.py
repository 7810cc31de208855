"""The published access token: at each new pair, for a group, whole; and never worth a failure of what matters."""

import contextlib
import json
import os
import subprocess
import tempfile

import pytest
from conftest import PROGRAM, come_back, obtain_pair, refreshes, wait_for
from support import PAIR

from hhtoken import errors
from hhtoken.pair import pair_from_answer
from hhtoken.store import published_file
from hhtoken.store.private_directory import open_directory
from hhtoken.store.token_store import open_store

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change groups and mount")


@pytest.fixture
def place(tmp_path):
    """The directory of the published file."""
    directory = tmp_path / "run"
    directory.mkdir(mode=0o710)
    return directory


@pytest.fixture
def published(place, operator, lonely):
    """The published file; both operators have it in their settings."""
    path = place / "access_token"
    operator.environment["HHTOKEN_PUBLISH"] = lonely.environment["HHTOKEN_PUBLISH"] = str(path)
    return path


def backup_of(operator, sandbox):
    path = operator.state.parent / "backup.json"
    path.write_text(json.dumps(obtain_pair(sandbox)))
    path.chmod(0o600)
    return path


WAYS = {
    "refresh": lambda operator, sandbox: operator.run("refresh"),
    "show": lambda operator, sandbox: operator.run("show", "--refresh"),
    "exec": lambda operator, sandbox: operator.run("exec", "true"),
    "exchange": lambda operator, sandbox: operator.run("exchange", input=come_back(operator)),
    "import": lambda operator, sandbox: operator.run("import", backup_of(operator, sandbox)),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_new_pair_is_published_and_nothing_else_of_it(operator, sandbox, expired, published, way):
    assert not published.exists()
    WAYS[way](operator, sandbox)
    assert published.read_text() == operator.stored()["access_token"] + "\n"
    assert published.stat().st_mode & 0o7777 == 0o640 and os.listdir(published.parent) == [published.name]
    assert operator.stored()["access_token"] != json.loads(expired)["access_token"]


def test_a_refresh_with_nothing_due_publishes_what_is_missing_or_stale_and_else_writes_nothing(lonely, published):
    lonely.store(PAIR, left=1000, life=1000)
    lonely.run("refresh")
    assert published.read_text() == "ACCESS\n"
    before = published.stat()
    lonely.run("refresh")
    assert published.stat() == before, "nothing was written"
    lonely.store({**PAIR, "access_token": "OTHER"}, left=1000, life=1000)
    lonely.run("refresh")
    assert published.read_text() == "OTHER\n"
    published.unlink()
    lonely.run("refresh")
    assert published.read_text() == "OTHER\n"
    published.unlink()
    published.symlink_to(lonely.token_file)
    lonely.run("refresh")
    assert not published.is_symlink() and published.read_text() == "OTHER\n"
    assert lonely.token_file.stat().st_mode & 0o777 == 0o600


def test_a_refresh_publishes_before_it_waits(lonely, published):
    lonely.store(PAIR, left=40, life=1000)
    process = lonely.start("refresh", "--wait", "60")
    wait_for(published.exists)
    process.terminate()
    process.communicate(timeout=10)


def link(place):
    place.rename(place.parent / "real")
    place.symlink_to(place.parent / "real")


TROUBLES = {
    "there is no directory": lambda place: place.rmdir(),
    "others may write": lambda place: place.chmod(0o777),
    "name a file in a directory of its own": lambda place: place.chmod(0o1777),
    "not a directory of its own": link,
    "is a directory": lambda place: (place / "access_token").mkdir(),
    "install -d -m 2710": lambda place: (place.rmdir(), place.write_text("")),
}


@pytest.mark.parametrize("why", TROUBLES)
def test_trouble_is_a_warning_with_a_hint_and_no_failure_and_is_mended_by_the_next_run(
    operator, sandbox, expired, place, published, why
):
    TROUBLES[why](place)
    said = operator.run("refresh").stderr
    assert "hhtoken: warning: the access token is not published: " in said and why in said
    assert "hhtoken: hint: " in said and "renewed the pair" in said
    assert operator.files() == [".lock", "last-refresh.json", "token.json"]
    assert operator.run("refresh").stderr == said[: said.index("hhtoken: renewed")], "an own attempt each time"
    subprocess.run(["rm", "-rf", str(place)], check=True)
    place.mkdir(mode=0o700)
    assert operator.run("refresh").stderr == ""
    assert published.read_text() == operator.stored()["access_token"] + "\n"
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("setting", ["access_token", "relative/access_token", "/", "/run/"])
def test_a_setting_that_names_no_file_is_78_before_anything_is_sent(operator, sandbox, expired, setting):
    said = operator.run("refresh", HHTOKEN_PUBLISH=setting, expect=78).stderr
    assert "HHTOKEN_PUBLISH (environment) is not the absolute path of a file" in said
    operator.run("--account", "alice", "exchange", HHTOKEN_PUBLISH=setting, input="CODE", expect=78)
    assert refreshes(sandbox) == 0 and operator.token_file.read_bytes() == expired


@AS_ROOT
def test_the_directory_decides_owner_and_group(operator, sandbox, expired, place, published):
    for path, group in ((place, 4343), (operator.state, 4242), (operator.token_file, 4242)):
        os.chown(path, 4242, group)
    operator.run("refresh")
    status = published.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (4242, 4343, 0o640)


def as_service(function):
    """Run a function in a child that is user 4242 of group 4242 alone; return what it raised, as text, or ''."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(4242, 4242, 4242)
            os.setresuid(4242, 4242, 4242)
            function()
        except errors.Error as error:
            os.write(writer, f"{error.message}; {error.hint}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as told:
        return told.read()


@AS_ROOT
def test_a_service_needs_a_setgid_directory_for_a_group_that_it_is_not_in():
    with tempfile.TemporaryDirectory() as place:  # not tmp_path, which only root may enter
        os.chown(place, 4242, 4343)
        os.chmod(place, 0o710)
        path = os.path.join(place, "access_token")
        told = as_service(lambda: published_file.publish(path, "ACCESS", 1, 4242))
        assert f"type: chmod g+s {place}" in told and not os.path.exists(path)
        os.chmod(place, 0o2710)
        assert as_service(lambda: published_file.publish(path, "ACCESS", 1, 4242)) == ""
        assert (os.stat(path).st_gid, os.stat(path).st_mode & 0o7777) == (4343, 0o640)


def test_who_is_not_in_the_group_of_the_directory_cannot_give_it_to_a_file(place, monkeypatch):
    with contextlib.closing(open_directory(str(place))) as directory:
        monkeypatch.setattr(os, "geteuid", lambda: 1)
        for group, is_refused in ((place.stat().st_gid, False), (place.stat().st_gid + 1, True)):
            monkeypatch.setattr(os, "getegid", lambda group=group: group)
            monkeypatch.setattr(os, "getgroups", list)
            with pytest.raises(errors.StorageError) if is_refused else contextlib.nullcontext() as caught:
                published_file._require_group(directory)
    assert caught.value.hint == f"type: chmod g+s {place}"


def test_a_link_is_no_published_token(place):
    (place / "access_token").symlink_to(place / "another")
    with pytest.raises(errors.StorageError, match="cannot read .*access_token: too many levels of symbolic links"):
        published_file.read(str(place / "access_token"))


def test_a_pair_that_comes_while_an_older_one_is_published_wins(lonely, published, monkeypatch):
    """The look without the lock may read, then be overtaken by a peer that stores and publishes."""
    lonely.store(PAIR, left=1000, life=1000)
    store = open_store(str(lonely.state), published=str(published))
    publish, newer = published_file.publish, pair_from_answer({**PAIR, "access_token": "NEWER"}, 1)
    overtaken = []

    def slow_publish(path, token, *more):
        if not overtaken:
            overtaken.append(token)
            open_store(str(lonely.state), published=str(published)).save(newer)
        publish(path, token, *more)

    monkeypatch.setattr(published_file, "publish", slow_publish)
    store.publish()
    assert overtaken == ["ACCESS"] and published.read_text() == "NEWER\n"


def test_each_account_has_a_published_file_of_its_own(operator, sandbox, published):
    operator.run("import", backup_of(operator, sandbox), "--account", "second")
    assert not published.exists()
    second = published.with_name("access_token-second")
    assert second.exists()
    operator.store(PAIR, left=1000, life=1000)
    token = second.read_text()
    second.unlink()
    operator.run("refresh", "--all")
    assert (published.read_text(), second.read_text()) == ("ACCESS\n", token)


def test_it_is_withdrawn_without_a_trace_or_with_a_warning(lonely, published, place, capfd):
    lonely.store(PAIR, left=1000, life=1000)
    store = open_store(str(lonely.state), published=str(published))
    for _ in range(2):
        store.publish()
        assert published.exists()
        store.unpublish()
        assert os.listdir(place) == []
    store.publish()
    place.chmod(0o777)
    store.unpublish()
    assert "still published" in capfd.readouterr().err and published.exists()


INSIDE = {
    "in place": "{state}/token.json",
    "of an account": "{state}/accounts/alice/token.json",
    "through dots": "{above}/nowhere/../state/../state/token.json",
    "through a link": "{above}/link/token.json",
    "under another mount": "{above}/mounted/token.json",
}


@AS_ROOT
@pytest.mark.parametrize("place", INSIDE)
def test_a_file_in_the_state_directory_is_refused_before_anything_is_spent(operator, sandbox, expired, tmp_path, place):
    (tmp_path / "link").symlink_to(operator.state)
    (tmp_path / "mounted").mkdir()
    mount = ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh"]
    program = [*mount, str(operator.state), str(tmp_path / "mounted"), *PROGRAM]
    inside = INSIDE[place].format(state=operator.state, above=tmp_path)
    for command in (["refresh"], ["show", "--refresh"], ["exec", "true"], ["refresh", "--all"]):
        said = operator.run(*command, expect=errors.CONFIG, program=program, HHTOKEN_PUBLISH=inside).stderr
        assert "HHTOKEN_PUBLISH" in said and "hhtoken: hint: " in said
    assert operator.token_file.read_bytes() == expired and refreshes(sandbox) == 0


def test_the_settings_file_is_never_replaced_by_the_token(operator, sandbox, expired, tmp_path):
    settings = tmp_path / "settings.env"
    settings.write_text(f"HHTOKEN_PUBLISH={settings}\n")
    assert "HHTOKEN_PUBLISH" in operator.run("--env-file", settings, "refresh", expect=errors.CONFIG).stderr
