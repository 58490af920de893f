"""Users, as stock clients meet them: tokens made by the program, a users file that changes, routers
and shards, lines, the command line, and what the log says of it all."""

import json
import os
import socket
from pathlib import Path

import grpc
import pytest
from harness.client import CHANNEL_OPTIONS, TIMEOUT_SECONDS, Client, refused
from harness.cluster import HOST, start_local, start_router, start_shard
from harness.lines import Lines
from harness.polling import eventually
from harness.process import Node, run
from harness.raw_http2 import Connection, headers, message
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc


class Users:
    """A users file, written again for each change as an operator would."""

    def __init__(self, folder: Path):
        self.path = folder / "users.conf"
        self.tokens: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {}

    def add(self, name: str, *lines: str) -> str:
        made = json.loads(run("admin", "token", name, "--json").stdout)
        self.tokens[name] = made["token"]
        self.lines[name] = [*lines, made["users_file_line"]]
        return made["token"]

    def write(self, extra: str = "") -> None:
        entries = (f"user {name}\n" + "\n".join(lines) for name, lines in self.lines.items())
        other = self.path.with_suffix(".new")
        other.write_text("\n".join(entries) + f"\n{extra}\n")
        other.rename(self.path)


ALL = ("keys all", "databases all")


@pytest.fixture
def users(tmp_path):
    made = Users(tmp_path)
    made.add("root", "may read write admin", *ALL)
    made.add("tenant", "may read write", "keys prefix mine:", "databases 0")
    made.add("router-1", "may router")
    made.write()
    return made


@pytest.fixture
def nodes(users, tmp_path):
    """A router and two shards that know the users."""
    secret = tmp_path / "router-token"
    secret.write_text(users.tokens["router-1"] + "\n")
    started: list[Node] = []
    try:
        shards = {}
        for name in "ab":
            shards[name] = start_shard(name, "--users", str(users.path))
            started.append(shards[name])
        router = start_router(
            shards, "--users", str(users.path), "--shard-token-file", str(secret)
        )
        started.insert(0, router)
        yield [router, *shards.values()]
    finally:
        for node in started:
            node.stop()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


class As:
    """Calls with a user's token as metadata of each."""

    def __init__(self, node: Node, token: str):
        self.client = Client(node.address)
        self.metadata = bearer(token)

    def call(self, name: str, request, stub=None):
        method = getattr(stub or self.client.stub, name)
        return method(request, timeout=TIMEOUT_SECONDS, metadata=self.metadata)

    def __enter__(self) -> "As":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def test_calls_need_a_token_and_may_do_what_its_user_may(nodes, users):
    for node in nodes:
        with Client(node.address) as unknown:
            with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
                unknown.get(b"mine:1")
        with As(node, "root.rst_guess") as wrong, refused("UNAUTHENTICATED"):
            wrong.call("Get", pb.Key(key=b"mine:1"))
        with As(node, users.tokens["tenant"]) as tenant:
            with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
                tenant.call("Get", pb.Key(key=b"other"))
            with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
                tenant.call("Reset", pb.ResetRequest())
    with As(nodes[0], users.tokens["tenant"]) as tenant:
        assert tenant.call("Set", pb.KeyValue(key=b"mine:1", value=b"v")).ok
        assert tenant.call("Get", pb.Key(key=b"mine:1")).value == b"v"


def test_a_message_in_gzip_is_inflated_only_for_a_user(nodes, users):
    """Shown by one that can't be: a user is told of that, others that they are no users."""
    body = b"\1" + message(b"this is not gzip")[1:]
    encoded = ("grpc-encoding", "gzip")
    for node in nodes:
        connection = Connection(node.address)
        path = "/ringstore.v1.KeyStore/Get"
        stranger = connection.wait(connection.start(headers(path, [encoded]), body))
        assert stranger.grpc_status == grpc.StatusCode.UNAUTHENTICATED.value[0]
        block = headers(path, [encoded, *bearer(users.tokens["tenant"])])
        user = connection.wait(connection.start(block, body))
        assert user.grpc_status == grpc.StatusCode.INTERNAL.value[0]
        connection.close()


def test_call_credentials_of_the_channel_are_taken(nodes, users):
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(),
        grpc.access_token_call_credentials(users.tokens["root"]),
    )
    with grpc.secure_channel(nodes[0].address, credentials, options=CHANNEL_OPTIONS) as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)
        assert stub.Set(pb.KeyValue(key=b"k", value=b"v"), timeout=TIMEOUT_SECONDS).ok
        assert stub.Get(pb.Key(key=b"k"), timeout=TIMEOUT_SECONDS).value == b"v"


