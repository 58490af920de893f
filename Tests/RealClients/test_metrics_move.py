"""Metrics move when what they tell of happens: those that alerts read, and what runbooks look at.

test_admin_port.py has the catalogue, the texts, and the counters of calls and bytes.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import Client, explain, refused
from harness.cluster import HOST, start_router, start_shard
from harness.collector import Collector
from harness.disk import Disk
from harness.lines import Lines
from harness.metrics import scrape
from harness.polling import eventually
from harness.process import Node, run
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

ADMIN = ("--admin-port", "0")
# A shard keeps 64 MiB free.
DISK_BYTES = 96 << 20
LIMIT = 16 << 20
CHUNK = b"v" * 100_000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
def begin() -> Iterator[Callable[..., Node]]:
    """Starts a node; all end with the test."""
    started: list[Node] = []

    def begin(start: Callable[..., Node], *arguments) -> Node:
        started.append(start(*arguments, *ADMIN))
        return started[-1]

    yield begin
    for node in reversed(started):
        node.stop()


def figure(node: Node, name: str, **labels: str) -> float:
    return scrape(node.admin_port)[f"ringstore_{name}"].value(**labels)


def count(node: Node, name: str, **labels: str) -> float:
    """How many durations a histogram has."""
    samples = scrape(node.admin_port)[f"ringstore_{name}"].samples
    return sum(
        value for (own, given), value in samples.items()
        if own.endswith("_count") and set(labels.items()) <= set(given))


def becomes(expected: float, node: Node, name: str, **labels: str) -> None:
    """Scrapes that come close together get the same figures, so it may take more than one."""
    seen: list[float] = []

    def is_there() -> bool:
        seen[:] = [figure(node, name, **labels)]
        assert seen == [expected]
        return True

    eventually(is_there, f"{name} {labels} is {expected}")


def fill(client: Client, keys: int, size: int) -> int:
    """Returns how many keys were refused."""
    refusals = 0
    for first in range(0, keys, 500):
        items = [
            pb.KeyValue(key=b"key:%08d" % number, value=b"v" * size)
            for number in range(first, min(first + 500, keys))]
        outcomes = client.stub.MSet(pb.MSetRequest(items=items), timeout=60).items
        refusals += sum(outcome.HasField("error") for outcome in outcomes)
    return refusals


# The node and the process


def test_a_node_tells_its_version_and_its_cluster(begin):
    shard = begin(start_shard, "a", "--cluster", "mine")
    families = scrape(shard.admin_port)
    assert families["ringstore_build_info"].value() == 1
    (_, labels), = families["ringstore_build_info"].samples
    assert dict(labels)["version"] in run("--version").stdout
    assert families["ringstore_node_info"].value(cluster="mine") == 1


def test_work_costs_time_of_the_processor(begin):
    shard = begin(start_shard, "a")

    def seconds() -> float:
        return scrape(shard.admin_port)["process_cpu_seconds_total"].value()

    with Client(shard.address) as client:
        before = seconds()
        eventually(lambda: fill(client, 1_000, 100) == 0 and seconds() > before, "more time")


def test_a_loop_counts_its_ticks_and_its_turns(begin):
    shard = begin(start_shard, "a")
    before = figure(shard, "loop_ticks_total", loop="0")
    ticks = count(shard, "loop_tick_duration_seconds")
    with Client(shard.address) as client:
        fill(client, 60_000, 10)
        # A search of many keys takes turns.
        turns = figure(shard, "loop_turns_total", loop="0")
        client.keys(glob=b"nothing*")
    eventually(lambda: figure(shard, "loop_turns_total", loop="0") > turns, "more turns")
    assert figure(shard, "loop_ticks_total", loop="0") > before
    assert count(shard, "loop_tick_duration_seconds", loop="0") > ticks
    # Never without any delay: the question goes to another thread.
    assert 0 < figure(shard, "loop_delay_seconds", loop="0")


# Connections


def test_connections_past_the_limit_are_counted_as_refused(begin):
    shard = begin(start_shard, "a", "--max-connections", "2")
    assert figure(shard, "connections_max") == 2
    refusals = {"kind": "refused", "reason": "too_many_connections"}
    assert figure(shard, "connections_ended_total", **refusals) == 0
    with Lines(shard.line_port) as one, Lines(shard.line_port) as other:
        assert one.ask(b"PING") == other.ask(b"PING") == b"+PONG"
        with Lines(shard.line_port) as third:
            assert third.rest().startswith(b"-OVERLOADED")
        becomes(1, shard, "connections_ended_total", **refusals)
        assert figure(shard, "connections", kind="client") == 2
    assert figure(shard, "connections_accepted_total") >= 2
    becomes(0, shard, "connections", kind="client")


def test_a_connection_that_breaks_a_rule_is_counted_as_cut(begin):
    shard = begin(start_shard, "a", "--keepalive-seconds", "1", "--keepalive-timeout-seconds", "1")
    silent = socket.create_connection((HOST, shard.port))
    # No PING gets a reply.
    silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
    becomes(1, shard, "connections_ended_total", kind="cut", reason="keepalive_timeout")
    silent.close()


def test_handshakes_are_completed_or_abandoned(begin):
    with Certificates() as made:
        shard = begin(start_shard, "a", *made.server("shard"))
        context = made.context()

        def handshakes(result: str) -> float:
            families = scrape(shard.admin_port, context=context)
            return families["ringstore_tls_handshakes_total"].value(result=result)

        assert handshakes("completed") == handshakes("abandoned") == 0
        socket.create_connection((HOST, shard.port)).close()
        with Client(shard.address, credentials=made.credentials()) as client:
            client.set(b"key", b"value")
        eventually(lambda: handshakes("completed") == 1, "the client's handshake")
        eventually(lambda: handshakes("abandoned") == 1, "the other one")


def test_a_call_that_waits_and_one_that_is_reset_are_counted(begin):
    shard = begin(start_shard, "a")
    with Client(shard.address) as client:
        pop = client.stub.LPop.future(pb.PopRequest(key=b"l", wait_millis=600_000), timeout=900)
        becomes(1, shard, "parked_calls")
        assert figure(shard, "call_parks_total") == 1
        assert figure(shard, "call_resets_total") == 0
        pop.cancel()
        becomes(1, shard, "call_resets_total")
        assert figure(shard, "parked_calls") == 0


def test_a_call_of_a_method_that_there_is_not_is_refused_by_the_transport(begin):
    shard = begin(start_shard, "a")
    assert figure(shard, "transport_refusals_total") == 0
    with Client(shard.address) as client:
        with pytest.raises(grpc.RpcError) as refusal:
            client.channel.unary_unary("/ringstore.v1.KeyStore/Nothing")(b"", timeout=60)
        assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
        becomes(1, shard, "transport_refusals_total")


# Links, shards and maps


def test_a_shard_that_restarts_is_counted_and_so_are_its_links(begin):
    shard = begin(start_shard, "a")
    router = begin(start_router, {"a": shard}, "--threads", "2")
    becomes(1, router, "link_up", shard="a")
    assert figure(router, "shard_restarts_total") == 0
    assert figure(router, "link_reconnects_total") == 0
    shard.kill()
    becomes(0, router, "link_up", shard="a")
    shard.restart()
    becomes(2, router, "link_reconnects_total")
    assert figure(router, "shard_restarts_total") == 1


def test_calls_on_a_link_are_counted_while_they_wait(begin):
    shard = begin(start_shard, "a")
    bounds = ("--max-calls-per-shard", "2", "--overload-wait-seconds", "60")
    router = begin(start_router, {"a": shard}, *bounds, "--slowlog-millis", "1")
    link = {"shard": "a", "lane": "calls"}
    # A client each: while one of its calls waits, nothing more is read from a connection.
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(router.address)) for _ in range(5)]
        for client in clients:
            client.set(b"key", b"value")
        waited, slow = count(router, "link_wait_seconds"), figure(router, "slow_calls_total")
        shard.pause()
        calls = [client.stub.Get.future(pb.Key(key=b"key"), timeout=60) for client in clients]
        becomes(3, router, "link_calls_waiting", **link)
        assert figure(router, "link_calls_in_flight", **link) == 2
        shard.resume()
        assert all(call.result().value == b"value" for call in calls)
    eventually(lambda: count(router, "link_wait_seconds") >= waited + 3, "the waits")
    assert figure(router, "slow_calls_total") >= slow + 5
    assert figure(router, "link_calls_in_flight", **link) == 0


def test_a_change_of_the_shards_is_a_new_map_everywhere(begin, tmp_path):
    shards = {name: begin(start_shard, name) for name in "ab"}
    file = tmp_path / "router.yaml"

    def list_shards() -> None:
        lines = [f"  - {name}={shard.address}" for name, shard in shards.items()]
        file.write_text("\n".join(["shards:", *lines, ""]))

    list_shards()
    router = begin(start_router, {}, f"--config={file}")
    for node in (router, *shards.values()):
        becomes(1, node, "map_epoch")
    assert figure(router, "map_shards") == 2
    shards["c"] = begin(start_shard, "c")
    list_shards()
    done = run("admin", "reload", "--server", router.address)
    assert done.returncode == 0, done.stderr
    for node in (router, *shards.values()):
        becomes(2, node, "map_epoch")
    assert figure(router, "map_shards") == 3
    # A shard gets its slots after the map, and scrapes that come close together are the same.
    eventually(
        lambda: sum(figure(shard, "slots_owned") for shard in shards.values()) == 16384,
        "all slots have an owner")


# Keys and memory


def test_a_key_that_expires_is_counted(begin):
    shard = begin(start_shard, "a")
    with Client(shard.address) as client:
        client.stub.Set(pb.KeyValue(key=b"long", value=b"v", ttl_millis=900_000), timeout=60)
        becomes(1, shard, "keys_expiring")
        assert figure(shard, "keys_expired_total") == 0
        client.stub.Set(pb.KeyValue(key=b"short", value=b"v", ttl_millis=1), timeout=60)
        becomes(1, shard, "keys_expired_total")
        assert figure(shard, "keys_expiring") == 1 == client.size()


def test_a_key_that_is_evicted_is_counted(begin):
    settings = ("--max-memory", str(LIMIT), "--eviction-policy", "allkeys-lru")
    shard = begin(start_shard, "a", *settings)
    assert figure(shard, "keys_evicted_total") == 0
    with Client(shard.address) as client:
        assert fill(client, 25_000, 1_000) == 0
        becomes(25_000 - client.size(), shard, "keys_evicted_total")
    assert figure(shard, "keys_evicted_total") > 5_000
    assert figure(shard, "memory_refusals_total") == 0


def test_a_write_that_memory_has_no_room_for_is_counted(begin):
    shard = begin(start_shard, "a", "--max-memory", str(LIMIT))
    assert figure(shard, "memory_limit_bytes", kind="store_used") == LIMIT
    empty = figure(shard, "memory_bytes", kind="store_used")
    with Client(shard.address) as client:
        fill(client, 5_000, 1_000)
        eventually(
            lambda: figure(shard, "memory_bytes", kind="store_used") - empty >= 5_000_000, "used")
        refusals = fill(client, 25_000, 1_000)
        assert refusals > 5_000
        becomes(refusals, shard, "memory_refusals_total")
        used = figure(shard, "memory_bytes", kind="store_used")
        # What the last write takes may be more than there was left.
        assert LIMIT * 0.9 < used < LIMIT + len(CHUNK)
        client.reset()
        eventually(
            lambda: figure(shard, "memory_bytes", kind="store_used") < LIMIT / 2, "given back")


def test_memory_that_is_kept_for_readers_is_reported_and_so_is_its_end(begin):
    patient = begin(start_shard, "a")
    strict = begin(start_shard, "b", "--max-pinned-bytes", str(1 << 20))
    for shard in (patient, strict):
        with Client(shard.address) as client, Client(shard.address) as reader:
            for _ in range(80):
                client.rpush(b"list", CHUNK, CHUNK, CHUNK)
            stream = reader.lstream(b"list")
            next(stream)
            assert figure(shard, "views_expired_total") == 0
            client.delete(b"list")
            if shard is patient:
                eventually(lambda: figure(patient, "store_pinned_bytes") > 1 << 20, "pinned")
                assert figure(patient, "views") == 1
                stream.cancel()
            else:
                client.set(b"another", b"v")
                becomes(1, strict, "views_expired_total")
                with refused("ABORTED", "VIEW_EXPIRED"):
                    list(stream)
        becomes(0, shard, "store_pinned_bytes")
        becomes(0, shard, "views")


# The log


@needs_root
def test_a_full_disk_is_reported_as_long_as_it_is_full(begin, tmp_path):
    with Disk(tmp_path / "disk", DISK_BYTES) as disk:
        shard = begin(start_shard, "a", "--data-dir", str(disk.path / "data"))
        becomes(1, shard, "node_state", state="serving")
        assert figure(shard, "log_disk_full") == 0
        ballast = disk.path / "ballast"
        ballast.write_bytes(bytes(DISK_BYTES // 2))
        with Client(shard.address) as client:
            eventually(lambda: is_refused(client, "DISK_FULL"), "a refusal")
            becomes(1, shard, "log_disk_full")
            ballast.unlink()
            becomes(0, shard, "log_disk_full")
            eventually(lambda: not is_refused(client, "DISK_FULL"), "writes come back")
        shard.stop()


def is_refused(client: Client, reason: str) -> bool:
    try:
        client.set(b"key", CHUNK)
    except grpc.RpcError as error:
        assert explain(error).reason == reason
        return True
    return False


def test_a_pass_is_counted_and_tells_when_it_was(begin, tmp_path):
    shard = begin(start_shard, "a", "--data-dir", str(tmp_path / "a"))
    begun = time.time()
    becomes(1, shard, "node_state", state="serving")
    assert figure(shard, "passes_total", result="completed") == 0
    assert figure(shard, "pass_last_completed_timestamp_seconds") == 0
    with Client(shard.address) as client:
        fill(client, 20_000, 1_000)
    done = run("admin", "snapshot", "--server", shard.address)
    assert done.returncode == 0, done.stderr
    becomes(1, shard, "passes_total", result="completed")
    assert figure(shard, "passes_total", result="abandoned") == 0
    assert figure(shard, "pass_running") == 0
    assert figure(shard, "pass_last_duration_seconds") > 0
    ended = figure(shard, "pass_last_completed_timestamp_seconds")
    # The node's clock is this machine's, and its steps are small.
    assert begun - 5 < ended < time.time() + 5


def test_changes_that_are_not_synced_have_an_age(begin, tmp_path):
    shard = begin(start_shard, "a", "--data-dir", str(tmp_path / "a"), "--fsync", "everysec")
    becomes(1, shard, "node_state", state="serving")
    writes = count(shard, "log_write_duration_seconds")
    with Client(shard.address) as client:

        def has_an_age() -> bool:
            client.set(b"key", b"value")
            return figure(shard, "log_unsynced_seconds") > 0

        eventually(has_an_age, "a change that isn't synced")
    becomes(0, shard, "log_unsynced_seconds")
    assert count(shard, "log_write_duration_seconds") > writes


def test_a_backup_is_counted_while_it_runs_and_tells_when_it_was(begin):
    shard = begin(start_shard, "a")
    started = time.time()
    assert figure(shard, "backups_running") == 0
    assert figure(shard, "backup_last_completed_timestamp_seconds") == 0
    with Client(shard.address) as client:
        # More than a client that doesn't read has room for.
        for number in range(200):
            client.set(b"key-%d" % number, CHUNK)
        pieces = client.cluster.Backup(cluster_pb2.BackupRequest(), timeout=600)
        next(pieces)
        becomes(1, shard, "backups_running")
        assert sum(piece.complete for piece in pieces) == 1
        becomes(0, shard, "backups_running")
    ended = figure(shard, "backup_last_completed_timestamp_seconds")
    assert started - 5 < ended < time.time() + 5


# Traces


def test_spans_wait_until_a_collector_has_taken_them(begin):
    with Collector() as collector:
        collector.held.set()
        traced = ("--trace-sample-ratio", "1", *collector.flags)
        shard = begin(start_shard, "a", *traced)
        with Client(shard.address) as client:
            assert figure(shard, "trace_spans_waiting") == 0
            client.set(b"key", b"value")
            eventually(lambda: collector.requests == 1, "the first batch")
            # The next ones wait behind it.
            for _ in range(5):
                client.get(b"key")
            eventually(lambda: figure(shard, "trace_spans_waiting") >= 5, "spans that wait")
            assert figure(shard, "trace_exports_total", result="ok") == 0
            collector.release()
            becomes(6, shard, "trace_spans_total", outcome="exported")
            becomes(0, shard, "trace_spans_waiting")
            exports = figure(shard, "trace_exports_total", result="ok")
            failures = figure(shard, "trace_exports_total", result="failed")
            assert exports >= 1
            collector.status = 400
            client.get(b"key")
            becomes(1, shard, "trace_spans_total", outcome="failed")
            assert figure(shard, "trace_exports_total", result="failed") > failures
            assert figure(shard, "trace_exports_total", result="ok") == exports
