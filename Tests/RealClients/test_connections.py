"""Connections as hostile and unlucky clients make them: more than there are descriptors, thousands
that end at once, logs that no one reads."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from harness.client import Client
from harness.cluster import HOST, Cluster, start_router, start_shard
from harness.lines import Lines
from harness.polling import eventually
from harness.process import Node, binary, clean_environment
from harness.raw_http2 import PING, PREFACE, SETTINGS, Connection, frame, headers
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

DESCRIPTORS = 64
IDLE = 60
ENHANCE_YOUR_CALM = 11
DENIED = b"-OVERLOADED The node has "
MASS = 6_000
SETTINGS_FRAME = frame(SETTINGS, 0, 0)


def idle_connections(port: int, count: int) -> list[socket.socket]:
    """Clients that speak HTTP/2 and then say nothing."""
    opened = []
    for _ in range(count):
        opened.append(socket.create_connection((HOST, port), 20))
        opened[-1].sendall(PREFACE + SETTINGS_FRAME)
    return opened


def processor_seconds(node: Node) -> float:
    fields = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(node: Node) -> int:
    return len(os.listdir(f"/proc/{node.pid}/fd"))


# --- Descriptors ---------------------------------------------------------------------------------


def test_a_node_keeps_descriptors_for_administration_when_clients_want_all(key):
    """60 idle connections where 64 files may be open: some are refused in words, none spins."""
    node = Node("shard", "--id", "a", "--port", "0", descriptors=DESCRIPTORS)
    with ExitStack() as stack:
        for client in idle_connections(node.port, IDLE):
            stack.callback(client.close)
        # Places of the reserve are free again soon, because what has them is refused.
        eventually(lambda: "too_many_connections: The node has" in words(node), "words", 60)
        eventually(lambda: administered(node), "administration", 60)
        eventually(lambda: denied_line(node), "words on the line port", 60)
        assert open_files(node) < DESCRIPTORS
        assert not node.log_lines("can be accepted")
        assert 1 <= len(node.log_lines("refusing a connection")) < 30
    # Those connections are gone, and everyone is served.
    with Client(node.address) as client:
        eventually(lambda: served(client, key), "calls of clients", 30)
    assert node.stop() == 0


def words(node: Node) -> str:
    """Why a call of a client is refused."""
    try:
        with Client(node.address) as client:
            client.size()
            return "served"
    except grpc.RpcError as error:
        return error.details()


def denied_line(node: Node) -> bool:
    try:
        with Lines(node.line_port) as lines:
            return lines.line().startswith(DENIED)
    except (EOFError, ConnectionError):
        return False


def administered(node: Node) -> bool:
    try:
        with Client(node.address) as client:
            assert client.stats()["ringstore_connections_refused_total"] > 0
            return True
    except grpc.RpcError:
        return False


def served(client: Client, key: bytes) -> bool:
    try:
        client.set(key, b"v")
        return True
    except grpc.RpcError:
        return False


def test_a_link_comes_back_to_a_shard_whose_clients_hold_all_connections(key):
    shard = Node("shard", "--id", "a", "--port", "0", descriptors=DESCRIPTORS)
    with ExitStack() as stack:
        for client in idle_connections(shard.port, IDLE):
            stack.callback(client.close)
        router = start_router({"a": shard})
        stack.callback(router.stop)
        with Client(router.address) as client:
            eventually(lambda: served(client, key), "a call over the link", 60)
            # Links are no clients: the connection stays beyond the time of administration.
            assert client.stats()["ringstore_connections_links"] == 2
    assert shard.stop() == 0


def test_a_shard_has_files_for_its_snapshot_while_both_ports_are_flooded(key, tmp_path):
    shard = Node(
        "shard", "--id", "a", "--port", "0", "--data-dir", str(tmp_path), "--admin-port", "0",
        descriptors=DESCRIPTORS,
    )
    with ExitStack() as stack:
        client = stack.enter_context(Client(shard.address))
        client.set(key, b"v")
        # What is closed for a newer connection of the flood has no descriptor any more.
        for client_of_flood in idle_connections(shard.port, IDLE):
            stack.callback(client_of_flood.close)
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection((HOST, shard.admin_port), 20))
        for _ in range(3):
            client.set(key, b"w")
            progress = list(client.cluster.Snapshot(cluster_pb2.SnapshotRequest(), timeout=20))
            assert [state.complete for state in progress[-1].shards] == [True]
        assert not shard.log_lines("can be accepted")
    assert shard.stop() == 0


def test_accepting_pauses_without_descriptors_and_continues(key):
    """The limit is lowered under a running node, which no count can foresee."""
    node = start_shard("a")
    with Client(node.address) as client:
        client.set(key, b"v")
        soft, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (open_files(node), hard))
        waiting = socket.create_connection((HOST, node.line_port), 60)
        waiting.sendall(b"GET " + key + b"\n")
        eventually(lambda: node.log_lines("no connection can be accepted"), "a warning", 20)
        before = processor_seconds(node)
        time.sleep(2)
        assert processor_seconds(node) - before < 0.5, "it spins"
        assert client.get(key).value == b"v"
        assert len(node.log_lines("no connection can be accepted")) == 1
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert waiting.recv(100).startswith(b"+v")
        eventually(lambda: node.log_lines("accepting connections again"), "the all-clear", 20)
        waiting.close()
    assert node.stop() == 0


def test_connections_are_bounded_by_settings():
    node = start_shard("a", "--max-connections", "3", "--max-connections-per-address", "2")
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(Lines(node.line_port)).ask(b"PING") == b"+PONG"
        with Lines(node.line_port) as third:
            denied = b"-OVERLOADED The node has 2 connections of your address already.\r\n"
            assert third.rest() == denied
        raw = Connection(node.address)
        assert raw.call("/ringstore.v1.KeyStore/Get").grpc_status == 8
        raw.close()
        elsewhere = ("127.0.0.2", 0)
        other = socket.create_connection((HOST, node.line_port), 20, source_address=elsewhere)
        stack.callback(other.close)
        other.sendall(b"PING\n")
        assert other.recv(100) == b"+PONG\r\n"
    assert node.stop() == 0


# --- Peers that vanish ---------------------------------------------------------------------------


def test_a_client_that_vanished_is_found_and_cut():
    """It replies to no PING: for its peer, a stopped process looks like a lost host."""
    node = start_shard("a", "--keepalive-seconds", "1", "--keepalive-timeout-seconds", "1")
    silent = idle_connections(node.port, 5)
    with Client(node.address) as client:
        name = "ringstore_connections_cut_keepalive_timeout_total"
        eventually(lambda: client.stats()[name] == 5, "five cuts", 30)
        # grpcio replies to PINGs.
        assert client.stats()["ringstore_connections_open"] >= 1
    for one in silent:
        one.close()
    assert node.stop() == 0


def test_the_system_watches_sockets_of_both_ports_and_of_links():
    with Cluster("a") as cluster, Lines(cluster.line_port) as lines, Client(cluster.address) as one:
        assert lines.ask(b"PING") == b"+PONG"
        one.size()
        shard = cluster.shards["a"].port
        # Sent bytes that are not acknowledged yet have another timer for a moment.
        for port in (cluster.router.port, cluster.line_port, shard):
            eventually(lambda port=port: are_watched(LOCAL, port), f"a watch on port {port}", 20)
        eventually(lambda: are_watched(PEER, shard), "a watch on links", 20)


LOCAL, PEER = 3, 4


def are_watched(side: int, port: int) -> bool:
    """Whether the system's keep-alive is set for all sockets with this port on one side."""
    shown = subprocess.run(["ss", "-tnoH"], capture_output=True, text=True, check=True).stdout
    found = [line for line in shown.splitlines() if line.split()[side].endswith(f":{port}")]
    return bool(found) and all("timer:(keepalive" in line for line in found)


