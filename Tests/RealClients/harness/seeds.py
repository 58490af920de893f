"""The seed of random tests: printed when a test fails, taken back from RINGSTORE_TEST_SEED."""

import os
import time
from functools import cache


@cache
def seed() -> int:
    """One number for the whole run. pytest shows what was printed along with a failure."""
    given = os.environ.get("RINGSTORE_TEST_SEED")
    chosen = int(given) if given else time.time_ns() % 1_000_000
    return chosen
