"""So many calls in each window of time, counted over all clients: one call of the store each."""

import time
import uuid

from ringstore.v1 import keystore_pb2 as pb
from store import connect


def allows(store, who: str, calls: int, seconds: int) -> bool:
    """Counts a call, and returns whether it is one of the first in its window.

    The counter is a key that goes by itself: its time to live is set by the call that makes it.
    """
    window = int(time.time()) // seconds
    count = store.IncrBy(
        pb.IncrByRequest(
            key=f"rate:{who}:{window}".encode(), delta=1, ttl_millis=2_000 * seconds),
        timeout=1,
    )
    return count.value <= calls


store = connect()
# A user of this run's own: earlier runs have used up the calls of theirs.
who = f"ada-{uuid.uuid4().hex}"
# A window of a day, so that no other window begins meanwhile (except at midnight).
print([allows(store, who, calls=3, seconds=86_400) for _ in range(5)])
