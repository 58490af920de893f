"""Under every attack of the table memory is bounded, other clients are served, the process lives,
the log says so in few lines, and Stats count it: without encryption and over TLS, whose handshakes
are attacked as well."""

import itertools
import socket
import ssl
import threading
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from harness.attacks import (
    ATTACKS, CANCELS_AT_ONCE, COMMAND_ATTACKS, LINE_ATTACKS, Attack, cancels,
)
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import HOST, Cluster
from harness.memory import Watch
from harness.polling import eventually
from harness.process import Node
from harness.raw_http2 import DEFAULT_WINDOW, Connection

# What a node may take more while it is attacked: buffers of the connection, of calls that are
# unfinished, and what malloc keeps of them.
GROWTH_MAX = 64 << 20
# Lines of the log about one attack: one a second for each reason, and no attack takes long.
LINES_MAX = 20
CONNECTIONS = 4
HANDSHAKES, HANDSHAKES_MAX = 300, 100
SECONDS = 60.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Site:
    """A router with one shard, so that every call of the bystander passes both."""

    cluster: Cluster
    # Of the nodes that speak TLS.
    certificates: Certificates | None = None

    def client(self, node: Node | None = None) -> Client:
        credentials = self.certificates and self.certificates.credentials()
        return Client((node or self.cluster.router).address, credentials=credentials)

    def connection(self, node: Node | None = None, **more) -> Connection:
        tls = self.certificates and self.certificates.context(protocol="h2")
        return Connection((node or self.cluster.router).address, tls=tls, **more)

    def lines(self, node: Node) -> socket.socket:
        bare = socket.create_connection((HOST, node.line_port), SECONDS)
        if not self.certificates:
            return bare
        return self.certificates.context().wrap_socket(bare, server_hostname="localhost")

    def counters(self, node: Node) -> dict[str, int]:
        """Of the node itself: a router's own have a name of their own."""
        with self.client(node) as client:
            stats = client.stats()
        own = {k.replace("router_", ""): v for k, v in stats.items() if "_router_" in k}
        return own if node.name.startswith("ringstore router") else dict(stats)


@pytest.fixture(scope="module")
def plaintext():
    with Cluster("a") as started:
        yield Site(started)


@pytest.fixture(scope="module")
def encrypted():
    most = ("--max-handshakes", str(HANDSHAKES_MAX))
    with ExitStack() as stack:
        made = stack.enter_context(Certificates())
        links = made.links(with_certificate=False)
        started = Cluster(
            "a", *made.server("router"), *links, *most,
            shard_arguments=[*made.server("shard"), *most],
        )
        yield Site(stack.enter_context(started), made)


@pytest.fixture(params=["plaintext", "encrypted"])
def site(request) -> Site:
    return request.getfixturevalue(request.param)


def node_of(site: Site, kind: str) -> Node:
    return site.cluster.router if kind == "router" else site.cluster.shards["a"]


@pytest.fixture(params=["router", "shard"])
def node(request, site) -> Node:
    return node_of(site, request.param)


class Bystander:
    """A client that goes on with its calls while a block runs. Each has to be right."""

    def __init__(self, site: Site):
        self.site = site
        self.done = 0
        self.failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def _go_on(self) -> None:
        key = b"bystander-%d" % next(_numbers)
        try:
            with self.site.client() as client:
                while not self._over.is_set():
                    self.done += 1
                    client.set(key, b"%d" % self.done)
                    assert client.get(key).value == b"%d" % self.done
        except Exception as error:
            self.failure = error

    def __enter__(self) -> "Bystander":
        self._thread.start()
        eventually(lambda: self.done or self.failure, "a first call")
        self.before = self.done
        return self

    def __exit__(self, *_: object) -> None:
        # It is served now, not only later.
        wanted = self.done + 2
        eventually(lambda: self.done > wanted or self.failure, "calls of another client")
        self._over.set()
        self._thread.join()
        assert not self.failure, self.failure
        assert self.done > self.before


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_an_attack_is_borne_or_ended_counted_and_noticed_by_no_one(site, node, attack: Attack):
    before = site.counters(node)
    lines = len(node.log_lines("cutting a connection"))
    with Watch(node) as watch, Bystander(site):
        for _ in range(CONNECTIONS):
            connection = site.connection(node, window=DEFAULT_WINDOW)
            connection.settle()
            attack.run(connection)
            assert connection.closed == bool(attack.ends), attack.name
            connection.close()
    after = site.counters(node)
    grown = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
    assert watch.peak < GROWTH_MAX
    if attack.ends:
        assert grown[f"ringstore_connections_cut_{attack.ends}_total"] == CONNECTIONS, grown
        assert node.log_lines(f"reason={attack.ends}")
    assert len(node.log_lines("cutting a connection")) - lines <= LINES_MAX
    if attack.refuses:
        assert grown["ringstore_refused_calls_total"] > 0, grown
    assert node.process.poll() is None


