"""A lock with a time to live and a fencing token.

Its holder can lose it without knowing: it was paused for too long. So the lock alone is not safe:
send the token with every write to what the lock guards, and have that refuse a token smaller than
the greatest that it has seen.
"""

import secrets
from contextlib import contextmanager

from ringstore.v1 import keystore_pb2 as pb
from store import connect, repeated


@contextmanager
def lock(store, key: bytes, millis: int):
    """Returns the fencing token, or None if another client holds the lock."""
    owner = secrets.token_bytes(16)
    try:
        taken = store.Set(
            pb.KeyValue(
                key=key, value=owner, ttl_millis=millis, condition=pb.SET_CONDITION_IF_ABSENT),
            timeout=5,
        )
        # Each holder has a greater one than those before.
        yield taken.version if taken.ok else None
    finally:
        # Deletes it only if it is still ours, so it may be done twice. Also after an unknown
        # outcome of Set, which may have taken the lock.
        repeated(
            lambda: store.Delete(pb.DeleteRequest(key=key, if_value=owner), timeout=5),
            idempotent=True)


store = connect()
with lock(store, b"lock:report", 30_000) as token:
    with lock(store, b"lock:report", 30_000) as other:
        print(token is not None, other is None)
with lock(store, b"lock:report", 30_000) as later:
    print(later > token)
