"""The pages that the browser is shown, in the language that it asks for. Pure: fixed texts, nothing from the request.

They load nothing, are never cached, and may not be framed; the one style sheet is allowed by its hash.
"""

import base64
import functools
import hashlib
from http import HTTPStatus

from hhtoken.text import N_

AUTHORIZED = "authorized"
DENIED = "denied"
REFUSED = "refused"
TRY_LATER = "try_later"
FAILED = "failed"

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1.5em}"
    "h1{font-size:1.5em;margin:0 0 .5em}p{margin:.5em 0}"
    "main{border-left:.35em solid #8a8a8a;padding-left:1.2em}"
    "main.good{border-color:#2e8b57}main.bad{border-color:#dc143c}"
    "footer{margin-top:2.5em;font-size:.8em;opacity:.65}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Connection", "close"),
)

NEXT_AUTHORIZE = N_("Run hhtoken login and open the new address.")
NEXT_SHORTER = N_(
    "Delete the cookies of this site, or use a private window; then run hhtoken login and open the new address."
)
TOO_LONG = N_("This request is too long"), N_("No return from HeadHunter is of that size."), NEXT_SHORTER

# name, or status of a refusal -> (HTTP status, title, what happened, what to do next)
PAGES = {
    AUTHORIZED: (
        200,
        N_("Authorized"),
        N_("HeadHunter has issued a token, and it is stored."),
        N_("You can close this window."),
    ),
    DENIED: (
        200,
        N_("Access was denied"),
        N_("HeadHunter says that the access was not granted. Nothing was stored."),
        N_("To try again, run hhtoken login and open the new address."),
    ),
    REFUSED: (
        400,
        N_("This address is not valid"),
        N_("It has expired, was already used, or is not the whole address."),
        NEXT_AUTHORIZE,
    ),
    TRY_LATER: (
        503,
        N_("Temporarily unavailable"),
        N_("The server is busy with the stored token, or cannot write. Nothing was used up."),
        N_("Look at its messages (journalctl -t hhtoken), then reload this page."),
    ),
    FAILED: (
        502,
        N_("No token was obtained"),
        N_("HeadHunter did not exchange the code for a token. A token that was stored before is untouched."),
        N_("Look at the messages (journalctl -t hhtoken), then run hhtoken login and open that address."),
    ),
    400: (
        400,
        N_("This request is not accepted"),
        N_("It did not come by https, or is not what a browser sends. Nothing was used up."),
        N_("nginx must set X-Forwarded-Proto, as its site from hhtoken does; then reload this page."),
    ),
    404: (404, N_("Not found"), N_("Nothing is here."), ""),
    405: (405, N_("Not found"), N_("Only GET is answered here. Nothing was used up."), NEXT_AUTHORIZE),
    414: (414, *TOO_LONG),
    421: (
        421,
        N_("This is another address"),
        N_("The browser asked for a host that HH_REDIRECT_URI does not name. Nothing was used up."),
        N_("Correct HH_REDIRECT_URI, or the Host that nginx passes on; then run hhtoken login again."),
    ),
    431: (431, *TOO_LONG),
}


@functools.cache  # a dozen pages in two languages: junk must not cost a look into a catalog
def response(name, tongue, say):
    """Given a page's name, or the status of a refusal, a language, and what says a Text in a language, return a whole
    HTTP response."""
    status, *sentences = PAGES[name]
    look = "good" if name == AUTHORIZED else "bad"
    body = _html(look, tongue, *(say(sentence, tongue) for sentence in sentences))
    allowed = [("Allow", "GET")] if status == 405 else []
    return _head(status, *HEADERS, ("Content-Length", len(body)), *allowed) + body


def redirect(address):
    """Given an address, return the whole HTTP response that sends the browser on to it."""
    return _head(302, ("Location", address), *HEADERS[1:], ("Content-Length", 0))


def _head(status, *headers):
    lines = [f"HTTP/1.0 {status} {HTTPStatus(status).phrase}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join((*lines, "", "")).encode()


NO_CONTENT = _head(204, *HEADERS[1:])  # for a prefetch


def language(accept_language):
    """Given an Accept-Language header or None, return "ru" or "en", whichever it prefers (RFC 9110 12.5.4)."""
    best, best_weight = "en", 0.0
    for item in (accept_language or "").lower().split(",")[:20]:
        tag, _semicolon, parameter = item.partition(";")
        tongue = tag.strip().partition("-")[0]
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if tongue in ("ru", "en") and weight > best_weight:
            best, best_weight = tongue, weight
    return best


def _html(look, tongue, title, happened, next_step):
    paragraphs = "".join(f"<p>{sentence}</p>" for sentence in (happened, next_step) if sentence)
    return (
        f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head>'
        f'<body><main class="{look}"><h1>{title}</h1>{paragraphs}</main><footer>hhtoken</footer></body></html>\n'
    ).encode()
