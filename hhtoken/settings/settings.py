"""Settings: flag beats environment beats env file beats default. Every problem is a ConfigError with its place."""

import errno
import os

from hhtoken import __version__, errors
from hhtoken.console import reporting
from hhtoken.store import private_directory
from hhtoken.text import N_, escaped

DEFAULT_ENV_FILE = "/etc/hh-token/hh-token.env"
OWN_ENV_FILE = "~/.config/hh-token.env"  # as the README proposes
DEFAULT_STATE_DIRECTORY = "/var/lib/hh-token"
DIRECTORY_NAME = "hh-token"
CREDENTIAL_NAME = "hh_client_secret"
LARGEST_SETTINGS_FILE_BYTES = 64 * 1024

DEFAULTS = {
    "HH_USER_AGENT": f"hhtoken/{__version__}",
    "HH_AUTHORIZE_URL": "https://hh.ru/oauth/authorize",
    "HH_TOKEN_URL": "https://hh.ru/oauth/token",
    "HH_API_URL": "https://api.hh.ru",
    "HHTOKEN_DEADLINE": "180",  # seconds for a whole answer; TimeoutStopSec= of the unit is above it
}
NEWER_TOKEN_URL = "https://api.hh.ru/token"  # tried where the default address is gone

PLACEHOLDER_STARTS = ("your_", "your-", "changeme", "change_me", "change-me", "placeholder", "<", "…", "xxxx")
PLACEHOLDER_PARTS = ("//your-domain.", ".your-domain.", "//yourdomain.", "//your_domain.")
HINT_VALUE = N_("put in the value from the application's page on dev.hh.ru")
HINT_AGENT = N_("give it the form App/1.0 (you@example.com)")


FOR_REFRESH = ("HH_TOKEN_URL", "HH_API_URL", "HH_USER_AGENT")  # it needs neither client id nor secret
WITH_FLAGS = ("HHTOKEN_STATE_DIR", "HHTOKEN_ENV_FILE", "HHTOKEN_ACCOUNT")


