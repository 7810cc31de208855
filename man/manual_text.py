"""What the manual page says beyond the commands and their flags; ``man/write_manual.py`` makes the page of both. Pure.

A section holds paragraphs (a Text), terms with their meanings (a pair), and examples (a Text and the lines to type).
"""

from hhtoken import errors
from hhtoken.text import N_

NAME = N_("keeps a HeadHunter (hh.ru) OAuth 2.0 token valid")
TITLE = N_("User Commands")
USAGE = N_("[OPTIONS] COMMAND …")

DESCRIPTION = (
    N_(
        "A browser gives the consent once; from then on nobody has to look. HeadHunter accepts a refresh token once, "
        "and only after the access token has expired: so hhtoken renews the pair of them at expiry, never before, and "
        "keeps the answer safe before it looks into it."
    ),
    N_(
        "Results go to standard output, everything else to standard error, one line a message: what happened, then "
        "what to type next. No secret is in these lines, in a log, or in the arguments of a process. On a terminal, "
        "what waits says for what, and how long still."
    ),
    N_("The options below may stand before or behind every command."),
)

EXIT_STATUS = (
    (f"{errors.OK}, OK", N_("Done, or nothing to do.")),
    (errors.DEFECT, N_("A defect of hhtoken.")),
    (errors.USAGE, N_("Wrong usage.")),
    (
        f"{errors.DATAERR}, DATAERR",
        N_("The stored file or HeadHunter's answer makes no sense. It is kept aside, nothing is overwritten."),
    ),
    (f"{errors.UNAVAILABLE}, UNAVAILABLE", N_("There is a pair, but no usable access token at this moment.")),
    (
        f"{errors.IOERR}, IOERR",
        N_("The state directory cannot be read or written. Found out before anything is spent."),
    ),
    (
        f"{errors.TEMPFAIL}, TEMPFAIL",
        N_("Try again later: network, server errors, rate limit, a lock held for long, nobody came back."),
    ),
    (
        f"{errors.NOPERM}, NOPERM",
        N_("A human must authorize: no pair yet, access denied, or the refresh token is dead."),
    ),
    (f"{errors.CONFIG}, CONFIG", N_("A setting is missing, malformed or unsafe.")),
    ("130, 143", N_("Ended by Ctrl-C, by SIGTERM, with nothing sent.")),
    ("126, 127", N_("Of exec alone: the command cannot be run, or was not found. Else it ends as its command ends.")),
)

ENVIRONMENT = (
    N_(
        "A flag beats the environment, the environment beats the env file, and that beats the default. The env file "
        "has the same names, as KEY=VALUE lines."
    ),
    ("HH_CLIENT_ID", N_("The client id of the application, from https://dev.hh.ru/admin.")),
    ("HH_CLIENT_SECRET", N_("Its secret. Better in a file that only its owner can read.")),
    ("HH_CLIENT_SECRET_FILE", N_("That file. A systemd credential named hh_client_secret is found without it.")),
    ("HH_REDIRECT_URI", N_("Where HeadHunter sends the browser back to, as registered there.")),
    ("HH_USER_AGENT", N_("As HeadHunter asks for it: my-bot/1.0 (me@example.com).")),
    ("HH_AUTHORIZE_URL, HH_TOKEN_URL, HH_API_URL", N_("HeadHunter's addresses; for the sandbox.")),
    ("HH_CA_FILE", N_("The certificate authorities to trust, a file in PEM form; the system's if unset.")),
    ("HH_PROXY", N_("An http proxy to HeadHunter: http://HOST:PORT. HTTPS_PROXY and the like have no effect.")),
    ("HHTOKEN_STATE_DIR", N_("Where the token is stored.")),
    ("HHTOKEN_ENV_FILE", N_("The env file. Not read from an env file itself.")),
    ("HHTOKEN_ACCOUNT", N_("Which account, where there are several.")),
    ("HHTOKEN_PUBLISH", N_("A file that gets a copy of the access token alone, for programs that may read no more.")),
    ("HHTOKEN_STORE", N_("Where hosts share a pair: etcd://HOST:PORT/PREFIX.")),
    ("HHTOKEN_STORE_KEY_FILE", N_("The file with the key that seals the pair there, the same on every host.")),
    ("HHTOKEN_STORE_USER, HHTOKEN_STORE_PASSWORD_FILE", N_("Who this host is there, and the password's file.")),
    (
        "HHTOKEN_STORE_CA_FILE, HHTOKEN_STORE_CERT_FILE, HHTOKEN_STORE_CERT_KEY_FILE",
        N_("For TLS: whom to trust, and the certificate of this host with its key."),
    ),
    (
        "HHTOKEN_STORE_SILENCE",
        N_("Seconds until another host takes over from one that set out to renew and sent nothing; 60 if unset."),
    ),
    ("HHTOKEN_DEADLINE", N_("How many seconds a whole answer of HeadHunter may take; 180 if unset.")),
    ("HH_ACCESS_TOKEN", N_("Set by exec, for its command.")),
    ("LANGUAGE, LC_ALL, LC_MESSAGES, LANG", N_("The language of messages and help: English or Russian.")),
)

FILES = (
    ("/etc/hh-token/hh-token.env", N_("The env file of root and of the service, where none is named.")),
    ("$XDG_CONFIG_HOME/hh-token/hh-token.env", N_("That of anybody else; ~/.config/hh-token/hh-token.env if unset.")),
    ("/var/lib/hh-token/", N_("The state directory of root and of the service.")),
    ("$XDG_STATE_HOME/hh-token/", N_("The state directory of anybody else; ~/.local/state/hh-token/ if unset.")),
    ("token.json", N_("In it: the pair. Only ever replaced whole.")),
    ("accounts/NAME/", N_("In it: the state directories of further accounts.")),
)

EXAMPLES = (
    (N_("A first token, and who it is for:"), ("hhtoken login", "hhtoken whoami")),
    (N_("What state is it in, and is there anything to do?"), ("hhtoken status", "hhtoken doctor")),
    (
        N_("Keep it valid, under systemd, or by cron; HeadHunter is asked only at expiry:"),
        (
            "systemctl enable --now hh-token-refresh.timer hh-token-due.timer hh-token-callback.socket",
            "* * * * * /usr/local/bin/hhtoken refresh",
        ),
    ),
    (
        N_("In scripts:"),
        (
            'curl -H "$(hhtoken show --header)" -H "User-Agent: my-bot/1.0 (me@example.com)" https://api.hh.ru/me',
            "hhtoken show --refresh --min-seconds 60 --field access_token",
            "hhtoken exec -- my-bot",
        ),
    ),
    (N_("Without HeadHunter, on tokens that live for seconds:"), ("hhtoken sandbox --expires-in 60",)),
)

SEE_ALSO = ("curl(1), systemd.timer(5), systemd.exec(5), crontab(5), sysexits(3)",)

GIVEN_HEADINGS = (N_("NAME"), N_("SYNOPSIS"), N_("DESCRIPTION"), N_("OPTIONS"))
SECTIONS = (
    (N_("EXIT STATUS"), EXIT_STATUS),
    (N_("ENVIRONMENT"), ENVIRONMENT),
    (N_("FILES"), FILES),
    (N_("EXAMPLES"), EXAMPLES),
    (N_("SEE ALSO"), SEE_ALSO),
)
