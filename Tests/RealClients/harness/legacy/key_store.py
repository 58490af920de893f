"""The legacy KeyStore: requests, replies and a short-spelled client. Keys are text."""

import re

import grpc
from harness.client import TIMEOUT_SECONDS, open_channel
from legacy import key_store_pb2 as pb
from legacy import key_store_pb2_grpc

_COUNT = re.compile(r"integer \((0|[1-9]\d*)\)")


def stub(channel: grpc.Channel) -> key_store_pb2_grpc.KeyStoreStub:
    return key_store_pb2_grpc.KeyStoreStub(channel)


def text_of(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def request(call: str, key: bytes | str, arguments: tuple = ()):
    """The request message of a call, named as in harness/model.py."""
    name = pb.Key(key_name=text_of(key))
    if call in ("SET", "LPUSH"):
        return pb.KeyValue(key=name, value=pb.Value(value_name=text_of(arguments[0])))
    if call == "LRANGE":
        return pb.ListRange(key=name, start=arguments[0], stop=arguments[1])
    return name


def value(reply: pb.ResponseVal) -> str | None:
    """The text of a reply, None where it says that there is none."""
    member = reply.WhichOneof("res")
    if member == "noval":
        assert reply.noval is True
        return None
    assert member == "value", reply
    return reply.value.value_name


def count(reply: pb.Status) -> int:
    """N of "integer (N)"."""
    found = _COUNT.fullmatch(reply.result)
    assert found, reply
    return int(found[1])


class KeyStore:
    """`store.set("k", "v")`; replies as the service sends them, but for the text of a value."""

    def __init__(self, address: str, timeout: float = TIMEOUT_SECONDS):
        self.channel = open_channel(address)
        self.stub = stub(self.channel)
        self.timeout = timeout

    def __enter__(self) -> "KeyStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def set(self, key: str, text: str) -> str:
        return self.stub.Set(request("SET", key, (text,)), timeout=self.timeout).result

    def get(self, key: str) -> str | None:
        return value(self.stub.Get(request("GET", key), timeout=self.timeout))

    def delete(self, key: str) -> str:
        return self.stub.Delete(request("DELETE", key), timeout=self.timeout).result

    def lpush(self, key: str, text: str) -> str:
        return self.stub.LPush(request("LPUSH", key, (text,)), timeout=self.timeout).result

    def lrange(self, key: str, start: int = 0, stop: int = -1) -> list[str]:
        reply = self.stub.LRange(request("LRANGE", key, (start, stop)), timeout=self.timeout)
        assert reply.key_name.key_name == key
        return list(reply.data)

    def lpop(self, key: str) -> str | None:
        return value(self.stub.LPop(request("LPOP", key), timeout=self.timeout))

    def raw(self, method: str, message: bytes) -> bytes:
        """The bytes of a reply to bytes of a request."""
        return self.channel.unary_unary(f"/KeyStore/{method}")(message, timeout=self.timeout)

    def code(self, method: str, message: bytes) -> str:
        """How a call with these bytes ended: "OK" or the name of the status."""
        try:
            self.raw(method, message)
            return "OK"
        except grpc.RpcError as error:
            return error.code().name