@pytest.mark.parametrize("waits", [False, True], ids=["reads", "pops that wait"])
def test_100_000_cancels_cut_no_link(plaintext, waits):
    cluster = plaintext.cluster
    before = plaintext.counters(cluster.router)
    with Bystander(plaintext):
        for _ in range(10):
            connection = plaintext.connection()
            connection.settle()
            for piece in cancels(10_000, waits=waits):
                connection.push(piece)
                # A client that cancels nearly all of its calls is cut: this one reads answers.
                connection.read_answers(CANCELS_AT_ONCE)
                assert not connection.closed, connection.goaway_text
            connection.close()
    after = plaintext.counters(cluster.router)
    links = "ringstore_link_reconnects_total"
    assert after.get(links, 0) == before.get(links, 0)
    assert after["ringstore_resets_total"] - before["ringstore_resets_total"] >= 100_000
    assert not cluster.router.log_lines("link lost")
    parked = "ringstore_parked_calls"
    eventually(
        lambda: plaintext.counters(cluster.router)[parked] == 0, "no call that waits any more"
    )


@pytest.mark.parametrize("attack", LINE_ATTACKS)
def test_an_attack_on_the_line_port_is_noticed_by_no_one(site, node, attack: str):
    if site.certificates and attack in COMMAND_ATTACKS:
        pytest.skip("it is run without TLS")
    piece, times = LINE_ATTACKS[attack]
    with Watch(node) as watch, Bystander(site):
        for _ in range(CONNECTIONS):
            with site.lines(node) as attacker:
                try:
                    for _ in range(times):
                        attacker.sendall(piece)
                    attacker.shutdown(socket.SHUT_WR)
                    while attacker.recv(1 << 16):
                        pass
                except (ConnectionError, ssl.SSLError):
                    pass
        with site.lines(node) as another:
            another.sendall(b"PING\r\n")
            assert another.recv(1 << 10) == b"+PONG\r\n"
    assert watch.peak < GROWTH_MAX
    assert node.process.poll() is None


# --- Handshakes ----------------------------------------------------------------------------------


class HalfHandshake:
    """A client that stops in its handshake, and stays there or leaves."""

    def __init__(self, site: Site, node: Node, stage: str):
        self.socket = socket.create_connection((HOST, node.port), SECONDS)
        context = site.certificates.context(protocol="h2")
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_hostname="localhost")
        STAGES[stage](self)

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.going.read()

    def send_half(self) -> None:
        hello = self.hello()
        self.socket.sendall(hello[: len(hello) // 2])

    def send_hello(self) -> None:
        """The node has computed its part, which is most of a handshake's cost."""
        self.socket.sendall(self.hello())
        assert self.socket.recv(1) == b"\x16"

    def keep_finished(self) -> None:
        """All is computed on both sides; the client's last word isn't sent."""
        self.socket.sendall(self.hello())
        while not self.going.pending:
            data = self.socket.recv(1 << 16)
            assert data, "the node has ended the connection"
            self.coming.write(data)
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass


STAGES = {
    "before the client's hello": lambda client: None,
    "in the middle of it": HalfHandshake.send_half,
    "after the node's hello": HalfHandshake.send_hello,
    "before the last word": HalfHandshake.keep_finished,
}


@pytest.mark.parametrize("kind", ["router", "shard"])
@pytest.mark.parametrize("stage", STAGES)
def test_clients_that_leave_in_their_handshake_are_noticed_by_no_one(encrypted, kind, stage):
    node = node_of(encrypted, kind)
    before = encrypted.counters(node)
    name = "ringstore_connections_handshakes_abandoned_total"
    with Watch(node) as watch, Bystander(encrypted):
        for _ in range(HANDSHAKES):
            HalfHandshake(encrypted, node, stage).socket.close()
        eventually(
            lambda: encrypted.counters(node)[name] == before[name] + HANDSHAKES, "all have left"
        )
    after = encrypted.counters(node)
    assert watch.peak < GROWTH_MAX
    assert after["ringstore_connections_cut_total"] == before["ringstore_connections_cut_total"]
    assert node.process.poll() is None


@pytest.mark.parametrize("kind", ["router", "shard"])
@pytest.mark.parametrize("stage", STAGES)
def test_clients_that_stay_in_their_handshake_give_way_to_others(encrypted, kind, stage):
    """More than may shake hands at a time: the oldest ends for each new one."""
    node = node_of(encrypted, kind)
    before = encrypted.counters(node)
    refused = "ringstore_connections_refused_too_many_handshakes_total"
    lines = len(node.log_lines("too_many_handshakes"))
    held: list[HalfHandshake] = []
    try:
        with Watch(node) as watch, Bystander(encrypted):
            for _ in range(HANDSHAKES):
                held.append(HalfHandshake(encrypted, node, stage))
            after = encrypted.counters(node)
            assert after[refused] - before[refused] >= HANDSHAKES - HANDSHAKES_MAX
            assert after["ringstore_connections_open"] < HANDSHAKES_MAX + 20
    finally:
        for each in held:
            each.socket.close()
    assert watch.peak < GROWTH_MAX
    assert node.log_lines("too_many_handshakes")
    assert len(node.log_lines("too_many_handshakes")) - lines <= LINES_MAX
    assert node.process.poll() is None
