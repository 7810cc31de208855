"""``hhtoken init``: ask for the settings, check each, and write them where the other commands look for them."""

import os
import re
import stat
import tempfile

from hhtoken import __version__, errors
from hhtoken.console import hints, reporting, terminal
from hhtoken.console.language import _
from hhtoken.settings import env_file
from hhtoken.settings.settings import APPLICATION_PAGE, Settings
from hhtoken.store.private_directory import LARGEST_FILE_BYTES, THROUGH_LINKS, read_regular, storage_error
from hhtoken.text import N_

SUMMARY = N_("set up: ask for the client ID, the secret, the redirect URI and an e-mail address, and write them down")

LOOPBACK_REDIRECT_URI = "http://127.0.0.1:8000/callback"
PLAIN_VALUE = re.compile(r"[\w./:@%+,=~?&-]+", re.ASCII)  # means the same to systemd and to a shell without quotes


def add_arguments(parser):
    parser.add_argument("--client-id", metavar="ID", help=_("do not ask for it"))
    parser.add_argument("--redirect-uri", metavar="URI", help=_("do not ask for it"))
    parser.add_argument("--email", metavar=_("ADDRESS"), help=_("do not ask for it; HeadHunter wants a contact"))


def run(arguments):
    path = _path(arguments)
    hints.repeat({"--env-file": getattr(arguments, "env_file", None)})
    content = _read(path)
    known = {name: value for name, (value, _line) in _parsed(content, path).items()}
    if terminal.is_interactive():
        reporting.message(N_("the client ID and the secret are on {page}", page=APPLICATION_PAGE))
    chosen = {
        "HH_CLIENT_ID": _answer(N_("client ID"), _client_id, arguments.client_id, known.get("HH_CLIENT_ID")),
        "HH_CLIENT_SECRET": _answer(N_("client secret"), _secret, None, known.get("HH_CLIENT_SECRET"), is_secret=True),
        "HH_REDIRECT_URI": _answer(
            N_("redirect URI, or your domain"),
            _redirect_uri,
            arguments.redirect_uri,
            known.get("HH_REDIRECT_URI") or LOOPBACK_REDIRECT_URI,
        ),
        "HH_USER_AGENT": _answer(
            N_("e-mail address, for the User-Agent"), _user_agent, arguments.email, known.get("HH_USER_AGENT")
        ),
    }
    _write(path, _changed(content, chosen, path).encode())
    reporting.message(N_("the settings are in {path}", path=path))
    reporting.message(N_("type 'hhtoken login'"), "hint: ")
    return 0


def _path(arguments):
    """Return the path of the env file that the other commands will read, which may be still to be made."""
    named = getattr(arguments, "env_file", None) or os.environ.get("HHTOKEN_ENV_FILE")
    path = named or Settings(os.environ).env_file_to_write()
    return os.path.realpath(os.path.expanduser(path))


def _read(path):
    try:
        data, _status = read_regular(path, LARGEST_FILE_BYTES, THROUGH_LINKS)
        return (data or b"").decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise storage_error(N_("read"), path, error) from None
    except UnicodeDecodeError:
        raise errors.ConfigError(N_("{path} is not UTF-8 text", path=path), N_("move it away, and try again")) from None


def _parsed(content, path):
    try:
        return env_file.parse(content)
    except env_file.Malformed as error:
        raise errors.ConfigError(
            N_("{path}:{line} is not KEY=VALUE, or a quote in it does not end", path=path, line=error.line),
            N_("fix the line, or put a # before it"),
        ) from None


def _answer(question, checked, given, known, is_secret=False):
    """Return the checked answer: what a flag gave, or else what the operator types, until it is right. Without a
    terminal the answers are lines of standard input. An empty one takes what is known already."""
    while True:
        answer = given
        if answer is None:
            shown = N_("Enter keeps the stored one") if known and is_secret else known
            answer = terminal.ask(
                N_("{question} [{known}]", question=question, known=shown) if known else question, is_secret
            )
        try:
            return checked(answer.strip() or known or "")
        except errors.ConfigError as error:
            if given is not None or not terminal.is_interactive():
                raise
            reporting.failure(error)


def _typed(name, value):
    return Settings({name: value}, place=N_("as typed"))


def _client_id(value):
    return _typed("HH_CLIENT_ID", value).client_id()


def _secret(value):
    return _typed("HH_CLIENT_SECRET", value).client_secret()


def _redirect_uri(value):
    is_domain = "." in value and "/" not in value and ":" not in value
    return _typed("HH_REDIRECT_URI", f"https://{value}/callback" if is_domain else value).redirect_uri()


def _user_agent(value):
    if "(" not in value and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        value = f"{reporting.NAME}/{__version__} ({value})"
    if "@" not in value:
        raise errors.ConfigError(N_("this is not an e-mail address"), N_("for example you@example.com"))
    return _typed("HH_USER_AGENT", value).user_agent()


def _changed(content, chosen, path):
    """Given the text of an env file, return it with these settings; every other line stays as it is."""
    lines = content.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for name, value in chosen.items():
        assignment = f"{name}={_quoted(value)}\n"
        is_old = re.compile(rf"\s*(export\s+)?{name}\s*=").match
        places = [number for number, line in enumerate(lines) if is_old(line)] or [len(lines)]
        lines[places[0] : places[0] + 1] = [assignment]
        lines = [line for number, line in enumerate(lines) if number not in places[1:]]
    text = "".join(lines)
    before, after = ({n: v for n, (v, _l) in _parsed(t, path).items()} for t in (content, text))
    if after != {**before, **chosen}:
        raise errors.ConfigError(
            N_("{path} holds a value of several lines, which is not rewritten", path=path),
            N_("put the settings into it with an editor, or name another file with --env-file"),
        )
    return text


def _quoted(value):
    return value if PLAIN_VALUE.fullmatch(value) else '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


def _write(path, data):
    """Replace the file; a new one is for its owner alone, and who could read the old one still can, strangers not."""
    directory = os.path.dirname(path)
    temporary = None
    try:
        os.makedirs(directory, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".hh-token.env.", dir=directory)
        with open(descriptor, "wb") as file:
            if os.path.exists(path):
                status = os.stat(path)
                os.fchown(descriptor, status.st_uid, status.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o640)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            os.unlink(temporary)
        raise storage_error(N_("write"), path, error) from None
