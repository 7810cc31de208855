"""Where settings come from: the environment, the env file, files with a secret."""

import errno
import os

from hhtoken import errors
from hhtoken.store import private_directory
from hhtoken.text import N_, escaped

DEFAULT_ENV_FILE = "/etc/hh-token/hh-token.env"
LARGEST_SETTINGS_FILE_BYTES = 64 * 1024
LARGEST_CERTIFICATES_BYTES = 16 * 1024 * 1024


class Sources:
    """The environment, and behind it the env file, which is read when it is needed first."""

    def __init__(self, environment, env_file=None, place=None):
        """``env_file``: the value of the flag, or None. ``place``: what messages call the environment."""
        if env_file == "":
            raise errors.UsageError(
                N_("--env-file takes a file"), N_("for example --env-file {path}", path=DEFAULT_ENV_FILE)
            )
        self.environment = environment
        self._place = place or N_("environment")
        self._from_file, self._is_public = {}, False
        self.named = expanded(env_file) if env_file else self.path("HHTOKEN_ENV_FILE")
        self._own = self._from_file = None
        self.env_file_path = self.named or DEFAULT_ENV_FILE
        if os.geteuid() != 0:
            self._own = os.path.join(of_user(environment, "XDG_CONFIG_HOME", "~/.config"), "hh-token.env")
            is_service_here = os.path.isdir(os.path.dirname(DEFAULT_ENV_FILE))
            if not self.named and (os.path.lexists(self._own) or not is_service_here):
                self.env_file_path = self._own
        if self.named:
            self._read_env_file()  # named on purpose: a mistake in it is said at once

    def get(self, name):
        return self.environment.get(name) or self.in_file(name)[0] or None

    def path(self, name):
        """Return the absolute path that a setting names, or None; raise ConfigError."""
        return self.absolute(name, self.get(name))

    def absolute(self, name, path):
        """Given a setting and the path that it names (or None), return the same: relative to the working directory it
        would be another one for each run."""
        if path and not os.path.isabs(expanded(path)):
            raise self.error(name, N_("is not an absolute path"), N_("begin it with / or ~/"))
        return expanded(path) if path else None

    def in_file(self, name):
        if self._from_file is None:
            self._read_env_file()
        return self._from_file.get(name, ("", 0))

    def error(self, name, problem, hint):
        """Return the ConfigError that tells what is wrong with a setting, and where it comes from. ``name``: its own,
        or that of the file that it is in, a Text."""
        if name.isupper():
            line = self.in_file(name)[1]
            place = f"{self.env_file_path}:{line}" if line else N_("default")
            name = N_("{name} ({place})", name=name, place=self._place if self.environment.get(name) else place)
        return errors.ConfigError(N_("{setting} {problem}", setting=name, problem=problem), hint)

    def _read_env_file(self):
        from hhtoken.settings import env_file

        self._from_file, path = {}, self.env_file_path
        content = read_file(path, optional=not self.named)
        if content is None:
            return
        data, status = content
        self._is_public = _is_public(status)
        _require_trusted(self.env_file_path, status, self.environment.get("SUDO_UID"))
        try:
            self._from_file = env_file.parse(data.decode())
        except (UnicodeDecodeError, env_file.Malformed) as error:
            line = getattr(error, "line", None) or data.count(b"\n", 0, error.start) + 1
            says = N_("{path}:{line} is not KEY=VALUE in UTF-8, or a quote in it does not end", path=path, line=line)
            raise errors.ConfigError(says, N_("fix the line, or put a # before it")) from None
        if "HHTOKEN_ACCOUNT" in self._from_file:
            raise errors.ConfigError(
                N_("{path} names an account, but all accounts share it", path=path),
                N_("name the account with --account, or by HHTOKEN_ACCOUNT in the environment"),
            )

    def secret_in_env_file(self):
        secret, line = self.in_file("HH_CLIENT_SECRET")
        if secret and self._is_public:
            place = f"{self.env_file_path}:{line}"
            raise _public(N_("the client secret in {place}", place=place), self.env_file_path)
        return secret

    def hint(self):
        return N_("put it into {path} as a line NAME=VALUE, or into the environment", path=self.env_file_to_write())

    def env_file_to_write(self):
        """Return the path of the env file in use, or where the operator has none, of a new one."""
        is_ours = self.named or not self._own or os.access(self.env_file_path, os.R_OK)
        return self.env_file_path if is_ours else self._own

    def secret(self, name, credential):
        """Return the secret in the file that a setting names, or in a systemd credential, or None, and its place."""
        path, place = self.path(name), N_("the file that {name} names", name=name)
        credentials, named_by = self.environment.get("CREDENTIALS_DIRECTORY"), name
        if not path and credentials and os.path.exists(os.path.join(credentials, credential)):
            path, place = os.path.join(credentials, credential), N_("the credential {name}", name=credential)
            named_by = None
        if not path:
            return None, place
        data, status = read_file(path, named_by=named_by)
        if _is_public(status):
            raise _public(place, path)
        secret = data.decode("utf-8-sig", "replace").strip()
        secret = "" if "\ufffd" in secret else secret
        if not secret and named_by:  # a unit's default credential is an empty one
            raise errors.ConfigError(
                N_("{place} holds no secret", place=place), N_("put the secret into it, as one line")
            )
        return secret or None, place


def of_user(environment, variable, default):
    """Return our folder in the user's one that a variable of XDG names."""
    base = environment.get(variable, "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser(default), "hh-token")


def expanded(path):
    """Only ``~/``, which a shell leaves alone in quotes, and systemd and an env file everywhere."""
    return os.path.expanduser(path) if path.startswith("~/") else path


def read_file(path, optional=False, named_by=None, largest=LARGEST_SETTINGS_FILE_BYTES):
    """Return ``(bytes, os.stat_result)`` of a settings file; None where an optional one cannot be had.
    ``named_by``: the setting that its path comes from, for messages, or None."""
    what = N_("{path}, which {name} names", path=path, name=named_by) if named_by else path
    try:
        data, status = private_directory.read_regular(path, largest + 1, private_directory.THROUGH_LINKS)
    except OSError as error:
        if optional and error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):  # absent, or root's alone
            return None
        raise errors.ConfigError(
            N_("cannot read {path}: {reason}", path=what, reason=errors.reason(error)),
            N_("check the path and who may read it"),
        ) from None
    if data is None:
        raise errors.ConfigError(N_("{path} is not a regular file", path=what), N_("name a file"))
    if len(data) > largest:
        raise errors.ConfigError(N_("{path} is too large for settings", path=what), N_("name the right file"))
    return data, status


def _is_public(status):
    return bool(status.st_mode & 0o007)


def _require_trusted(path, status, sudo_uid):
    """Raise ConfigError where a stranger may write the settings, which say where the refresh token is sent."""
    me = os.geteuid()
    if status.st_uid not in (0, me) and not (me == 0 and sudo_uid == str(status.st_uid)):
        says = N_("{path} belongs to user {user}, neither root nor you", path=path, user=status.st_uid)
        raise errors.ConfigError(says, N_("if you trust it, type: sudo chown {me} {path}", me=me, path=escaped(path)))
    is_groups = status.st_mode & 0o020 and status.st_gid not in (0, os.getegid())
    if is_groups or status.st_mode & 0o002:
        says = N_("others may write in {path}", path=path)
        raise errors.ConfigError(says, N_("type: chmod go-w {path}", path=escaped(path)))


def _public(what, path):
    return errors.ConfigError(
        N_("{what} can be read by everybody on this machine", what=what),
        N_("type: chmod o= {path}", path=escaped(path)),
    )
