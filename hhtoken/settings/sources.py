"""Where settings come from: the environment, the env file, files with a secret."""

import errno
import os

from hhtoken import errors
from hhtoken.store import private_directory
from hhtoken.text import N_, escaped

DEFAULT_ENV_FILE = "/etc/hh-token/hh-token.env"
OWN_ENV_FILE = "~/.config/hh-token.env"  # as the README proposes
LARGEST_SETTINGS_FILE_BYTES = 64 * 1024


class Sources:
    """The environment, and behind it the env file, which is read when it is needed first."""

    def __init__(self, environment, env_file=None):
        """``env_file``: the value of the flag, or None."""
        if env_file == "":
            raise errors.UsageError(
                N_("--env-file takes a file"), N_("for example --env-file {path}", path=OWN_ENV_FILE)
            )
        self.environment = environment
        self.named = env_file or environment.get("HHTOKEN_ENV_FILE") or None
        self.env_file_path = self.named or DEFAULT_ENV_FILE
        self._from_file = None
        self._is_public = False
        if self.named:
            self._read_env_file()  # named on purpose: a mistake in it is said at once

    def get(self, name):
        return self.environment.get(name) or self.in_file(name)[0] or None

    def in_file(self, name):
        if self._from_file is None:
            self._read_env_file()
        return self._from_file.get(name, ("", 0))

    def found(self, name):
        """Return a setting's name and where it comes from, for messages."""
        line = self.in_file(name)[1]
        if self.environment.get(name):
            place = N_("environment")
        else:
            place = f"{self.env_file_path}:{line}" if line else N_("default")
        return N_("{name} ({place})", name=name, place=place)

    def _read_env_file(self):
        from hhtoken.settings import env_file

        self._from_file = {}
        content = read_file(self.env_file_path, optional=not self.named)
        if content is None:
            return
        data, self._is_public = content
        try:
            self._from_file = env_file.parse(data.decode())
        except UnicodeDecodeError:
            raise errors.ConfigError(
                N_("{path} is not UTF-8 text", path=self.env_file_path), N_("write it anew")
            ) from None
        except env_file.Malformed as error:
            raise errors.ConfigError(
                N_(
                    "{path}:{line} is not KEY=VALUE, or a quote in it does not end",
                    path=self.env_file_path,
                    line=error.line,
                ),
                N_("mend the line, or put a # before it"),
            ) from None
        if "HHTOKEN_ACCOUNT" in self._from_file:
            raise errors.ConfigError(
                N_("{path} names an account, but all accounts share it", path=self.env_file_path),
                N_("name the account with --account, or by HHTOKEN_ACCOUNT in the environment"),
            )

    def secret_in_env_file(self):
        secret, line = self.in_file("HH_CLIENT_SECRET")
        if secret and self._is_public:
            place = f"{self.env_file_path}:{line}"
            raise _public(N_("the client secret in {place}", place=place), self.env_file_path)
        return secret

    def hint(self):
        path = self.env_file_path
        if not self.named and os.geteuid() != 0 and not os.access(path, os.R_OK):  # root's, or the service's
            return N_(
                "put it into a file of your own, e.g. {path}, as a line NAME=VALUE, and name that file by --env-file "
                "or HHTOKEN_ENV_FILE; or put it into the environment",
                path=OWN_ENV_FILE,
            )
        return N_("put it into {path} as a line NAME=VALUE, or into the environment", path=path)


def read_file(path, optional=False, named_by=None):
    """Return ``(bytes, everybody may read it)`` of a settings file; None where an optional one cannot be had.
    ``named_by``: the setting that its path comes from, for messages, or None."""
    try:
        data, status = private_directory.read_regular(
            path, LARGEST_SETTINGS_FILE_BYTES + 1, private_directory.THROUGH_LINKS
        )
    except OSError as error:
        if optional and error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):  # absent, or root's alone
            return None
        what = N_("{path}, which {name} names", path=path, name=named_by) if named_by else path
        raise errors.ConfigError(
            N_("cannot read {path}: {reason}", path=what, reason=errors.reason(error)),
            N_("check the path and who may read it"),
        ) from None
    if data is None:
        raise errors.ConfigError(N_("{path} is not a regular file", path=path), N_("name a file"))
    if len(data) > LARGEST_SETTINGS_FILE_BYTES:
        raise errors.ConfigError(N_("{path} is too large for settings", path=path), N_("name the right file"))
    return data, bool(status.st_mode & 0o007)


def read_secret(path, place, what, optional=False, named_by=None):
    """Return the secret in a file; where ``optional`` (a unit's default credential is an empty one) perhaps "".
    ``place``: of the secret, and ``what`` must not be public, in words. ``named_by``: see ``_read_file``.
    """
    data, is_public = read_file(path, named_by=named_by)
    if is_public:
        raise _public(what, path)
    try:
        secret = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret and not optional:
        raise errors.ConfigError(N_("{place} holds no secret", place=place), N_("put the secret into it, as one line"))
    return secret


def _public(what, path):
    return errors.ConfigError(
        N_("{what} can be read by everybody on this machine", what=what),
        N_("type: chmod o= {path}", path=escaped(path)),
    )
