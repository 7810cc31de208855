"""Reading the head of an HTTP request, strictly: the little that a callback needs, and nothing for anybody else. Pure.

Not http.server's own parser: that takes HTTP/0.9, folds ``//callback`` into ``/callback``, allows 100 headers of
64 KiB each, and echoes an unknown method into its status line.
"""

LONGEST_REQUEST_LINE_BYTES = 8 * 1024
LONGEST_HEAD_BYTES = 16 * 1024
MOST_HEADERS = 50


class Bad(Exception):
    """``status``: the HTTP status to answer with."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Request:
    """``method``, ``path`` (raw, undecoded), ``query``, ``version``; ``header(name)``."""

    __slots__ = ("method", "path", "query", "version", "_headers")

    def __init__(self, method, target, version, headers):
        self.method = method
        self.path, _mark, self.query = target.partition("?")
        self.version = version
        self._headers = headers

    def header(self, name):
        """Return the value of a header given in lower case; None where it is absent. Repeated ones are joined."""
        values = [value for key, value in self._headers if key == name]
        return ", ".join(values) if values else None


def end_of(data):
    """Given the bytes so far, return where the head ends, or None while it does not; raise Bad on an oversized one."""
    ends = [end + len(mark) for mark in (b"\r\n\r\n", b"\n\n") for end in [data.find(mark)] if end >= 0]
    end = min(ends) if ends else None
    first_line = data.find(b"\n", 0, LONGEST_REQUEST_LINE_BYTES)
    if first_line < 0 and len(data) >= LONGEST_REQUEST_LINE_BYTES:
        raise Bad(414)
    if (end or len(data)) > LONGEST_HEAD_BYTES:
        raise Bad(431)
    return end


def parse(head):
    """Given the bytes of a whole head, return the Request; raise Bad."""
    lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1") or not words[0].isalpha():
        raise Bad(400)
    if not words[1] or any(not "!" <= character <= "~" for character in words[1]):
        raise Bad(400)
    if len(lines) - 1 > MOST_HEADERS:
        raise Bad(431)
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Bad(400)
        headers.append((name.lower(), value.strip()))
    return Request(words[0], words[1], words[2], headers)
