"""The errors that the token endpoint of HeadHunter documents, as one table.

Source: ``hhru/api``, ``docs/errors.md``. The slug of a refusal is its description with underscores for spaces, so
``token deactivated`` is demanded as ``token_deactivated``.
"""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One documented error: HTTP status, ``error``, ``error_description``, and when it arises in the sandbox."""

    status: int
    error: str
    description: str
    arises: str

    @property
    def slug(self):
        return self.description.replace(" ", "_")

    @property
    def document(self):
        """The body of the answer, without its request id."""
        return {"error": self.error, "error_description": self.description}


DOCUMENTED = (
    Refusal(400, "invalid_request", "account not found", "the client_id is right, the client_secret is not its own"),
    Refusal(400, "invalid_request", "account is locked", "the account is set to locked"),
    Refusal(400, "invalid_request", "password invalidated", "the account is set to password_invalidated"),
    Refusal(400, "invalid_request", "login not verified", "the account is set to login_not_verified"),
    Refusal(400, "invalid_request", "bad redirect url", "redirect_uri is not the one of the authorization request"),
    Refusal(400, "invalid_request", "token is empty", "no refresh_token in the form"),
    Refusal(400, "invalid_request", "token not found", "a refresh_token that was never issued"),
    Refusal(400, "invalid_request", "code not found", "a code that was never issued, or none"),
    Refusal(400, "invalid_client", "client_id or client_secret not found", "unknown client, or application removed"),
    Refusal(400, "invalid_grant", "token has already been refreshed", "the refresh_token was used before"),
    Refusal(400, "invalid_grant", "token not expired", "the access token of this pair still lives"),
    Refusal(400, "invalid_grant", "token was revoked", "the user revoked the access, or the client invalidated it"),
    Refusal(400, "invalid_grant", "bad token", "the refresh_token holds characters that no token has"),
    Refusal(400, "invalid_grant", "code has already been used", "the code was exchanged before"),
    Refusal(400, "invalid_grant", "code expired", "the code is older than its life"),
    Refusal(400, "invalid_grant", "code was revoke", "access revoked or password changed before the exchange"),
    Refusal(400, "invalid_grant", "token deactivated", "the user changed the password"),
    Refusal(400, "unsupported_grant_type", "unsupported grant_type", "wrong grant_type, or no form body"),
    Refusal(403, "forbidden", "app token refresh too early", "application token asked twice within five minutes"),
)

# HeadHunter documents neither PKCE nor repeated parameters; these two follow RFC 7636 §4.6 and RFC 6749 §3.2.
UNDOCUMENTED = (
    Refusal(400, "invalid_grant", "bad code verifier", "code_verifier does not match the code_challenge"),
    Refusal(400, "invalid_request", "repeated parameter", "a parameter stands in the form more than once"),
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
