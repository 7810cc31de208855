"""Settings: flag beats environment beats env file beats default. Every problem is a ConfigError with its place."""

import os

from hhtoken import __version__, errors
from hhtoken.console import reporting
from hhtoken.settings.sources import LARGEST_CERTIFICATES_BYTES, Sources, expanded, of_user, read_file
from hhtoken.store import private_directory
from hhtoken.text import N_

DEFAULT_STATE_DIRECTORY = "/var/lib/hh-token"
CREDENTIAL_NAME = "hh_client_secret"

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

SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # Debian's
IGNORED_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
FOR_REFRESH = ("HH_TOKEN_URL", "HH_API_URL", "HH_USER_AGENT", "HH_CA_FILE", "HH_PROXY", "HHTOKEN_")
APPLICATION = ("HH_CLIENT_ID", "HH_CLIENT_SECRET", "HH_REDIRECT_URI")
APPLICATION_PAGE = "https://dev.hh.ru/admin"
WITH_FLAGS = ("HHTOKEN_STATE_DIR", "HHTOKEN_ENV_FILE", "HHTOKEN_ACCOUNT")


class Settings:
    """The settings of one run. Values are looked up, and judged, when a command asks for them."""

    def __init__(self, environment, env_file=None, state_directory=None, account=None, place=None):
        """``env_file``, ``state_directory``, ``account``: the values of the flags, or None. ``place``: see Sources."""
        self._sources = Sources(environment, env_file, place)
        self._state_directory = state_directory
        self._account = account

    def account(self):
        """Return the name of the account, or None for the pair in the main directory; raise UsageError, ConfigError.

        Not from the env file: that is the application's, and all accounts share it.
        """
        name = self._sources.environment.get("HHTOKEN_ACCOUNT") if self._account is None else self._account
        if name is None or name == "" and self._account is None:
            return None
        from hhtoken.store import account_names

        if account_names.is_name(name):
            return name
        if self._account is None:
            raise errors.ConfigError(N_("HHTOKEN_ACCOUNT is not a valid account name"), account_names.HINT)
        raise errors.UsageError(N_("invalid account name"), account_names.HINT)

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
        if self._state_directory:
            return os.path.abspath(expanded(self._state_directory))
        path = self._sources.path("HHTOKEN_STATE_DIR")
        if not path:
            of_systemd = self._sources.environment.get("STATE_DIRECTORY", "").split(":")[0]
            path = self._sources.absolute("STATE_DIRECTORY", of_systemd) or self._default_state_directory()
        return os.path.abspath(path)

    def _default_state_directory(self):
        if os.geteuid() == 0:
            return DEFAULT_STATE_DIRECTORY
        path = of_user(self._sources.environment, "XDG_STATE_HOME", "~/.local/state")
        if not os.path.isabs(path):
            raise errors.ConfigError(N_("there is no home directory to keep the pair in"), N_("use --state-dir"))
        return path

    def published_file(self):
        """Return the absolute path where the access token is to be published, or None; raise ConfigError where it is
        none, or publishing would destroy what is there."""
        return self.published_file_of(self.account())

    def published_file_of(self, account):
        """Given the name of an account, or None, return the same: each has a file of its own."""
        path = expanded(self._sources.get("HHTOKEN_PUBLISH") or "")
        if not path:
            return None
        if not os.path.isabs(path) or path.endswith("/"):
            problem = N_("is not the absolute path of a file")
            raise self._sources.error("HHTOKEN_PUBLISH", problem, N_("for example /run/hh-token/access_token"))
        path = f"{path}-{account}" if account else path
        if self.is_state(path) or _is_same(path, self._sources.env_file_path):
            hint = N_("name a file in a directory of its own, for example /run/hh-token/access_token")
            raise self._sources.error("HHTOKEN_PUBLISH", N_("is among hhtoken's own files"), hint)
        return path

    def is_state(self, path):
        """Tell whether a file, which may be still to be made, lies in a state directory, the main one or another
        account's."""
        return _is_within(os.path.realpath(os.path.dirname(path)), os.path.realpath(self.main_directory()))

    def is_own_file(self, path):
        """Tell the same, or that it is the published one: of such files hhtoken disposes as it likes."""
        published = self.published_file()
        return self.is_state(path) or published is not None and os.path.realpath(path) == os.path.realpath(published)

    def env_file_path(self):
        return self._sources.env_file_path

    def env_file_to_write(self):
        """Return the path of the env file in use, or where the operator has none, of a new one."""
        return self._sources.env_file_to_write()

    def of_refresh_in_environment_alone(self):
        """Return the names of the settings with which a refresh would go another way if this environment were not."""
        return sorted(
            name
            for name, value in self._sources.environment.items()
            if value
            and name.startswith(FOR_REFRESH)
            and name not in WITH_FLAGS
            and value != self._sources.in_file(name)[0]
        )

    def client_id(self):
        return self._required("HH_CLIENT_ID")

    def client_secret(self):
        """Return the client secret from the first of its four places; raise ConfigError."""
        secret, place = self._sources.environment.get("HH_CLIENT_SECRET"), "HH_CLIENT_SECRET"
        secret = secret or self._sources.secret_in_env_file()
        if not secret:
            secret, place = self._sources.secret("HH_CLIENT_SECRET_FILE", CREDENTIAL_NAME)
        return self._judged(secret, place) if secret else self._required("HH_CLIENT_SECRET")

    def is_secret_out_of_reach(self):
        """Tell whether this user can read no client secret at all: a service may have it as a systemd credential."""
        path = self._sources.get("HH_CLIENT_SECRET_FILE")
        if self._sources.get("HH_CLIENT_SECRET"):
            return False
        if not path:
            return not self._sources.environment.get("CREDENTIALS_DIRECTORY")
        try:
            os.stat(path)
        except PermissionError:
            return True
        except OSError:  # a mistake in the setting
            return False
        return not os.access(path, os.R_OK)

    def redirect_uri(self):
        return self._address("HH_REDIRECT_URI")

    def authorize_url(self):
        return self._address("HH_AUTHORIZE_URL")

    def token_urls(self):
        """Return the token addresses to try in turn: the configured one alone, or the default and its successor."""
        if self._sources.get("HH_TOKEN_URL"):
            return [self._address("HH_TOKEN_URL")]
        return [DEFAULTS["HH_TOKEN_URL"], NEWER_TOKEN_URL]

    def api_url(self):
        """Return the address in front of the paths of the API, without a slash at its end."""
        return self._address("HH_API_URL").rstrip("/")

    def deadline_seconds(self):
        value = self._required("HHTOKEN_DEADLINE")
        if not (value.isascii() and value.isdigit() and len(value) < 4 and 1 <= int(value) <= 180):
            problem = N_("is no number of seconds from 1 to 180")
            raise self._sources.error("HHTOKEN_DEADLINE", problem, N_("leave it unset for 180"))
        return int(value)

    def user_agent(self):
        agent = self._required("HH_USER_AGENT").strip()
        if not all(" " <= character <= "~" for character in agent):
            raise self._sources.error("HH_USER_AGENT", N_("has characters that no header may have"), HINT_AGENT)
        return agent

    def route(self):
        """Return the Route to HeadHunter; raise ConfigError."""
        from hhtoken.provider.transfer import Route

        proxy = self.proxy()
        ignored = None if proxy else next(filter(self._sources.get, IGNORED_PROXIES), None)
        return Route(self.authorities(), proxy, ignored)

    def authorities(self):
        """Return the path of the certificates to trust, or None for those that come with ``requests``."""
        path = self.optional("HH_CA_FILE")
        if not path:
            return SYSTEM_AUTHORITIES if os.path.exists(SYSTEM_AUTHORITIES) else None
        import ssl

        read_file(path, named_by="HH_CA_FILE", largest=LARGEST_CERTIFICATES_BYTES)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            raise errors.ConfigError(
                N_("{path}, which {name} names, holds no certificate", path=path, name="HH_CA_FILE"),
                N_("name a file of certificates in PEM form, like {path}", path=SYSTEM_AUTHORITIES),
            ) from None
        return path

    def proxy(self):
        from hhtoken.provider import addresses

        proxy = self.optional("HH_PROXY")
        if proxy and not addresses.is_proxy(proxy):
            hint = N_("give it the form http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, percent-encoded")
            raise self._sources.error("HH_PROXY", N_("is not the address of an http proxy"), hint)
        return proxy

    def optional(self, name):
        """Return a setting that has no default, or None; raise ConfigError."""
        value = self._sources.path(name) if name.endswith("_FILE") else self._sources.get(name)
        return self._judged(value, name) if value else None

    def secret_in_file(self, name, credential):
        """Return the secret in the file that a setting names, or in a systemd credential, or None."""
        return self._sources.secret(name, credential)[0]

    def _required(self, name):
        value = self._sources.get(name) or DEFAULTS.get(name)
        if not value or not value.strip():
            if name in APPLICATION:
                raise self._not_configured(name)
            raise errors.ConfigError(N_("{name} is not set", name=name), self._sources.hint())
        return self._judged(value, name)

    def _not_configured(self, first):
        """Return the NotConfiguredError that names all that the application's page has and the settings have not."""
        has = {name: (self._sources.get(name) or "").strip() for name in APPLICATION}
        has["HH_CLIENT_SECRET"] = has["HH_CLIENT_SECRET"] or not self.is_secret_out_of_reach()
        missing = [name for name in APPLICATION if name == first or not has[name]]
        return errors.NotConfiguredError(
            N_("not configured: {names} not set", names=", ".join(missing)),
            N_("type 'hhtoken init'; what it asks for is on {page}", page=APPLICATION_PAGE),
        )

    def _judged(self, value, name):
        lowered = value.lower()
        if lowered.startswith(PLACEHOLDER_STARTS) or any(part in lowered for part in PLACEHOLDER_PARTS):
            problem = N_("still holds a placeholder")
            raise self._sources.error(name, problem, HINT_AGENT if name == "HH_USER_AGENT" else HINT_VALUE)
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise self._sources.error(name, N_("is not UTF-8 text"), self._sources.hint())
        if any(character < " " or character == "\x7f" for character in value):
            raise self._sources.error(name, N_("has control characters in it"), N_("write it again, on one line"))
        return value

    def _address(self, name):
        from hhtoken.provider import addresses

        value = self._required(name)
        problem = addresses.problem(value, may_be_of_an_app=name == "HH_REDIRECT_URI")
        if problem:
            form = N_("write it as https://…, as on the application's page")
            default = DEFAULTS.get(name)
            raise self._sources.error(
                name, problem, N_("leave it unset for {default}", default=default) if default else form
            )
        return value


def load_settings(arguments):
    """Given the parsed arguments of a command, return the Settings; all that is reported from now on is about their
    account."""
    env_file, state_directory = getattr(arguments, "env_file", None), getattr(arguments, "state_dir", None)
    if env_file or state_directory:
        from hhtoken.console import hints

        hints.repeat({"--state-dir": state_directory, "--env-file": env_file})
    settings = Settings(os.environ, env_file, state_directory, getattr(arguments, "account", None))
    account = settings.account()
    if account:
        reporting.speak_for(account)
    return settings


def _is_within(place, directory):
    """Tell whether a directory is another one, or lies below it, under whatever name; both may be still to be made."""
    above = os.path.dirname(place)
    return _is_same(place, directory) or place != above and _is_within(above, directory)


def _is_same(path, other):
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:
        return False
