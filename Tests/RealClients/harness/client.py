"""The stock gRPC client (grpcio) with the generated stubs, and what its errors carry."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from ringstore.v1 import cluster_pb2, cluster_pb2_grpc
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

# Generous, because other work may have the cores: where it passes, something hangs.
TIMEOUT_SECONDS = 60.0
ERROR_DOMAIN = "ringstore"

CHANNEL_OPTIONS = (
    # A connection of its own for each channel; by default channels to one address share it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def open_channel(
    address: str,
    *more: tuple[str, object],
    credentials: grpc.ChannelCredentials | None = None,
) -> grpc.Channel:
    """`more` options win over ours. With credentials it is encrypted."""
    options = (*CHANNEL_OPTIONS, *more)
    if credentials is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, credentials, options=options)


class Client:
    """Short spellings for the calls that most tests make; `stub` has every call as generated."""

    def __init__(
        self,
        address: str,
        *options: tuple[str, object],
        credentials: grpc.ChannelCredentials | None = None,
    ):
        self.address = address
        self.channel = open_channel(address, *options, credentials=credentials)
        self.stub = keystore_pb2_grpc.KeyStoreStub(self.channel)
        self.cluster = cluster_pb2_grpc.ClusterStub(self.channel)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, key: bytes, value: bytes, database: int = 0) -> pb.Status:
        message = pb.KeyValue(key=key, value=value, database=database)
        return self.stub.Set(message, timeout=TIMEOUT_SECONDS)

    def get(self, key: bytes, database: int = 0) -> pb.Value:
        return self.stub.Get(pb.Key(key=key, database=database), timeout=TIMEOUT_SECONDS)

    def delete(self, key: bytes, database: int = 0) -> pb.Status:
        message = pb.DeleteRequest(key=key, database=database)
        return self.stub.Delete(message, timeout=TIMEOUT_SECONDS)

    def exists(self, key: bytes) -> pb.Status:
        return self.stub.Exists(pb.Key(key=key), timeout=TIMEOUT_SECONDS)

    def type(self, key: bytes) -> int:
        return self.stub.Type(pb.Key(key=key), timeout=TIMEOUT_SECONDS).type

    def lpush(self, key: bytes, *values: bytes) -> pb.Status:
        return self.stub.LPush(pb.ListInsert(key=key, values=values), timeout=TIMEOUT_SECONDS)

    def rpush(self, key: bytes, *values: bytes) -> pb.Status:
        return self.stub.RPush(pb.ListInsert(key=key, values=values), timeout=TIMEOUT_SECONDS)

    def lpop(self, key: bytes) -> pb.Value:
        return self.stub.LPop(pb.Key(key=key), timeout=TIMEOUT_SECONDS)

    def rpop(self, key: bytes) -> pb.Value:
        return self.stub.RPop(pb.Key(key=key), timeout=TIMEOUT_SECONDS)

    def llen(self, key: bytes) -> int:
        return self.stub.LLen(pb.Key(key=key), timeout=TIMEOUT_SECONDS).count

    def lrange(self, key: bytes, start: int, stop: int) -> pb.ListValues:
        message = pb.ListRange(key=key, start=start, stop=stop)
        return self.stub.LRange(message, timeout=TIMEOUT_SECONDS)

    def incr(self, key: bytes, delta: int = 1) -> int:
        message = pb.IncrByRequest(key=key, delta=delta)
        return self.stub.IncrBy(message, timeout=TIMEOUT_SECONDS).value

    def keys(self, **pattern: bytes) -> list[bytes]:
        """Every key that matches, sorted: keys(glob=...), keys(regex=...), keys(prefix=...)."""
        request = pb.KeysRequest(pattern=pb.Pattern(**pattern) if pattern else None)
        return sorted(self.stub.Keys(request, timeout=TIMEOUT_SECONDS).keys)

    def scan(self, timeout: float = TIMEOUT_SECONDS, **request: object) -> Iterator[pb.ScanPage]:
        """The pages of a scan: scan(pattern=pb.Pattern(...), page_size=10)."""
        return self.stub.Scan(pb.ScanRequest(**request), timeout=timeout)

    def lstream(
        self, key: bytes, start: int = 0, stop: int = -1, timeout: float = TIMEOUT_SECONDS,
        **request: object,
    ) -> Iterator[pb.ListValues]:
        """The chunks of a range of a list."""
        message = pb.ListRange(key=key, start=start, stop=stop, **request)
        return self.stub.LRangeStream(message, timeout=timeout)

    def stats(self) -> dict[str, int]:
        request = cluster_pb2.StatsRequest()
        return dict(self.cluster.Stats(request, timeout=TIMEOUT_SECONDS).counters)

    def shutdown(self, whole_cluster: bool = False) -> None:
        request = cluster_pb2.ShutdownRequest(whole_cluster=whole_cluster)
        self.cluster.Shutdown(request, timeout=TIMEOUT_SECONDS)

    def size(self, **request: object) -> int:
        return self.stub.DbSize(pb.DbSizeRequest(**request), timeout=TIMEOUT_SECONDS).keys

    def reset(self, **request: object) -> int:
        reply = self.stub.Reset(pb.ResetRequest(**request), timeout=TIMEOUT_SECONDS)
        return reply.keys_removed

    def describe(self) -> cluster_pb2.DescribeResponse:
        return self.cluster.Describe(cluster_pb2.DescribeRequest(), timeout=TIMEOUT_SECONDS)


@dataclass
class Refusal:
    """What a refused call said: filled when the `refused` block ends."""

    code: grpc.StatusCode | None = None
    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_info: bool = False
    trailers: dict[str, object] = field(default_factory=dict)


def explain(error: grpc.RpcError) -> Refusal:
    """Reads an error as any gRPC user would, details included."""
    trailers = dict(error.trailing_metadata() or ())
    refusal = Refusal(error.code(), error.details() or "", trailers=trailers)
    # Checks that code and message inside the details agree with the call's own.
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == ERROR_DOMAIN
            refusal.reason = info.reason
            refusal.metadata = dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            refusal.retry_info = True
    return refusal


@contextmanager
def refused(code: str, reason: str | None = None) -> Iterator[Refusal]:
    """The block's call must end with this status code and, if given, this ErrorInfo reason."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    refusal.__dict__.update(explain(caught.value).__dict__)
    assert refusal.code == grpc.StatusCode[code], refusal
    assert reason is None or refusal.reason == reason, refusal
    assert refusal.message, "an error without a sentence"


_ids = itertools.count(1)


def call(method: str, message: object, **fields: object) -> pb.Call:
    """One call for a Pipeline: call("GET", pb.Key(key=b"k")), with an id of its own."""
    request = message if isinstance(message, bytes) else message.SerializeToString()
    fields.setdefault("id", next(_ids))
    return pb.Call(method=pb.Method.Value(f"METHOD_{method}"), request=request, **fields)


def pipeline(client: Client, *batches: list[pb.Call]) -> dict[int, pb.Reply]:
    """Sends the batches on one stream and gives the replies by id."""
    stream = client.stub.Pipeline(
        iter(pb.CallBatch(calls=batch) for batch in batches), timeout=60.0
    )
    replies: dict[int, pb.Reply] = {}
    for batch in stream:
        for reply in batch.replies:
            assert reply.id not in replies, f"id {reply.id} has two replies"
            replies[reply.id] = reply
    return replies
