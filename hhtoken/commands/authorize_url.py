"""``hhtoken authorize-url``: remember a fresh state and verifier, print the address to open."""

from hhtoken import arguments as argument_types
from hhtoken import config, invitation, reporting
from hhtoken.pending_state import LIFE_SECONDS

SUMMARY = "print the address to open in a browser, to authorize"


def add_arguments(parser):
    parser.add_argument("--force-login", action="store_true", help="show the login form even when logged in")
    parser.add_argument("--skip-choose-account", action="store_true", help="skip the choice between accounts")
    parser.add_argument(
        "--role",
        type=argument_types.one_of("applicant", "employer"),
        metavar="applicant|employer",
        help="which kind of account to log in with",
    )


def run(arguments):
    reporting.result(invitation.invite(config.load(arguments), _options(arguments)))
    reporting.message(
        f"open this address in a browser within {LIFE_SECONDS // 60} minutes, while 'hhtoken serve-callback', or "
        "hh-token-callback.socket, waits for it; or paste the address that it ends up on into 'hhtoken exchange'"
    )
    reporting.event("an authorization was started")
    return 0


def _options(arguments):
    options = []
    if arguments.force_login:
        options.append(("force_login", "true"))
    if arguments.skip_choose_account:
        options.append(("skip_choose_account", "true"))
    if arguments.role:
        options.append(("role", arguments.role))
    return options
