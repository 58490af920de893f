"""All keys of a pattern, in pages; after an error it continues where it stopped."""

from collections.abc import Iterator

import grpc
from ringstore.v1 import keystore_pb2 as pb
from store import Failure, connect


def keys(store, prefix: bytes) -> Iterator[bytes]:
    """Keys that are there during the whole scan come at least once; others may come or not."""
    token = b""
    while True:
        request = pb.ScanRequest(
            pattern=pb.Pattern(prefix=prefix), page_size=1_000, resume_token=token)
        try:
            for page in store.Scan(request, timeout=60):
                yield from page.keys
                token = page.resume_token
            return
        except grpc.RpcError as error:
            if not Failure(error).may_pass:
                raise


store = connect()
items = [pb.KeyValue(key=b"user:%d" % number, value=b"x") for number in range(2_500)]
store.MSet(pb.MSetRequest(items=items), timeout=10)
print(len(set(keys(store, b"user:"))))
