"""What the system says of an operation that failed, as a sentence that can be said in another language. Pure."""

from hhtoken.wording import text


def reason(error):
    """Given an OSError, return the Text of what the system says of it, in lower case."""
    return text((error.strerror or type(error).__name__).lower())


# The usual ones, in the C library's words, for the catalog; any other stays English.
USUAL = (
    text("address already in use"),
    text("bad file descriptor"),
    text("broken pipe"),
    text("cannot allocate memory"),
    text("cannot assign requested address"),
    text("connection refused"),
    text("connection reset by peer"),
    text("connection timed out"),
    text("disk quota exceeded"),
    text("file exists"),
    text("file name too long"),
    text("file too large"),
    text("input/output error"),
    text("interrupted system call"),
    text("invalid argument"),
    text("is a directory"),
    text("name or service not known"),
    text("network is unreachable"),
    text("no route to host"),
    text("no space left on device"),
    text("no such device or address"),
    text("no such file or directory"),
    text("not a directory"),
    text("operation not permitted"),
    text("operation not supported"),
    text("permission denied"),
    text("read-only file system"),
    text("resource temporarily unavailable"),
    text("stale file handle"),
    text("temporary failure in name resolution"),
    text("too many levels of symbolic links"),
    text("too many open files"),
    text("too many open files in system"),
    text("transport endpoint is not connected"),
)
