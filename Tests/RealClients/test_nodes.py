"""What administrators see of one node and do to it: connections, the log's level, slow calls,
settings, its end."""

import json
import signal
import socket
import struct
from concurrent import futures

import grpc
import pytest
from harness.client import Client
from harness.cluster import Cluster
from harness.metrics import page, scrape
from harness.polling import eventually
from harness.process import run
from harness.terminal import COLUMNS, CTRL_C, Terminal
from ringstore.v1 import cluster_pb2, keystore_pb2


@pytest.fixture
def cluster():
    with Cluster() as started:
        yield started


def admin(cluster, *words: str, status: int = 0) -> str:
    done = run("admin", *words, "--server", cluster.router.address)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def connections(cluster, *words: str) -> list[dict]:
    return json.loads(admin(cluster, "clients", "--json", *words))["connections"]


def lines_of(cluster) -> list[dict]:
    return [each for each in connections(cluster) if each["kind"] == "line"]


def test_connections_are_listed_with_what_they_do(cluster):
    with Client(cluster.router.address) as client:
        for number in range(7):
            client.set(b"key-%d" % number, b"value")
        host, port = "127.0.0.1", cluster.line_port
        with socket.create_connection((host, port)) as line:
            line.sendall(b"GET key-1\r\n")
            assert line.recv(100) == b"+value\r\n"
            (shown,) = lines_of(cluster)
            assert shown["address"] == "%s:%d" % line.getsockname()
            assert (shown["calls"], shown["encrypted"], shown["user"]) == (1, False, "")
            calls = [each["calls"] for each in connections(cluster) if each["kind"] == "grpc"]
            assert max(calls) >= 7
    # Seen from a shard, the router's links are there as well.
    assert {each["kind"] for each in connections(cluster, "--node", "a")} == {"link"}
    assert "ADDRESS" in admin(cluster, "clients")


def test_a_connection_that_is_ended_is_gone_and_the_others_continue(cluster):
    host, port = "127.0.0.1", cluster.line_port
    with Client(cluster.router.address) as client, socket.create_connection((host, port)) as line:
        line.sendall(b"PING\r\n")
        assert line.recv(100) == b"+PONG\r\n"
        (shown,) = lines_of(cluster)
        client.set(b"key", b"value")
        admin(cluster, "kill", shown["id"])
        assert line.recv(100) == b""
        assert client.get(b"key").value == b"value"
        assert client.stats()["ringstore_router_connections_cut_administrator_total"] == 1
    assert "no connection" in admin(cluster, "kill", shown["id"], status=1)


@pytest.mark.parametrize("lane", [0, 1])
def test_a_link_is_ended_after_the_reply_that_it_carries(cluster, lane):
    link = sorted(links_of_shard(cluster), key=int)[lane]
    admin(cluster, "kill", link, "--node", "a")

    def is_replaced():
        links = links_of_shard(cluster)
        return len(links) == 2 and link not in links

    eventually(is_replaced, "another link", 30)


def links_of_shard(cluster) -> list[str]:
    """None while the router connects."""
    done = run("admin", "clients", "--json", "--node", "a", "--server", cluster.router.address)
    if done.returncode != 0:
        return []
    return [each["id"] for each in json.loads(done.stdout)["connections"]]


def test_the_level_of_the_log_is_changed_while_a_node_runs(cluster):
    assert admin(cluster, "loglevel").strip() == "info"
    assert json.loads(admin(cluster, "loglevel", "error", "--node", "b", "--json")) == {
        "level": "error",
        "configured": "info",
    }
    assert admin(cluster, "loglevel", "--node", "b").strip().startswith("error")
    # The others have theirs.
    assert admin(cluster, "loglevel").strip() == "info"
    assert "must be trace" in admin(cluster, "loglevel", "loud", status=1)


def cut(cluster) -> str:
    """Ends in a connection that the router cuts. Returns the address it came from."""
    with socket.create_connection(("127.0.0.1", cluster.router.port)) as wrong:
        wrong.sendall(b"no HTTP/2 " * 10)
        while wrong.recv(1_000):
            pass
        return "%s:%d" % wrong.getsockname()


