"""``python3 -m hhtoken``."""

import sys

from hhtoken.cli import main

sys.exit(main())
