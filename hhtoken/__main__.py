"""``python3 -m hhtoken``."""

import sys

from hhtoken.main import main

sys.exit(main())
