"""What a test may want to know afterwards: how many token requests came, and what became of each. Never a secret.

Names come from clients and may be anything, so only those that OAuth knows are repeated.
"""

import threading
from collections import Counter, deque

REMEMBERED_REQUESTS = 1000
OTHER = "(other)"
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials", "password")
PARAMETERS = (
    "grant_type code redirect_uri client_id client_secret refresh_token code_verifier scope state username password"
).split()


def grant_name(grant_type):
    """Given the grant type of a form, return a name that is safe to show; "(none)" where there was none."""
    return "(none)" if not grant_type else grant_type if grant_type in GRANT_TYPES else OTHER


class RequestLog:
    """Counters and the last thousand token requests."""

    def __init__(self):
        self._lock = threading.Lock()
        self.clear()

    def clear(self):
        self._by_grant = Counter()
        self._last = deque(maxlen=REMEMBERED_REQUESTS)
        self._followed_redirects = 0

    def add_followed_redirect(self):
        with self._lock:
            self._followed_redirects += 1

    def add(self, form, at, answer, sent):
        """Note a token request: its form, when (Unix seconds), its Answer, and whether a status line goes out."""
        error, description = answer.error
        entry = {
            "at": round(at, 3),
            "grant_type": grant_name(form.get("grant_type")),
            "parameters": sorted({name if name in PARAMETERS else OTHER for name in form}),
            "status": answer.status if sent else None,
            "error": error,
            "error_description": description,
            "fault": answer.fault or None,
        }
        with self._lock:
            self._by_grant[entry["grant_type"]] += 1
            self._last.append(entry)

    def summary(self):
        """Return the counters and the entries, the oldest first."""
        with self._lock:
            return {
                "token_requests": dict(self._by_grant),
                "followed_redirects": self._followed_redirects,
                "requests": list(self._last),
            }