def reset(cluster) -> None:
    """A client's end that a router tells of at the level debug."""
    with socket.create_connection(("127.0.0.1", cluster.line_port)) as line:
        line.sendall(b"PING\r\n")
        assert line.recv(100) == b"+PONG\r\n"
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_level_holds_for_the_lines_that_are_written_from_then_on(cluster):
    router, told = cluster.router, "connection failed"
    shown = cut(cluster)
    eventually(lambda: router.log_lines(shown), "a line of a connection that is cut")
    reset(cluster)
    admin(cluster, "loglevel", "error")
    unseen = cut(cluster)
    admin(cluster, "loglevel", "debug")
    assert not router.log_lines(told)
    reset(cluster)
    eventually(lambda: router.log_lines(told), "a line of the new level")
    assert not router.log_lines(unseen)


def test_the_slow_log_is_that_of_the_admin_port_and_can_be_cleared():
    large = ("--slowlog-bytes", "1000", "--admin-port", "0")
    with Cluster("ab", *large, shard_arguments=(*large, "--slowlog-keys", "key")) as cluster:
        with Client(cluster.router.address) as client:
            for number in range(12):
                client.set(b"key-%d" % number, b"x" * (2_000 + number))
            client.stub.Get(keystore_pb2.Key(key=b"small"), timeout=60)
        shown = {"router": cluster.router, **cluster.shards}
        counts = {}
        for name, node in shown.items():
            on_page = page(node.admin_port, "/slowlog")
            assert all(entry.pop("node") == name for entry in on_page["largest"])
            words = ("slowlog", "--json", "--count", "1000", "--node", name)
            told = json.loads(admin(cluster, *words))
            # Ticks may be slow or not.
            assert told["largest"] == on_page["largest"] and told["large_bytes"] == 1_000
            counts[name] = len(told["largest"])
        assert counts["router"] == 12 == counts["a"] + counts["b"]
        few = json.loads(admin(cluster, "slowlog", "--json", "--reset"))["largest"]
        assert len(few) == 10
        assert [entry["request_bytes"] for entry in few] == sorted(
            (entry["request_bytes"] for entry in few), reverse=True
        )
        assert "error" not in {entry["outcome"] for entry in few}
        assert json.loads(admin(cluster, "slowlog", "--json"))["largest"] == []
        table = admin(cluster, "slowlog", "--node", "a")
        assert "calls of 1000 B or more" in table and '"key-' in table and " set " in table
        # What was counted stays, and of the shards nothing was forgotten.
        counted = scrape(cluster.router.admin_port)["ringstore_large_calls_total"].value()
        assert counted == 12
        assert len(page(cluster.shards["a"].admin_port, "/slowlog")["largest"]) == counts["a"]


def test_a_slow_log_that_keeps_nothing_says_so():
    off = ("--slowlog-bytes", "0", "--slowlog-millis", "0")
    with Cluster("a", *off) as cluster:
        assert json.loads(admin(cluster, "slowlog", "--json")) == {
            "slow_millis": None,
            "large_bytes": None,
            "slowest": [],
            "largest": [],
        }
        assert admin(cluster, "slowlog").count("not kept") == 2


def test_the_settings_are_those_of_the_admin_port():
    given = ("--admin-port", "0", "--max-items", "77")
    with Cluster("ab", *given, shard_arguments=given) as cluster:
        for name, node in {"router": cluster.router, **cluster.shards}.items():
            told = json.loads(admin(cluster, "config", "--json", "--node", name))
            assert told == page(node.admin_port, "/config")
            from_flag = {"value": 77, "source": "flag", "from": "--max-items"}
            assert told["settings"]["max_items"] == from_flag
            assert told["kind"] == ("router" if name == "router" else "shard")
            assert told["settings"].get("id", {}).get("value") in (None, name)
        table = admin(cluster, "config").splitlines()
        assert any(line.split() == ["max_items", "77", "--max-items"] for line in table)
        assert any(line.split() == ["drain_seconds", "10", "default"] for line in table)


