"""What a sandbox is started with. Every figure here can be changed on the command line or in ``start``."""

from typing import NamedTuple, Optional

from hhtoken.sandbox.users import APPLICANT

CLIENT_ID = "SANDBOX-CLIENT-ID"
# Fixed and public on purpose: it opens nothing but the sandbox, and a secret must never be typed as an argument.
CLIENT_SECRET = "SANDBOX-CLIENT-SECRET-THAT-IS-NO-SECRET"
REDIRECT_URI = "http://127.0.0.1:8000/callback"

EXPIRES_IN_SECONDS = 60  # HeadHunter: 1209600 (14 days); nobody wants to wait that long [869]
CODE_EXPIRES_IN_SECONDS = 300  # HeadHunter says only "rather short"
LONGEST_LIFE_SECONDS = 10 * 365 * 86400  # beyond that, clients' date arithmetic is tested by weather, not by this

ALLOW, DENY = "allow", "deny"  # what an unattended sandbox answers in the user's place


# What a client sends that was never told its own name, and the sample of HeadHunter's documents [296].
BLACKLIST = ("python-requests/", "MyApp/1.0 (my-app-feedback@example.com)")


class Settings(NamedTuple):
    """The registered application, the lives of tokens and codes (seconds), and the manners of the server."""

    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    redirect_uri: str = REDIRECT_URI
    expires_in: int = EXPIRES_IN_SECONDS
    code_expires_in: int = CODE_EXPIRES_IN_SECONDS
    role: str = APPLICANT  # who signs in, one of users.ROLES
    auto: Optional[str] = None  # None asks the user on a page; ALLOW or DENY answers at once
    blacklist: tuple[str, ...] = BLACKLIST  # beginnings of a User-Agent that are refused
    drip_seconds: float = 0.05  # pause between two bytes of a slow answer: about 12 s for a pair
    hang_seconds: float = 600  # how long a hanging answer is held; longer than any sane client waits
