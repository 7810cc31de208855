"""What many tests need: where things are, a pair, a moment, how hard hypothesis tries."""

from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

PAIR = {"access_token": "ACCESS", "refresh_token": "REFRESH"}
NOW = 1_700_000_000

SLOW = [HealthCheck.too_slow]  # says more about the machine than about the code
QUICK = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)
