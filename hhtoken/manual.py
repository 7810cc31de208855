"""What the manual page says beyond the commands and their flags; ``man/write_manual.py`` makes the page of both. Pure.

A section holds paragraphs (a Text), terms with their meanings (a pair), and examples (a Text and the lines to type).
"""

from hhtoken import errors
from hhtoken.wording import text

NAME = text("keeps a HeadHunter (hh.ru) OAuth 2.0 token alive")
TITLE = text("User Commands")
USAGE = text("[OPTIONS] COMMAND …")

DESCRIPTION = (
    text(
        "A browser gives the consent once; from then on nobody has to look. HeadHunter accepts a refresh token once, "
        "and only after the access token has expired: so hhtoken renews the pair of them at expiry, never before, and "
        "keeps the answer safe before it looks into it."
    ),
    text(
        "Results go to standard output, everything else to standard error, one line a message: what happened, then "
        "what to type next. No secret is in these lines, in a log, or in the arguments of a process. On a terminal, "
        "what waits says for what, and how long still."
    ),
    text("The options below may stand before or behind every command."),
)

EXIT_STATUS = (
    (f"{errors.OK}, OK", text("Done, or nothing to do.")),
    (errors.DEFECT, text("A defect of hhtoken.")),
    (errors.USAGE, text("Wrong usage.")),
    (
        f"{errors.DATAERR}, DATAERR",
        text("The stored file or HeadHunter's answer makes no sense. It is kept aside, nothing is overwritten."),
    ),
    (f"{errors.UNAVAILABLE}, UNAVAILABLE", text("There is a pair, but no usable access token at this moment.")),
    (
        f"{errors.IOERR}, IOERR",
        text("The state directory cannot be read or written. Found out before anything is spent."),
    ),
    (
        f"{errors.TEMPFAIL}, TEMPFAIL",
        text("Try again later: network, server errors, rate limit, a lock held for long, nobody came back."),
    ),
    (
        f"{errors.NOPERM}, NOPERM",
        text("A human must authorize: no pair yet, access denied, or the refresh token is dead."),
    ),
    (f"{errors.CONFIG}, CONFIG", text("A setting is missing, malformed or unsafe.")),
    ("126, 127", text("Of exec alone: the command cannot be run, or was not found. Else it ends as its command ends.")),
)

ENVIRONMENT = (
    text(
        "A flag beats the environment, the environment beats the env file, and that beats the default. The env file "
        "has the same names, as KEY=VALUE lines."
    ),
    ("HH_CLIENT_ID", text("The client id of the application, from https://dev.hh.ru/admin.")),
    ("HH_CLIENT_SECRET", text("Its secret. Better in a file that only its owner can read.")),
    ("HH_CLIENT_SECRET_FILE", text("That file. A systemd credential named hh_client_secret is found without it.")),
    ("HH_REDIRECT_URI", text("Where HeadHunter sends the browser back to, as registered there.")),
    ("HH_USER_AGENT", text("As HeadHunter asks for it: my-bot/1.0 (me@example.com).")),
    ("HH_AUTHORIZE_URL, HH_TOKEN_URL, HH_API_URL", text("HeadHunter's addresses; for the sandbox.")),
    ("HHTOKEN_STATE_DIR", text("Where the pair lives.")),
    ("HHTOKEN_ENV_FILE", text("The env file. Not read from an env file itself.")),
    ("HHTOKEN_ACCOUNT", text("Which account, where there are several.")),
    ("HHTOKEN_PUBLISH", text("A file that gets a copy of the access token alone, for programs that may read no more.")),
    ("HHTOKEN_STORE", text("Where hosts share a pair: etcd://HOST:PORT/PREFIX.")),
    ("HHTOKEN_STORE_KEY_FILE", text("The file with the key that seals the pair there, the same on every host.")),
    ("HHTOKEN_STORE_USER, HHTOKEN_STORE_PASSWORD_FILE", text("Who this host is there, and the password's file.")),
    (
        "HHTOKEN_STORE_CA_FILE, HHTOKEN_STORE_CERT_FILE, HHTOKEN_STORE_CERT_KEY_FILE",
        text("For TLS: whom to trust, and the certificate of this host with its key."),
    ),
    (
        "HHTOKEN_STORE_SILENCE",
        text("After how many seconds another host takes over from one that has set out to renew; 600 if unset."),
    ),
    ("HHTOKEN_DEADLINE", text("How many seconds a whole answer of HeadHunter may take; 180 if unset.")),
    ("HH_ACCESS_TOKEN", text("Set by exec, for its command.")),
    ("LANGUAGE, LC_ALL, LC_MESSAGES, LANG", text("The language of messages and help: English or Russian.")),
)

FILES = (
    ("/etc/hh-token/hh-token.env", text("The env file, where none is named.")),
    ("/var/lib/hh-token/", text("The state directory of root and of the service.")),
    ("$XDG_STATE_HOME/hh-token/", text("The state directory of anybody else; ~/.local/state/hh-token/ if unset.")),
    ("token.json", text("In it: the pair. Only ever replaced whole.")),
    ("accounts/NAME/", text("In it: the state directories of further accounts.")),
)

EXAMPLES = (
    (text("A first token, and who it is for:"), ("hhtoken login", "hhtoken whoami")),
    (text("What state is it in, and is there anything to do?"), ("hhtoken status", "hhtoken doctor")),
    (
        text("Keep it alive, under systemd, or by cron; only at expiry is HeadHunter asked:"),
        (
            "systemctl enable --now hh-token-refresh.timer hh-token-due.timer hh-token-callback.socket",
            "* * * * * hhtoken refresh",
        ),
    ),
    (
        text("In scripts:"),
        (
            'curl -H "$(hhtoken show --header)" -H "User-Agent: my-bot/1.0 (me@example.com)" https://api.hh.ru/me',
            "hhtoken show --refresh --min-seconds 60 --field access_token",
            "hhtoken exec -- my-bot",
        ),
    ),
    (text("Without HeadHunter, on tokens that live for seconds:"), ("hhtoken sandbox --expires-in 60",)),
)

SEE_ALSO = ("curl(1), systemd.timer(5), systemd.exec(5), crontab(5), sysexits(3)",)

GIVEN_HEADINGS = (text("NAME"), text("SYNOPSIS"), text("DESCRIPTION"), text("OPTIONS"))
SECTIONS = (
    (text("EXIT STATUS"), EXIT_STATUS),
    (text("ENVIRONMENT"), ENVIRONMENT),
    (text("FILES"), FILES),
    (text("EXAMPLES"), EXAMPLES),
    (text("SEE ALSO"), SEE_ALSO),
)
