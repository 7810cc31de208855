"""Whose page came back from the redirect URI. Pure."""

from hhtoken.authorization import pages

OURS = "ours"  # hhtoken's listener
NOT_HTTPS = "not_https"  # hhtoken's, which misses X-Forwarded-Proto
OTHER_HOST = "other_host"  # hhtoken's, which was asked for under another name
DOWN_PAGE = "down_page"  # nginx in front of a listener that does not answer
BUSY = "busy"  # nginx holds off too many visits
NOT_FOUND = "not_found"
WELCOME = "welcome"  # Debian's default site
ROUTER = "router"  # KeenDNS, or a Keenetic router
GATEWAY = "gateway"  # someone in front found nobody behind
REDIRECT = "redirect"
STRANGER = "stranger"


def whose(status, headers, body):
    """Given the status, the headers (names in lower case) and the body of an answer to a request for the redirect URI
    without parameters, return one of the constants above."""
    if "<footer>hhtoken</footer>" in body:
        if status == 421:
            return OTHER_HOST
        return NOT_HTTPS if pages.PAGES[400][1] in body else OURS
    if status == 429:
        return BUSY
    if "<footer>hhtoken " in body:
        return DOWN_PAGE
    if "Welcome to nginx" in body:
        return WELCOME
    if any(word in (headers.get("server", "") + body).lower() for word in ("keendns", "keenetic", "ndms")):
        return ROUTER
    if status in (301, 302, 303, 307, 308):
        return REDIRECT
    if status in (502, 503, 504):
        return GATEWAY
    return NOT_FOUND if status == 404 else STRANGER