def test_a_line_connection_may_be_idle_for_so_long_only():
    node = start_shard("a", "--line-idle-seconds", "1")
    with Lines(node.line_port) as lines, Client(node.address) as client:
        assert lines.ask(b"PING") == b"+PONG"
        here = "%s:%d" % lines.socket.getsockname()
        assert lines.rest() == b""
        assert client.stats()["ringstore_connections_cut_idle_total"] == 1
        assert node.log_lines(f" cutting a line connection peer={here} reason=idle")
    assert node.stop() == 0


def test_a_channel_without_calls_is_drained_and_connects_again(key):
    node = start_shard("a", "--idle-seconds", "1")
    with Client(node.address) as client, Client(node.address) as other:
        client.set(key, b"v")
        # The one that asks is not idle.
        name = "ringstore_connections_cut_idle_total"
        eventually(lambda: other.stats()[name] == 1, "the end of an idle connection", 30)
        assert client.get(key).value == b"v"
    assert node.stop() == 0


def test_calls_continue_while_connections_grow_old(key):
    """Every second the router has the client connect again; no call of it fails. (With retries as
    gRPC's clients have them: grpcio repeats a call that GOAWAY has met by itself, but now and then
    reports "Stream removed" for one that it has not sent yet. Such a call is made again here.)"""
    policy = {
        "maxAttempts": 5, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    retries = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    arguments = ("--max-connection-age-seconds", "1", "--max-connection-age-grace-seconds", "20")
    name = "ringstore_router_connections_cut_max_age_total"
    with Cluster("ab", *arguments, shard_arguments=arguments) as cluster:
        options = (("grpc.enable_retries", 1), ("grpc.service_config", retries))
        with Client(cluster.address, *options) as client:
            done = removed = 0

            def made(call):
                nonlocal removed
                try:
                    return call()
                except grpc.RpcError as error:
                    if "Stream removed (GOAWAY received" not in error.details():
                        raise
                    removed += 1
                    return call()

            def has_moved() -> bool:
                nonlocal done
                for _ in range(200):
                    done += 1
                    made(lambda: client.set(key, b"%d" % done))
                    assert made(lambda: client.get(key)).value == b"%d" % done
                return made(client.stats)[name] >= 4

            eventually(has_moved, "four connections, one after the other", 60)
            stats = made(client.stats)
            assert removed <= stats[name], "one at most for each connection"
            assert stats["ringstore_router_connections_cut_max_age_grace_total"] == 0
            # The links are older than that by now.
            assert stats["ringstore_router_link_reconnects_total"] == 0
        assert not cluster.router.log_lines("link lost")


def test_how_often_clients_may_ping_is_a_setting():
    arguments = ("--min-ping-seconds", "0", "--min-idle-ping-seconds", "0")
    for more, are_welcome in ((arguments, True), ((), False)):
        node = start_shard("a", *more)
        raw = Connection(node.address)
        raw.exchange_settings()
        raw.out += frame(PING, 0, 0, b"12345678") * 20
        if are_welcome:
            assert raw.call("/ringstore.v1.KeyStore/DbSize").grpc_status == 0
        else:
            raw.flush()
            while not raw.closed:
                raw.receive()
            assert raw.goaway is not None and raw.goaway[1] == ENHANCE_YOUR_CALM
        raw.close()
        assert node.stop() == 0


def test_a_link_may_ping_every_second():
    """As routers do, to find out whether a shard is alive; five minutes is what others must wait.
    A link that has not said Hello gets no frame, which would forgive its PINGs."""
    node = start_shard("a")
    link, other = "/ringstore.internal.v1.Link/Exchange", "/ringstore.v1.KeyStore/Pipeline"
    for path, is_welcome in ((link, True), (other, False)):
        raw = Connection(node.address)
        raw.exchange_settings()
        raw.start(headers(path), end=False)
        for _ in range(6):
            # No client pings more often than it has replies; the pause is the client's own.
            raw.finish()
            if raw.closed:
                break
            time.sleep(0.6)
        assert raw.closed != is_welcome, path
        if not is_welcome:
            assert raw.goaway_text == b"too_many_pings"
        raw.close()
    assert node.stop() == 0


def test_the_reason_of_an_end_reaches_the_application(served, key):
    """gRPC's own library tells it, because there is one GOAWAY and no empty one behind it."""
    options = (
        ("grpc.keepalive_time_ms", 500),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_retries", 0),
    )
    with Client(served.address, *options) as client:
        request = pb.PopRequest(key=key, wait_millis=60_000)
        with pytest.raises(grpc.RpcError) as ended:
            client.stub.LPop(request, timeout=60)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "too_many_pings" in ended.value.details(), ended.value.details()


def test_a_router_that_was_stopped_itself_gives_up_no_link(key):
    """Longer than a shard has for its reply, several times in succession."""
    with Cluster("a") as cluster, Client(cluster.address) as client:
        client.set(key, b"v")
        for _ in range(3):
            cluster.router.process.send_signal(signal.SIGSTOP)
            time.sleep(2.5)
            cluster.router.process.send_signal(signal.SIGCONT)
            assert client.get(key).value == b"v"
        assert client.stats()["ringstore_router_link_reconnects_total"] == 0
        assert not cluster.router.log_lines("link lost")


# --- Many at once --------------------------------------------------------------------------------


def test_thousands_of_connections_that_end_at_once_cost_no_link(key):
    with Cluster("a") as cluster, Client(cluster.address) as client:
        client.set(key, b"v")
        arguments = [str(cluster.router.port), str(MASS), (PREFACE + SETTINGS_FRAME).hex()]
        crowd = subprocess.Popen(
            [sys.executable, "-c", _CROWD, *arguments],
            stdout=subprocess.PIPE,
        )
        opened = int(crowd.stdout.readline())
        name = "ringstore_router_connections_open"
        eventually(lambda: client.stats()[name] > opened, "all of them", 60)
        crowd.kill()
        # Calls continue while they are put away; none fails, and no link is given up.
        eventually(lambda: calls_until_closed(client, key), "the end of the crowd", 60)
        crowd.wait()
        assert client.stats()["ringstore_router_link_reconnects_total"] == 0
        assert not cluster.router.log_lines("link lost")


def calls_until_closed(client: Client, key: bytes) -> bool:
    for _ in range(50):
        assert client.incr(key + b"-n") > 0
    return client.stats()["ringstore_router_connections_open"] <= 1


# As many connections as this process may have, held until it is killed.
_CROWD = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(min(int(sys.argv[2]), hard - 100)):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    held[-1].sendall(bytes.fromhex(sys.argv[3]))
print(len(held), flush=True)
sys.stdin.read()
import time
time.sleep(1000)
"""


# --- Logs ----------------------------------------------------------------------------------------


def test_hostile_connections_write_few_lines_and_are_all_counted():
    node = start_shard("a")
    with Client(node.address) as client:
        for _ in range(2_000):
            one = socket.create_connection((HOST, node.port), 20)
            one.sendall(b"this is no preface of HTTP/2, and long enough to be seen as such\r\n")
            while one.recv(1_000):
                pass
            one.close()
        name = "ringstore_connections_cut_protocol_error_total"
        eventually(lambda: client.stats()[name] == 2_000, "a count of each", 20)
        lines = node.log_lines("cutting a connection")
        assert 1 <= len(lines) < 200
        suppressed = eventually(lambda: counted(node) == 2_000, "a count in the log", 20)
        assert suppressed
    assert node.stop() == 0


def counted(node: Node) -> int:
    total = 0
    for line in node.log_lines("cutting a connection"):
        fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
        total += int(fields.get("suppressed", 1))
    return total


def test_a_log_that_no_one_reads_stops_nothing(key):
    reader, writer = os.pipe()
    # The smallest pipe there is, and full from the beginning.
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4_096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    process = subprocess.Popen(
        [binary(), "shard", "--id", "a", "--port", "0", "--line-port", "0", "--log-level", "debug"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=clean_environment(),
    )
    try:
        port = int(process.stdout.readline().split()[-1])
        for _ in range(500):
            one = socket.create_connection((HOST, port), 20)
            one.sendall(b"this is no preface of HTTP/2, and long enough to be seen as such\r\n")
            while one.recv(1_000):
                pass
            one.close()
        with Client(f"{HOST}:{port}") as client:
            client.set(key, b"v")
            assert client.get(key).value == b"v"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)