def test_walks_show_only_what_the_user_may_see(nodes, users):
    with As(nodes[0], users.tokens["root"]) as root:
        for number in range(50):
            for kind in (b"mine", b"other"):
                key = b"%s:%d" % (kind, number)
                assert root.call("Set", pb.KeyValue(key=key, value=b"v")).ok
        assert root.call("DbSize", pb.DbSizeRequest()).keys == 100
    with As(nodes[0], users.tokens["tenant"]) as tenant:
        own = {b"mine:%d" % number for number in range(50)}
        assert set(tenant.call("Keys", pb.KeysRequest()).keys) == own
        assert tenant.call("DbSize", pb.DbSizeRequest()).keys == 50
        pages = tenant.call("Scan", pb.ScanRequest())
        assert {key for page in pages for key in page.keys} == own
        with refused("PERMISSION_DENIED"):
            tenant.call("Stats", cluster_pb2.StatsRequest(), tenant.client.cluster)


def test_a_changed_file_is_in_force_on_open_connections(nodes, users):
    with As(nodes[0], users.tokens["tenant"]) as tenant:
        assert tenant.call("Set", pb.KeyValue(key=b"mine:1", value=b"v")).ok
        new = users.add("tenant", "may read", *ALL)
        users.write()

        def is_refused() -> bool:
            try:
                tenant.call("Get", pb.Key(key=b"mine:1"))
                return False
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAUTHENTICATED

        eventually(is_refused, "the token that was taken away is refused")
        tenant.metadata = bearer(new)
        assert tenant.call("Get", pb.Key(key=b"mine:1")).value == b"v"
        with refused("PERMISSION_DENIED"):
            tenant.call("Set", pb.KeyValue(key=b"mine:1", value=b"w"))


def test_a_broken_file_changes_nothing_and_names_its_line(nodes, users):
    secret = users.tokens["root"]
    users.write(extra=f"user x\ntoken {secret}")
    sentence = "the users stay as they are"
    lines = eventually(lambda: nodes[0].log_lines(sentence), "the file is refused")
    assert "line " in lines[0] and str(users.path) in lines[0]
    with As(nodes[0], users.tokens["root"]) as root:
        assert not root.call("Get", pb.Key(key=b"k")).found
    for node in nodes:
        assert secret.rpartition(".")[2] not in node.log()


def test_a_file_that_is_broken_at_the_start_starts_no_node(tmp_path):
    path = tmp_path / "users.conf"
    path.write_text("user a\nmay everything\n")
    ended = run("shard", "--id", "a", "--port", "0", "--users", str(path))
    assert ended.returncode == 64
    assert "line 2" in ended.stderr
    missing = run("shard", "--id", "a", "--port", "0", "--users", str(tmp_path / "none"))
    assert missing.returncode == 64


def test_lines_say_who_they_are(nodes, users):
    for node in nodes:
        with Lines(node.line_port) as lines:
            lines.send(b"PING\r\nGET mine:1\r\n")
            assert lines.line() == b"+PONG"
            assert lines.line().startswith(b"-UNAUTHENTICATED ")
            lines.request(b"AUTH", b"tenant", users.tokens["tenant"].encode())
            assert lines.line() == b"+OK"
            lines.send(b"GET other\r\nSELECT 1\r\n")
            assert lines.line().startswith(b"-PERMISSION_DENIED ")
            assert lines.line().startswith(b"-PERMISSION_DENIED ")


def test_a_shard_serves_no_link_to_a_router_that_it_does_not_know(users, tmp_path):
    shard = start_shard("a", "--users", str(users.path))
    # With the token of one who may do everything but that.
    secret = tmp_path / "other-token"
    secret.write_text(users.tokens["root"])
    router = start_router({"a": shard}, "--shard-token-file", str(secret))
    try:
        with Client(router.address) as client, refused("UNAVAILABLE") as refusal:
            client.get(b"k")
        assert "shard_token_file" in refusal.message
        # The router takes the right one from the file as soon as it is there.
        secret.write_text(users.tokens["router-1"])
        with Client(router.address) as client:

            def serves() -> bool:
                try:
                    return client.set(b"k", b"v").ok
                except grpc.RpcError:
                    return False

            eventually(serves, "the link is there")
    finally:
        router.stop()
        shard.stop()


def test_local_has_users_on_all_its_ports(users):
    node = start_local(2, "--users", str(users.path))
    try:
        with As(node, users.tokens["root"]) as root:
            assert root.call("Set", pb.KeyValue(key=b"k", value=b"v")).ok
            described = root.call(
                "Describe", cluster_pb2.DescribeRequest(), root.client.cluster
            )
            shards = [shard.address for shard in described.map.shards]
        assert len(shards) == 2
        for address in shards:
            with Client(address) as unknown, refused("UNAUTHENTICATED"):
                unknown.get(b"k")
    finally:
        node.stop()


def test_the_command_line_takes_a_token_from_a_file_or_a_variable(nodes, users, tmp_path):
    server = ("--server", nodes[0].address)
    secret = tmp_path / "token"
    secret.write_text(users.tokens["root"] + "\n")
    assert run("cli", *server, "SET", "k", "v").returncode == 1
    named = run("cli", *server, "--token-file", str(secret), "SET", "k", "v")
    assert (named.returncode, named.stdout) == (0, "OK\n")
    environment = {"RINGSTORE_TOKEN": users.tokens["tenant"]}
    refusal = run("cli", *server, "GET", "k", environment=environment)
    assert refusal.returncode == 1 and "PERMISSION_DENIED" in refusal.stdout
    assert run("health", *server, "--token-file", str(secret)).returncode == 0
    assert run("admin", "hotkeys", *server, "--token-file", str(secret)).returncode == 0


