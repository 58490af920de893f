"""The legacy KVStore: a short-spelled client. Keys are text, values are 32-bit integers."""

from harness.client import TIMEOUT_SECONDS, open_channel
from legacy import kv_store_pb2 as pb
from legacy import kv_store_pb2_grpc


class KVStore:
    """`store.set("k", 1)`, `store.get("k")`: None where nothing is found."""

    def __init__(self, address: str, timeout: float = TIMEOUT_SECONDS):
        self.channel = open_channel(address)
        self.stub = kv_store_pb2_grpc.KVStoreStub(self.channel)
        self.timeout = timeout

    def __enter__(self) -> "KVStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def set(self, key: str, value: int) -> bool:
        request = pb.SetRequest(key=key, value=value)
        return self.stub.SetVal(request, timeout=self.timeout).success

    def get(self, key: str) -> int | None:
        reply = self.stub.GetVal(pb.GetRequest(key=key), timeout=self.timeout)
        assert reply.found or reply.value == 0
        return reply.value if reply.found else None

    def raw(self, method: str, message: bytes) -> bytes:
        """The bytes of a reply to bytes of a request."""
        return self.channel.unary_unary(f"/KVStore/{method}")(message, timeout=self.timeout)
