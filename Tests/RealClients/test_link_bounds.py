"""A shard that hangs, or gets more calls than it may have in progress: calls wait within bounds,
each one ends with a reason, and clients that don't use that shard are served."""

import asyncio
import selectors

import grpc
import pytest
from harness.client import CHANNEL_OPTIONS, Client, explain
from harness.cluster import Cluster
from harness.memory import Watch
from harness.polling import eventually
from harness.raw_http2 import Connection, headers, message
from harness.slots import keys_of
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

pytestmark = pytest.mark.usefixtures("quick_links")

# Far above what a node needs for these loads, far below what they would take without bounds.
MEMORY_BYTES = 160 << 20
# By docs/OPERATIONS.md so much may be under way to a shard, and so much may wait for it.
LINK_BYTES = (64 << 20) + (64 << 20)
# What an open call may cost besides, and a node for itself.
CALL_BYTES = 3_500
SPARE_BYTES = 32 << 20
SERVICE = "/ringstore.v1.KeyStore/"

CLIENTS = 50


def own(key: bytes, number: int) -> bytes:
    """A key of that client in the slot of `key`."""
    return b"{%s}-%d" % (key, number)


async def _one_client(address: str, number: int, keys: dict[str, bytes], over, seen) -> None:
    """Uses shards a and c without end; and b, whose calls must end one way or the other."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)

        async def others() -> None:
            turn = 0
            while not over.is_set():
                key = keys["ac"[turn % 2]]
                reply = await stub.Get(pb.Key(key=key), timeout=60)
                assert reply.found
                await stub.Set(pb.KeyValue(key=own(key, number), value=b"%d" % turn), timeout=60)
                turn += 1
                seen["served"] += 1

        async def stopped(timeout: float, make) -> None:
            while not over.is_set():
                try:
                    await make(timeout)
                    outcome = "ok"
                except grpc.aio.AioRpcError as error:
                    reason = explain(error).reason
                    outcome = f"{error.code().name} {reason}".strip()
                    await asyncio.sleep(0.01)
                seen[outcome] = seen.get(outcome, 0) + 1

        def read(timeout: float):
            return stub.Get(pb.Key(key=keys["b"]), timeout=timeout)

        def write(timeout: float):
            message = pb.KeyValue(key=own(keys["b"], number), value=b"v" * 10_000)
            return stub.Set(message, timeout=timeout)

        await asyncio.gather(others(), stopped(0.3, read), stopped(60, read), stopped(60, write))


def test_a_stopped_shard_under_load_of_50_clients(cluster):
    with Client(cluster.address) as client:
        slot_map = client.describe().map
        keys = {name: next(keys_of(slot_map, name)) for name in "abc"}
        for key in keys.values():
            client.set(key, b"v")

        async def load() -> dict:
            over, seen = asyncio.Event(), {"served": 0}
            crowd = asyncio.gather(
                *(_one_client(cluster.address, n, keys, over, seen) for n in range(CLIENTS))
            )

            async def until(what: str, reached) -> None:
                async with asyncio.timeout(120):
                    while not reached():
                        assert not crowd.done(), f"while waiting for {what}: {crowd.exception()}"
                        await asyncio.sleep(0.02)

            await until("all at work", lambda: seen["served"] > 10 * CLIENTS and seen.get("ok", 0))
            cluster.shards["b"].pause()
            served = seen["served"]
            await until(
                "the stopped shard's calls ended",
                lambda: {"UNAVAILABLE SHARD_UNAVAILABLE", "UNAVAILABLE OUTCOME_UNKNOWN",
                         "DEADLINE_EXCEEDED"} <= seen.keys(),
            )
            await until("the others continued", lambda: seen["served"] > served + 10 * CLIENTS)
            cluster.shards["b"].resume()
            before = seen["ok"]
            await until("all served again", lambda: seen["ok"] > before + 3 * CLIENTS)
            over.set()
            await crowd
            return seen

        with Watch(cluster.router) as watch:
            seen = asyncio.run(load())
        assert seen.keys() == {
            "served", "ok", "DEADLINE_EXCEEDED", "UNAVAILABLE SHARD_UNAVAILABLE",
            "UNAVAILABLE OUTCOME_UNKNOWN",
        }, seen
        assert watch.peak < MEMORY_BYTES
        for number in range(CLIENTS):
            assert client.set(own(keys["b"], number), b"after").ok


def test_what_a_stopped_shard_cannot_take_waits_within_bounds(cluster):
    """More calls than a link may have under way: they wait, and each one ends in words."""
    with Client(cluster.address) as client:
        slot_map = client.describe().map
        key, other_key = (next(keys_of(slot_map, name)) for name in "ba")
        body = message(pb.KeyValue(key=key, value=b"v" * 12_000).SerializeToString())
        cluster.shards["b"].pause()
        with Watch(cluster.router) as watch:
            crowd = [Connection(cluster.address) for _ in range(30)]
            begun = 0
            for connection in crowd:
                connection.exchange_settings()
                connection.socket.setblocking(False)
            block = headers(SERVICE + "Set")
            for connection in crowd:
                while connection.open_streams < min(1_000, connection.max_streams):
                    if connection.start(block, body) is None:
                        break
                    begun += 1
                connection.flush()
            assert client.set(other_key, b"v").ok
            codes = drain(crowd)
            assert client.set(other_key, b"v").ok
        assert sum(codes.values()) == begun
        # 14: the shard is given up; 8: the call has waited too long.
        assert codes.keys() <= {14, 8}
        # Much less than the 360 MB that were sent, and the streams.
        assert watch.peak < LINK_BYTES + begun * CALL_BYTES + SPARE_BYTES
        cluster.shards["b"].resume()
        eventually(lambda: serves(client, key), "the shard served again")


def serves(client: Client, key: bytes) -> bool:
    try:
        return client.set(key, b"v").ok
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return False


def drain(crowd: list[Connection], seconds: float = 90) -> dict[int, int]:
    """Reads until every stream has ended; gives how many ended with each gRPC status."""
    codes: dict[int, int] = {}
    selector = selectors.DefaultSelector()
    for connection in crowd:
        selector.register(connection, selectors.EVENT_READ)
    waiting = {connection for connection in crowd if connection.open_streams}
    while waiting:
        events = selector.select(timeout=seconds)
        assert events, f"{sum(one.open_streams for one in waiting)} calls without an end"
        for entry, _ in events:
            connection = entry.fileobj
            connection.receive()
            while connection.finished:
                reply = connection.replies.pop(connection.finished.popleft())
                code = reply.grpc_status if reply.reset is None else -1
                codes[code] = codes.get(code, 0) + 1
            assert not connection.closed, "the connection was closed"
            if not connection.open_streams:
                waiting.discard(connection)
        for connection in waiting:
            connection.flush()
    for connection in crowd:
        connection.close()
    selector.close()
    return codes


# --- bounds made small by configuration ------------------------------------------------------


async def crowd(address: str, clients: int, work) -> list:
    """Runs `work(stub, number)` for each client, a connection each; gives what they return."""

    async def one(number: int):
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            return await work(keystore_pb2_grpc.KeyStoreStub(channel), number)

    return await asyncio.gather(*(one(number) for number in range(clients)))


@pytest.mark.parametrize(
    ("bounds", "size"),
    [(("--max-calls-per-shard", "2"), 10), (("--max-bytes-per-shard", "1048576"), 200_000)],
    ids=["calls", "bytes"],
)
def test_calls_beyond_what_a_link_takes_wait_for_their_turn(bounds, size):
    async def work(stub, number: int) -> None:
        for turn in range(15):
            value = b"%d" % number * size
            await stub.Set(pb.KeyValue(key=b"k-%d" % number, value=value[:size]), timeout=60)
            reply = await stub.Get(pb.Key(key=b"k-%d" % number), timeout=60)
            assert reply.value == value[:size], turn

    with Cluster("ab", *bounds) as cluster:
        asyncio.run(crowd(cluster.address, 40, work))


def test_only_calls_that_have_waited_too_long_are_refused():
    in_flight, clients = 5, 30

    async def work(stub, _: int) -> str:
        try:
            await stub.Get(pb.Key(key=b"k"), timeout=60)
            return "ok"
        except grpc.aio.AioRpcError as error:
            told = explain(error)
            assert told.retry_info
            return f"{told.code.name} {told.reason}"

    bounds = ("--max-calls-per-shard", str(in_flight), "--overload-wait-seconds", "1")
    with Cluster("a", *bounds) as cluster:
        with Client(cluster.address) as client:
            client.set(b"k", b"v")
            cluster.shards["a"].pause()
            outcomes = asyncio.run(crowd(cluster.address, clients, work))
            cluster.shards["a"].resume()
            overloaded = outcomes.count("RESOURCE_EXHAUSTED OVERLOADED")
            lost = outcomes.count("UNAVAILABLE SHARD_UNAVAILABLE")
            # Those in flight end with the link; the others when they have waited their second.
            assert (overloaded, lost) == (clients - in_flight, in_flight)
            eventually(lambda: serves(client, b"k"), "the shard served again")


def test_large_replies_that_are_gathered_take_turns():
    """Many-key calls need their replies whole; the router gathers few at a time."""
    keys = [b"large-%d" % number for number in range(8)]

    async def work(stub, _: int) -> None:
        for _ in range(3):
            asked = pb.MGetRequest(keys=[pb.Key(key=key) for key in keys])
            reply = await stub.MGet(asked, timeout=60)
            assert [item.value.value for item in reply.items] == [key * 50_000 for key in keys]

    with Cluster("ab", "--large-reply-memory-bytes", "1048576") as cluster:
        with Client(cluster.address) as client:
            for key in keys:
                client.set(key, key * 50_000)
        with Watch(cluster.router) as watch:
            asyncio.run(crowd(cluster.address, 10, work))
    assert watch.peak < MEMORY_BYTES