class Settings:
    """The settings of one run. Values are looked up, and judged, when a command asks for them."""

    def __init__(self, environment, env_file=None, state_directory=None, account=None):
        """``env_file``, ``state_directory``, ``account``: the values of the flags, or None."""
        if env_file == "":
            raise errors.UsageError(
                N_("--env-file takes a file"), N_("for example --env-file {path}", path=OWN_ENV_FILE)
            )
        self._environment = environment
        self._state_directory = state_directory
        self._account = account
        self._env_file = env_file or environment.get("HHTOKEN_ENV_FILE") or None
        self._env_file_path = self._env_file or DEFAULT_ENV_FILE
        self._from_file = None
        self._env_file_is_public = False
        if self._env_file:
            self._read_env_file()  # named on purpose: a mistake in it is said at once

    def account(self):
        """Return the name of the account, or None for the pair in the main directory; raise UsageError, ConfigError.

        Not from the env file: that is the application's, and all accounts share it.
        """
        name = self._environment.get("HHTOKEN_ACCOUNT") if self._account is None else self._account
        if name is None or name == "" and self._account is None:
            return None
        from hhtoken.store import account_names

        if account_names.is_name(name):
            return name
        if self._account is None:
            raise errors.ConfigError(N_("HHTOKEN_ACCOUNT is no name of an account"), account_names.HINT)
        raise errors.UsageError(N_("--account takes a name"), account_names.HINT)

    def state_directory(self):
        """Return the absolute path of the state directory: the account's own, or the main one."""
        main, account = self.main_directory(), self.account()
        if account is None:
            return main
        from hhtoken.store import account_names

        return private_directory.Nested(main, account_names.DIRECTORY, account)

    def main_directory(self):
        """Return the absolute path of the main state directory, which is the state directory where no account is
        named."""
        if self._state_directory == "":
            raise errors.UsageError(
                N_("--state-dir takes a directory"), N_("for example --state-dir /var/lib/hh-token")
            )
        path = self._state_directory or self._get("HHTOKEN_STATE_DIR")
        if not path:
            path = self._environment.get("STATE_DIRECTORY", "").split(":")[0] or self._default_state_directory()
        return os.path.abspath(path)

    def published_file(self):
        """Return the absolute path where the access token is to be published, or None; raise ConfigError where it is
        none, or publishing would destroy what is there."""
        return self.published_file_of(self.account())

    def published_file_of(self, account):
        """Given the name of an account, or None, return the same: each has a file of its own."""
        path = self._get("HHTOKEN_PUBLISH")
        if not path:
            return None
        if not os.path.isabs(path) or path.endswith("/"):
            raise errors.ConfigError(
                N_("{setting} is not the absolute path of a file", setting=self._found("HHTOKEN_PUBLISH")),
                N_("for example /run/hh-token/access_token"),
            )
        path = f"{path}-{account}" if account else path
        if self.is_state(path) or _is_same(path, self._env_file_path):
            raise errors.ConfigError(
                N_("{setting} is among hhtoken's own files", setting=self._found("HHTOKEN_PUBLISH")),
                N_("name a file in a directory of its own, for example /run/hh-token/access_token"),
            )
        return path

    def is_state(self, path):
        """Tell whether a file, which may be still to be made, lies in a state directory, the main one or another
        account's."""
        return _is_within(os.path.dirname(path), self.main_directory())

    def is_own_file(self, path):
        """Tell the same, or that it is the published one: of such files hhtoken disposes as it likes."""
        published = self.published_file()
        return self.is_state(path) or published is not None and os.path.realpath(path) == os.path.realpath(published)

    def env_file_path(self):
        return self._env_file_path

    def env_file_to_write(self):
        """Return the path of the env file in use, or where the operator has none, of a new one."""
        return self._env_file_path if self._env_file or os.geteuid() == 0 else OWN_ENV_FILE

    def of_refresh_in_environment_alone(self):
        """Return the names of the settings with which a refresh would go another way if this environment were not."""
        return sorted(
            name
            for name, value in self._environment.items()
            if value and _is_for_refresh(name) and value != self._in_file(name)[0]
        )

    def client_id(self):
        return self._required("HH_CLIENT_ID")

    def client_secret(self):
        """Return the client secret from the first of its four places; raise ConfigError."""
        secret = self._environment.get("HH_CLIENT_SECRET") or self._secret_from_env_file()
        place = "HH_CLIENT_SECRET"
        path = self._get("HH_CLIENT_SECRET_FILE")
        if not secret and path:
            place = N_("the file that {name} names", name="HH_CLIENT_SECRET_FILE")
            what = N_("the client secret in {place}", place=place)
            secret = _read_secret(path, place, what, named_by="HH_CLIENT_SECRET_FILE")
        credentials = self._environment.get("CREDENTIALS_DIRECTORY")
        if not secret and credentials and os.path.exists(os.path.join(credentials, CREDENTIAL_NAME)):
            place = N_("the credential {name}", name=CREDENTIAL_NAME)
            path, what = os.path.join(credentials, CREDENTIAL_NAME), N_("the client secret in {place}", place=place)
            secret = _read_secret(path, place, what, optional=True)
        return self._judged(secret or self._required("HH_CLIENT_SECRET"), place)

    def redirect_uri(self):
        return self._address("HH_REDIRECT_URI")

    def authorize_url(self):
        return self._address("HH_AUTHORIZE_URL")

    def token_urls(self):
        """Return the token addresses to try in turn: the configured one alone, or the default and its successor."""
        if self._get("HH_TOKEN_URL"):
            return [self._address("HH_TOKEN_URL")]
        return [DEFAULTS["HH_TOKEN_URL"], NEWER_TOKEN_URL]

    def api_url(self):
        """Return the address in front of the paths of the API, without a slash at its end."""
        return self._address("HH_API_URL").rstrip("/")

    def deadline_seconds(self):
        value = self._required("HHTOKEN_DEADLINE")
        if not (value.isascii() and value.isdigit() and len(value) < 4 and 1 <= int(value) <= 180):
            raise errors.ConfigError(
                N_("{setting} is no number of seconds from 1 to 180", setting=self._found("HHTOKEN_DEADLINE")),
                N_("leave it unset for 180"),
            )
        return int(value)

    def user_agent(self):
        agent = self._required("HH_USER_AGENT").strip()
        if not all(" " <= character <= "~" for character in agent):
            raise errors.ConfigError(
                N_("{setting} has characters that no header may have", setting=self._found("HH_USER_AGENT")),
                HINT_AGENT,
            )
        return agent

    def optional(self, name):
        """Return a setting that has no default, or None; raise ConfigError."""
        return self._judged(self._get(name), name) if self._get(name) else None

    def secret_in_file(self, name, credential):
        """Return the secret in the file that a setting names, or in a systemd credential, or None."""
        path, named_by = self._get(name), name
        if not path and self._environment.get("CREDENTIALS_DIRECTORY"):
            named_by = None
            path = os.path.join(self._environment["CREDENTIALS_DIRECTORY"], credential)
            if not os.path.exists(path):
                return None
        file = N_("the file that {name} names", name=name)
        return _read_secret(path, file, file, named_by=named_by) if path else None

    def _required(self, name):
        value = self._get(name) or DEFAULTS.get(name)
        if not value or not value.strip():
            raise errors.ConfigError(N_("{name} is not set", name=name), self._hint())
        return self._judged(value, name)

    def _judged(self, value, name):
        lowered = value.lower()
        setting = self._found(name) if name.isupper() else name  # the secret has other places, too
        if lowered.startswith(PLACEHOLDER_STARTS) or any(part in lowered for part in PLACEHOLDER_PARTS):
            raise errors.ConfigError(
                N_("{setting} still holds a placeholder", setting=setting),
                HINT_AGENT if name == "HH_USER_AGENT" else HINT_VALUE,
            )
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise errors.ConfigError(N_("{setting} is not UTF-8 text", setting=setting), self._hint())
        if any(character < " " or character == "\x7f" for character in value):
            raise errors.ConfigError(
                N_("{setting} has control characters in it", setting=setting), N_("write it anew, on one line")
            )
        return value

    def _address(self, name):
        from hhtoken.provider import addresses

        value = self._required(name)
        problem = addresses.problem(value)
        if problem:
            raise errors.ConfigError(
                N_("{setting} {problem}", setting=self._found(name), problem=problem),
                N_("leave it unset for {default}", default=DEFAULTS[name])
                if name in DEFAULTS
                else N_("write it as https://…, as on the application's page"),
            )
        return value

    def _get(self, name):
        return self._environment.get(name) or self._in_file(name)[0] or None

    def _in_file(self, name):
        if self._from_file is None:
            self._read_env_file()
        return self._from_file.get(name, ("", 0))

    def _found(self, name):
        """Return a setting's name and where it comes from, for messages."""
        line = self._in_file(name)[1]
        if self._environment.get(name):
            place = N_("environment")
        else:
            place = f"{self._env_file_path}:{line}" if line else N_("default")
        return N_("{name} ({place})", name=name, place=place)

    def _read_env_file(self):
        from hhtoken.settings import env_file

        self._from_file = {}
        content = _read_file(self._env_file_path, optional=not self._env_file)
        if content is None:
            return
        data, status = content
        self._env_file_is_public = _is_public(status)
        _require_trusted(self._env_file_path, status, self._environment.get("SUDO_UID"))
        try:
            self._from_file = env_file.parse(data.decode())
        except UnicodeDecodeError:
            raise errors.ConfigError(
                N_("{path} is not UTF-8 text", path=self._env_file_path), N_("write it anew")
            ) from None
        except env_file.Malformed as error:
            raise errors.ConfigError(
                N_(
                    "{path}:{line} is not KEY=VALUE, or a quote in it does not end",
                    path=self._env_file_path,
                    line=error.line,
                ),
                N_("mend the line, or put a # before it"),
            ) from None
        if "HHTOKEN_ACCOUNT" in self._from_file:
            raise errors.ConfigError(
                N_("{path} names an account, but all accounts share it", path=self._env_file_path),
                N_("name the account with --account, or by HHTOKEN_ACCOUNT in the environment"),
            )

    def _secret_from_env_file(self):
        secret, line = self._in_file("HH_CLIENT_SECRET")
        if secret and self._env_file_is_public:
            place = f"{self._env_file_path}:{line}"
            raise _public(N_("the client secret in {place}", place=place), self._env_file_path)
        return secret

    def _default_state_directory(self):
        if os.geteuid() == 0:
            return DEFAULT_STATE_DIRECTORY
        base = self._environment.get("XDG_STATE_HOME", "")
        if not base.startswith("/"):
            home = os.path.expanduser("~")
            if not home.startswith("/"):
                raise errors.ConfigError(N_("there is no home directory to keep the pair in"), N_("use --state-dir"))
            base = os.path.join(home, ".local", "state")
        return os.path.join(base, DIRECTORY_NAME)

    def _hint(self):
        path = self._env_file_path
        if not self._env_file and os.geteuid() != 0 and not os.access(path, os.R_OK):  # root's, or the service's
            return N_(
                "put it into a file of your own, e.g. {path}, as a line NAME=VALUE, and name that file by --env-file "
                "or HHTOKEN_ENV_FILE; or put it into the environment",
                path=OWN_ENV_FILE,
            )
        return N_("put it into {path} as a line NAME=VALUE, or into the environment", path=path)


