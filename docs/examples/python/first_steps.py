"""Values, misses, conditions and errors."""

import grpc
from ringstore.v1 import keystore_pb2 as pb
from store import Failure, connect, repeated

store = connect()

# Every call has a deadline. What it bounds is the wait: a write may have been executed.
store.Set(pb.KeyValue(key=b"greeting", value=b"hello"), timeout=5)
print(store.Get(pb.Key(key=b"greeting"), timeout=5).value)

# A key that is missing is no error.
print(store.Get(pb.Key(key=b"missing"), timeout=5).found)

# A condition that isn't met is none either.
once = pb.KeyValue(key=b"greeting", value=b"again", condition=pb.SET_CONDITION_IF_ABSENT)
print(store.Set(once, timeout=5).ok)

# Errors carry a reason, which stays the same while sentences may change.
try:
    store.LPush(pb.ListInsert(key=b"greeting", values=[b"x"]), timeout=5)
except grpc.RpcError as error:
    print(Failure(error).reason)

# While a shard restarts, calls on its keys fail at once. A read is repeated.
print(repeated(lambda: store.Get(pb.Key(key=b"greeting"), timeout=5), idempotent=True).value)
