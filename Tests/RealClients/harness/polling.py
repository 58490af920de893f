"""Waiting for something to become true: with a deadline, never with a bare sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02
# Generous, because other work may have the cores: where it passes, something hangs.
WAIT_SECONDS = 60.0

Seen = TypeVar("Seen")


def eventually(probe: Callable[[], Seen], what: str, seconds: float = WAIT_SECONDS) -> Seen:
    """The first true result of `probe`; AssertionError naming `what` past the limit.

    An AssertionError inside the probe counts as "not yet" and is shown if it never passes.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last seen: {last!r})")
        time.sleep(POLL_SECONDS)