def load_settings(arguments, environment=None):
    """Given the parsed arguments of a command, return the Settings; all that is reported from now on is about their
    account."""
    env_file, state_directory = getattr(arguments, "env_file", None), getattr(arguments, "state_dir", None)
    if env_file or state_directory:
        from hhtoken.console import hints

        hints.repeat({"--state-dir": state_directory, "--env-file": env_file})
    environment = os.environ if environment is None else environment
    settings = Settings(environment, env_file, state_directory, getattr(arguments, "account", None))
    account = settings.account()
    if account:
        reporting.speak_for(account)
    return settings


def _is_for_refresh(name):
    return name in FOR_REFRESH or name.startswith("HHTOKEN_") and name not in WITH_FLAGS


def _is_within(place, directory):
    """Tell whether a directory is another one, or lies below it, under whatever name; both may be still to be made."""
    place, directory = os.path.realpath(place), os.path.realpath(directory)
    while not _is_same(place, directory):
        place, below = os.path.dirname(place), place
        if place == below:
            return False
    return True


def _is_same(path, other):
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:
        return False


def _read_file(path, optional=False, named_by=None):
    """Return ``(bytes, os.stat_result)`` of a settings file; None where an optional one cannot be had.
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


def _read_secret(path, place, what, optional=False, named_by=None):
    """Return the secret in a file; where ``optional`` (a unit's default credential is an empty one) perhaps "".
    ``place``: of the secret, and ``what`` must not be public, in words. ``named_by``: see ``_read_file``.
    """
    data, status = _read_file(path, named_by=named_by)
    if _is_public(status):
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