def test_a_shard_is_drained_by_its_name_and_the_others_continue(cluster):
    with Client(cluster.router.address) as client:
        admin(cluster, "drain", "--node", "b")
        assert cluster.shards["b"].wait() == 0

        def is_away():
            nodes = client.cluster.Describe(cluster_pb2.DescribeRequest(), timeout=60).nodes
            return {node.id: node.state for node in nodes}["b"] == cluster_pb2.Node.UNREACHABLE

        eventually(is_away, "the shard is away")
        states = client.cluster.Describe(cluster_pb2.DescribeRequest(), timeout=60).nodes
        assert sum(node.state == cluster_pb2.Node.SERVING for node in states) >= 2


def test_top_tells_of_each_node_what_it_does(cluster):
    with Client(cluster.router.address) as client:
        for number in range(20):
            client.set(b"key-%d" % number, b"value")
        looked = json.loads(admin(cluster, "top", "--json", "--count", "1", "--interval", "0.1"))
    nodes = {node["id"]: node for node in looked["nodes"]}
    assert set(nodes) == {"router", *cluster.shards}
    assert sum(node["keys"] for name, node in nodes.items() if name != "router") == 20
    assert all(node["calls_per_second"] is not None for node in nodes.values())
    assert all(node["memory_limit_bytes"] is None for node in nodes.values())
    assert "BUSIEST" in admin(cluster, "top", "--count", "1", "--interval", "0.1", "--node", "a")


def test_top_on_a_terminal_is_drawn_in_its_place_until_it_is_stopped(cluster):
    words = ("admin", "top", "--interval", "0.1", "--server", cluster.router.address)
    home = "\x1b[H\x1b[2J"
    with Terminal(*words, environment={}) as terminal, Client(cluster.router.address) as client:
        terminal.expect(home)
        client.set(b"key", b"value")
        # A table each, from the corner of the screen, with all nodes.
        for _ in range(3):
            table = terminal.expect(home)
            assert table.count("NODE") == 1 and "BUSIEST" in table
            lines = table.splitlines()
            for name in ("router", *cluster.shards):
                assert sum(line.split()[:1] == [name] for line in lines) == 1, table
            assert all(len(line) <= COLUMNS for line in lines)

        def tells_of_the_key() -> bool:
            rows = [line.split() for line in terminal.expect(home).splitlines()]
            keys = [row[6] for row in rows if row and row[0] in cluster.shards]
            return sorted(keys) == ["0", "0", "1"]

        eventually(tells_of_the_key, "the key in the table")
        # On a narrow terminal the rest of a line is cut off.
        terminal.resize(rows=10, columns=30)
        eventually(
            lambda: all(len(line) <= 30 for line in terminal.expect(home).splitlines()),
            "narrow lines")
        terminal.type(CTRL_C)
        assert terminal.wait() == -signal.SIGINT


def test_counters_of_one_node_are_its_own(cluster):
    with Client(cluster.router.address) as client:
        client.set(b"key", b"value")

        def stats(node: str) -> dict:
            request = cluster_pb2.StatsRequest(node=node)
            return dict(client.cluster.Stats(request, timeout=60).counters)

        shards = [stats(name) for name in cluster.shards]
        assert sum(each["ringstore_keys"] for each in shards) == 1
        assert all("ringstore_router_calls_total" not in each for each in shards)
        own = stats("router")
        assert own["ringstore_router_calls_set_total"] == 1 and "ringstore_keys" not in own


