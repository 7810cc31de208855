"""The errors that the token endpoint of HeadHunter documents, as one table.

Source: ``hhru/api``, ``docs/errors.md``. The slug of a refusal is its description with underscores for spaces, so
``token deactivated`` is demanded as ``token_deactivated``.
"""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One error of the token endpoint: HTTP status, ``error``, ``error_description``."""

    status: int
    error: str
    description: str

    @property
    def slug(self):
        return self.description.replace(" ", "_")

    @property
    def document(self):
        """The body of the answer, without its request id."""
        return {"error": self.error, "error_description": self.description}


DOCUMENTED = (
    Refusal(400, "invalid_request", "account not found"),  # the client_secret is not the client_id's own
    Refusal(400, "invalid_request", "account is locked"),
    Refusal(400, "invalid_request", "password invalidated"),
    Refusal(400, "invalid_request", "login not verified"),
    Refusal(400, "invalid_request", "bad redirect url"),
    Refusal(400, "invalid_request", "token is empty"),
    Refusal(400, "invalid_request", "token not found"),
    Refusal(400, "invalid_request", "code not found"),
    Refusal(400, "invalid_client", "client_id or client_secret not found"),  # or the application was removed
    Refusal(400, "invalid_grant", "token has already been refreshed"),
    Refusal(400, "invalid_grant", "token not expired"),
    Refusal(400, "invalid_grant", "token was revoked"),
    Refusal(400, "invalid_grant", "bad token"),
    Refusal(400, "invalid_grant", "code has already been used"),
    Refusal(400, "invalid_grant", "code expired"),
    Refusal(400, "invalid_grant", "code was revoke"),
    Refusal(400, "invalid_grant", "token deactivated"),
    Refusal(400, "unsupported_grant_type", "unsupported grant_type"),
    Refusal(403, "forbidden", "app token refresh too early"),
)

# HeadHunter documents neither PKCE nor repeated parameters; these two follow RFC 7636 §4.6 and RFC 6749 §3.2.
UNDOCUMENTED = (
    Refusal(400, "invalid_grant", "bad code verifier"),
    Refusal(400, "invalid_request", "repeated parameter"),
)

REFUSALS = {refusal.slug: refusal for refusal in DOCUMENTED + UNDOCUMENTED}


class Refused(Exception):
    """The token endpoint says no; ``refusal`` is the row of the table. Nothing was spent."""

    def __init__(self, slug):
        super().__init__(slug)
        self.refusal = REFUSALS[slug]


class BadAccess(Exception):
    """The API says no to an access token; ``value`` is one of HeadHunter's values of an ``oauth`` error."""

    def __init__(self, value):
        super().__init__(value)
        self.value = value
