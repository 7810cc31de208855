"""``python3 -m hhtoken``."""

import sys

from hhtoken.doorway import main

sys.exit(main())