@pytest.mark.parametrize("node", ["unknown", "a/b", "\u00e9", "x" * 5_000])
def test_a_node_that_does_not_exist_is_reported(cluster, node):
    with Client(cluster.router.address) as client:
        for call, request in [
            (client.cluster.Clients, cluster_pb2.ClientsRequest(node=node)),
            (client.cluster.KillClient, cluster_pb2.KillClientRequest(node=node, id=1)),
            (client.cluster.LogLevel, cluster_pb2.LogLevelRequest(node=node)),
            (client.cluster.SlowLog, cluster_pb2.SlowLogRequest(node=node)),
            (client.cluster.Config, cluster_pb2.ConfigRequest(node=node)),
            (client.cluster.Stats, cluster_pb2.StatsRequest(node=node)),
            (client.cluster.Shutdown, cluster_pb2.ShutdownRequest(node=node)),
        ]:
            with pytest.raises(grpc.RpcError) as refused:
                call(request, timeout=60)
            assert refused.value.code() == grpc.StatusCode.NOT_FOUND
            assert f"doesn't know the node '{node[:64]}'." in refused.value.details()
        both = cluster_pb2.ShutdownRequest(node="a", whole_cluster=True)
        with pytest.raises(grpc.RpcError) as refused:
            client.cluster.Shutdown(both, timeout=60)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        # Nothing has ended.
        client.stub.Exists(keystore_pb2.Key(key=b"k"), timeout=60)


def test_a_shard_speaks_for_itself_only(cluster):
    with Client(cluster.shards["a"].address) as client:
        own = client.cluster.Clients(cluster_pb2.ClientsRequest(node="a"), timeout=60)
        assert {each.kind for each in own.clients} == {"grpc", "link"} and own.total >= 3
        with pytest.raises(grpc.RpcError) as refused:
            client.cluster.Clients(cluster_pb2.ClientsRequest(node="b"), timeout=60)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "words",
    [
        ("kill",),
        ("kill", "x"),
        ("clients", "a"),
        ("clients", "--count", "0"),
        ("clients", "--count", "10001"),
        ("top", "--interval", "0"),
        ("hotkeys", "--node", "a"),
        ("loglevel", "info", "more"),
        ("slowlog", "a"),
        ("slowlog", "--count", "1001"),
        ("config", "port"),
        ("clients", "--reset"),
    ],
)
def test_words_that_make_no_sense_are_refused(cluster, words):
    done = run("admin", *words, "--server", cluster.router.address)
    assert done.returncode == 64 and done.stderr


class Impostor(grpc.GenericRpcHandler):
    """A server whose texts would change a terminal's colours, and add lines to tables."""

    ROW = "x\x1b[31m\nROW\x07"

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: self.reply(details.method, context)
        )

    def reply(self, method, context):
        if method.endswith("/Describe"):
            reply = cluster_pb2.DescribeResponse(cluster=self.ROW)
            reply.nodes.add(id=self.ROW, detail=self.ROW, version=self.ROW)
            return reply.SerializeToString()
        if method.endswith("/Clients"):
            client = cluster_pb2.Client(id=1, kind=self.ROW, address=self.ROW, user=self.ROW)
            return cluster_pb2.ClientsResponse(clients=[client], total=1).SerializeToString()
        if method.endswith("/LogLevel"):
            reply = cluster_pb2.LogLevelResponse(level=self.ROW, configured=self.ROW)
            return reply.SerializeToString()
        context.abort(grpc.StatusCode.INTERNAL, self.ROW)


def test_texts_of_a_server_reach_a_terminal_without_control_characters():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Impostor(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    address = ("--server", f"127.0.0.1:{port}")
    try:
        for words in [
            ("admin", *address, "clients"),
            ("admin", *address, "loglevel"),
            ("admin", *address, "hotkeys"),
            ("admin", *address, "top", "--count", "1", "--interval", "0.1"),
            ("cli", *address, "GET", "key"),
            ("cli", *address, "CLUSTER"),
            ("health", *address),
        ]:
            done = run(*words)
            shown = done.stdout + done.stderr
            assert "x" in shown and "\x1b" not in shown and "\x07" not in shown, words
            assert not any(line.startswith("ROW") for line in shown.splitlines()), shown
    finally:
        server.stop(None)
