"""Waiting for something to become true: with a deadline, never with a bare sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02

Seen = TypeVar("Seen")


def eventually(probe: Callable[[], Seen], what: str, seconds: float = 10.0) -> Seen:
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
