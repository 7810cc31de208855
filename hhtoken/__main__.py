"""``python3 -m hhtoken``, and bin/hhtoken. An old Python must be able to read it."""

import sys

if sys.version_info < (3, 9):  # noqa: UP036
    message = "hhtoken: error: hhtoken needs Python 3.9 or newer; this is Python {}.{}\n"
    sys.stderr.write(message.format(*sys.version_info[:2]))
    sys.exit(78)

from hhtoken.main import run  # noqa: E402

run()
