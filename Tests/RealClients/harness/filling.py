"""Keys of all kinds in two databases, and whether all of them are there."""

from harness.client import Client
from ringstore.v1 import keystore_pb2 as pb

KEYS = 1_500
# Milliseconds since 1970, far in the future.
FAR = 4_000_000_000_000


def fill(client: Client) -> None:
    """Writes `KEYS` short strings, and 25 keys of other kinds."""
    for number in range(KEYS):
        client.set(b"key-%d" % number, b"value-%d" % number, database=number % 2)
    client.incr(b"number", 907)
    client.set(b"large", bytes(range(256)) * 12_000)
    client.rpush(b"list", *[b"value-%d" % number for number in range(9_000)])
    client.rpush(b"odd list", b"", b"\x00\xff", b"x" * 200_000)
    for number in range(20):
        kept = pb.KeyValue(key=b"expires-%d" % number, value=b"v", expire_at_unix_millis=FAR)
        client.stub.Set(kept, timeout=60)
    client.rpush(b"{t}expiring list", b"v")
    client.stub.Expire(
        pb.ExpireRequest(key=b"{t}expiring list", expire_at_unix_millis=FAR), timeout=60
    )


def check_filled(client: Client) -> None:
    for number in range(0, KEYS, 50):
        assert client.get(b"key-%d" % number, database=number % 2).value == b"value-%d" % number
    assert client.incr(b"number", 0) == 907
    assert client.get(b"large").value == bytes(range(256)) * 12_000
    values = client.lrange(b"list", 0, -1).values
    assert list(values) == [b"value-%d" % number for number in range(9_000)]
    assert list(client.lrange(b"odd list", 0, -1).values) == [b"", b"\x00\xff", b"x" * 200_000]
    for key in (b"expires-7", b"{t}expiring list"):
        assert client.stub.Ttl(pb.Key(key=key), timeout=60).expire_at_unix_millis == FAR
