"""Settings: present, well formed, no placeholders, readable for the service and for nobody else."""

import grp
import os
import pwd
import re
import shlex
import stat
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.settings.settings import DEFAULTS
from hhtoken.settings.sources import DEFAULT_ENV_FILE
from hhtoken.text import N_

ABOUT = N_("settings")
SERVICE = "hh-token"  # the account, and its group
NEEDED_TO_AUTHORIZE = ("HH_CLIENT_ID", "HH_CLIENT_SECRET", "HH_REDIRECT_URI")
CREDENTIALS = ("client_secret", "client_secret.cred")  # of root's alone, beside the env file: docs/systemd.md
AGENT_FORM = re.compile(r"[^\s/()]+/[^\s()]+ \(.+\)")  # App/1.0 (contact@example.com)
AGENT_ADVICE = N_("set it to the form my-bot/1.0 (you@example.com)")


def look(settings):
    """Given the Settings, return the facts."""
    values, problems = {}, {}
    for name, ask in (
        ("HH_CLIENT_ID", settings.client_id),
        ("HH_CLIENT_SECRET", lambda: bool(settings.client_secret())),
        ("HH_REDIRECT_URI", settings.redirect_uri),
        ("HH_USER_AGENT", settings.user_agent),
        ("HH_AUTHORIZE_URL", settings.authorize_url),
        ("HH_TOKEN_URL", lambda: settings.token_urls()[0]),
        ("HH_API_URL", settings.api_url),
        ("HHTOKEN_DEADLINE", settings.deadline_seconds),
        ("HH_CA_FILE", settings.authorities),
        ("HH_PROXY", settings.proxy),
    ):
        try:
            value = ask()
            values[name] = True if name in ("HH_CLIENT_SECRET", "HH_PROXY") else value
        except errors.ConfigError as error:
            problems[name] = error
    path = settings.env_file_path()
    folder = os.path.dirname(path)
    return SimpleNamespace(
        values=values,
        problems=problems,
        path=path,
        file=os.stat(path) if os.path.exists(path) else None,
        is_out_of_sight=os.path.isdir(folder) and not os.access(folder, os.X_OK),
        has_credential=any(os.path.exists(os.path.join(folder, name)) for name in CREDENTIALS),
        service=account(),
    )


def judge(seen, is_usable):
    """Given the facts, and whether there is a usable pair, return the Findings."""
    found = []
    good = [name for name in NEEDED_TO_AUTHORIZE if name in seen.values]
    if good:
        found.append(findings.ok(ABOUT, N_("set: {names}", names=", ".join(good))))
    told = {}  # one mistake in the file is the trouble with each of them
    for name, error in seen.problems.items():
        told.setdefault(str(error.message), []).append(name)
    for names in told.values():
        found += [_of_problem(names, seen.problems[names[0]], seen, is_usable)]
    if seen.file:
        found += _of_file(seen)
    agent = seen.values.get("HH_USER_AGENT")
    if agent == DEFAULTS["HH_USER_AGENT"]:
        found.append(
            findings.note(ABOUT, N_("HH_USER_AGENT is not set: HeadHunter asks for yours"), advice=AGENT_ADVICE)
        )
    elif agent and not AGENT_FORM.fullmatch(agent):
        says = N_("HH_USER_AGENT has not the form that HeadHunter asks for, and may be refused (bad_user_agent)")
        found.append(findings.problem(ABOUT, says, advice=AGENT_ADVICE))
    return found


def account():
    """Return ``(uid, gid)`` of the service account, or None where there is none."""
    try:
        return pwd.getpwnam(SERVICE).pw_uid, grp.getgrnam(SERVICE).gr_gid
    except KeyError:
        return None


def _of_problem(names, error, seen, is_usable):
    if not isinstance(error, errors.NotConfiguredError):
        return findings.of_error(ABOUT, error)
    if names == ["HH_CLIENT_SECRET"] and seen.has_credential:
        return findings.ok(ABOUT, N_("HH_CLIENT_SECRET is a systemd credential, for the listener alone"))
    if seen.is_out_of_sight:
        says = N_("{names} cannot be seen: you may not read {path}", names=", ".join(names), path=seen.path)
        return findings.note(ABOUT, says, command="sudo hhtoken doctor")
    if is_usable:  # a refresh needs none of them
        says = N_("{message}; only the next login needs it", message=error.message)
        return findings.note(ABOUT, says, advice=error.hint)
    return findings.of_error(ABOUT, error)


def _of_file(seen):
    """The service reads the settings as an account of its own; nobody else is to read the secret."""
    mode, path = stat.S_IMODE(seen.file.st_mode), shlex.quote(seen.path)
    if seen.path == DEFAULT_ENV_FILE and seen.service:
        is_its_own, is_its_groups = seen.file.st_uid == seen.service[0], seen.file.st_gid == seen.service[1]
        if not (is_its_own and mode & 0o400 or is_its_groups and mode & 0o040 or mode & 0o004):
            says = N_("{path} cannot be read by the account {account}", path=seen.path, account=SERVICE)
            return [findings.problem(ABOUT, says, f"chgrp {SERVICE} {path} && chmod 640 {path}")]
    if mode & 0o022:
        says = N_("{path} can be changed by others", path=seen.path)
        return [findings.problem(ABOUT, says, f"chmod go-w {path}")]
    if not mode & 0o007:
        return [findings.ok(ABOUT, N_("{path} is closed to others", path=seen.path))]
    if "HH_CLIENT_SECRET" not in seen.values:  # with the secret in it, that is a problem of its own, above
        return []
    return [findings.note(ABOUT, N_("{path} can be read by everybody", path=seen.path), f"chmod o= {path}")]