def test_a_missing_token_names_the_flag_for_it(nodes, users):
    server = ("--server", nodes[0].address)
    for words in (
        ("cli", *server, "GET", "k"), ("admin", "hotkeys", *server),
        ("admin", "clients", *server), ("bench", *server, "--calls", "10"),
    ):
        ended = run(*words)
        assert ended.returncode == 1
        assert "--token-file FILE" in ended.stderr, words
    ended = run("bench", *server, "--calls", "10",
                environment={"RINGSTORE_TOKEN": users.tokens["tenant"]})
    assert ended.stderr.count("PERMISSION_DENIED") == 1


def test_top_says_why_a_user_sees_no_rates(nodes, users):
    tenant = {"RINGSTORE_TOKEN": users.tokens["tenant"]}
    top = ("admin", "top", "--count", "1", "--interval", "0.1", "--server", nodes[0].address)
    ended = run(*top, environment=tenant)
    assert ended.returncode == 0, ended.stderr
    assert "no rates: " in ended.stdout
    root = {"RINGSTORE_TOKEN": users.tokens["root"]}
    assert "no rates: " not in run(*top, environment=root).stdout


def test_health_needs_no_token(nodes, users):
    for node, summary in zip(nodes, ("router serving, 2 of 2 shards serving", "shard a serving")):
        ended = run("health", "--server", node.address, "--shards")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{summary}\n", "")
    nodes[2].kill()
    server = ("--server", nodes[0].address)
    ended = eventually(
        lambda: (seen := run("health", *server, "--shards")).returncode == 1 and seen, "the loss"
    )
    # Every caller sees which one is missing, and permitted callers see why.
    assert ended.stderr == f"ringstore health: {nodes[0].address}: shard b is not-serving\n"
    root = {"RINGSTORE_TOKEN": users.tokens["root"]}
    ended = run("health", *server, "--shards", environment=root)
    assert "shard b is unreachable: " in ended.stderr
    assert run("health", *server).stdout == "router serving, 1 of 2 shards serving\n"


def test_calls_of_administration_are_in_the_audit_log(nodes, users):
    for name in ("root", "tenant"):
        with As(nodes[0], users.tokens[name]) as caller:
            try:
                caller.call("Reset", pb.ResetRequest())
            except grpc.RpcError:
                pass
    lines = eventually(
        lambda: (found := nodes[0].log_lines("ringstore.audit")) and len(found) == 2 and found,
        "both calls are noted",
    )
    for line, user, outcome in zip(lines, ("root", "tenant"), ("OK", "PERMISSION_DENIED")):
        assert f"user={user}" in line and f"outcome={outcome}" in line
        assert "call=Reset" in line and f"peer={HOST}:" in line


def test_secrets_are_in_no_log_and_no_argument(nodes, users):
    with As(nodes[0], users.tokens["root"]) as root:
        described = root.call("Describe", cluster_pb2.DescribeRequest(), root.client.cluster)
        root.call("Stats", cluster_pb2.StatsRequest(), root.client.cluster)
    with Lines(nodes[0].line_port) as lines:
        lines.request(b"AUTH", users.tokens["root"].encode() + b"x")
        assert lines.line().startswith(b"-UNAUTHENTICATED ")
    told = str(described) + "".join(node.log() for node in nodes)
    for node in nodes:
        told += Path(f"/proc/{node.pid}/cmdline").read_text()
    for token in users.tokens.values():
        assert token.rpartition(".")[2] not in told


def test_an_idle_stranger_on_a_raw_socket_gets_nothing(nodes):
    """nc with a command and no more: one refusal, and the connection stays."""
    with socket.create_connection((HOST, nodes[0].line_port), TIMEOUT_SECONDS) as raw:
        raw.sendall(b"KEYS .\nSHUTDOWN\nQUIT\n")
        raw.shutdown(socket.SHUT_WR)
        text = b""
        while data := raw.recv(1 << 16):
            text += data
    replies = text.split(b"\r\n")
    assert [reply[:16] for reply in replies[:2]] == [b"-UNAUTHENTICATED"] * 2
    assert replies[2] == b"+OK"
    assert nodes[0].process.poll() is None


def test_the_environment_of_a_node_may_have_a_token(users):
    """RINGSTORE_TOKEN belongs to the command line; a node that finds it says nothing of it."""
    shard = Node(
        "shard", "--id", "a", "--port", "0", environment={"RINGSTORE_TOKEN": users.tokens["root"]}
    )
    try:
        assert "RINGSTORE_TOKEN" not in shard.log()
        assert os.path.exists(f"/proc/{shard.pid}")
    finally:
        shard.stop()
