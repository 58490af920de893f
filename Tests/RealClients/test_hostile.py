"""Under every attack of the table memory is bounded, other clients are served, the process lives,
the log says so in few lines, and Stats count it: without encryption and over TLS, whose handshakes
are attacked as well."""

import itertools
import math
import re
import socket
import ssl
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from harness.attacks import (
    ATTACKS, CANCELS_AT_ONCE, LARGE_BYTES, LARGE_KEY, LINE_ATTACKS, SLOW_ATTACKS, Attack,
    LineAttack, SlowAttack, cancels,
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
CONNECTIONS = 4
# Twice what a node waits for slow clients, and more for a busy machine.
SLOW_SECONDS = 240.0
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
        return self.encrypt(socket.create_connection((HOST, node.line_port), SECONDS))

    def encrypt(self, bare: socket.socket, protocol: str | None = None) -> socket.socket:
        """The same socket where nodes speak TLS, else as it is."""
        if not self.certificates:
            return bare
        context = self.certificates.context(protocol=protocol)
        return context.wrap_socket(bare, server_hostname="localhost")

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
    """A client that makes calls during a block. Each reply has to be right."""

    def __init__(self, site: Site):
        self.site = site
        self.done = 0
        self.failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
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


class LogLines:
    """What a node logs from now on of connections that it ends or refuses."""

    def __init__(self, node: Node):
        self.node = node
        self.before = len(self._all())
        self.begun = time.monotonic()

    def _all(self) -> list[str]:
        words = (" cutting a ", " refusing a ")
        lines = self.node.log_lines("connection ")
        return [line for line in lines if any(word in line for word in words)]

    def by_reason(self) -> Counter[str]:
        return Counter(re.search(r" reason=(\w+)", x)[1] for x in self._all()[self.before :])

    def check(self, *reasons: str) -> None:
        """These are told, and of each reason there is a line a second at most."""
        for reason in reasons:
            # Behind lines of another test the next one of its kind waits for its second.
            eventually(lambda reason=reason: self.by_reason()[reason], f"a line about {reason}")
        seen = self.by_reason()
        seconds = math.ceil(time.monotonic() - self.begun)
        assert all(count <= seconds + 1 for count in seen.values()), (seconds, seen)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_an_attack_is_borne_or_ended_counted_and_noticed_by_no_one(site, node, attack: Attack):
    before = site.counters(node)
    log = LogLines(node)
    with Watch(node) as watch, Bystander(site):
        for _ in range(CONNECTIONS):
            connection = site.connection(node, window=DEFAULT_WINDOW)
            connection.exchange_settings()
            attack.run(connection)
            assert connection.closed == bool(attack.ends), attack.name
            connection.close()
    grown = growth(before, site.counters(node))
    assert watch.peak < GROWTH_MAX
    if attack.ends:
        assert grown[f"ringstore_connections_cut_{attack.ends}_total"] == CONNECTIONS, grown
    log.check(*filter(None, [attack.ends]))
    if attack.refuses:
        assert grown["ringstore_refused_calls_total"] > 0, grown
    assert node.process.poll() is None


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}


class SlowClient:
    """A client that has sent what it has to say, and does nothing more."""

    def __init__(self, site: Site, node: Node, attack: SlowAttack):
        bare = socket.socket()
        # Next to no buffer of its own; nor has the node's system much, where segments are small.
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_000)
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        bare.settimeout(SECONDS)
        bare.connect((HOST, node.line_port if attack.lines else node.port))
        self.socket = site.encrypt(bare, None if attack.lines else "h2")
        self.socket.sendall(attack.sends)


def test_clients_that_continue_too_slowly_are_ended_and_noticed_by_no_one(site):
    """All at once, and on router and shard at the same time, because it takes as long as nodes
    wait."""
    nodes = [node_of(site, kind) for kind in ("router", "shard")]
    with site.client() as client:
        client.set(LARGE_KEY, bytes(LARGE_BYTES))
    cuts = Counter(one.ends for one in SLOW_ATTACKS if one.ends)
    refusals = sum(one.refuses for one in SLOW_ATTACKS)
    before = [site.counters(node) for node in nodes]
    logs = [LogLines(node) for node in nodes]
    slow: list[SlowClient] = []

    def all_ended(node: Node, counted: dict[str, int]) -> bool:
        grown = growth(counted, site.counters(node))
        for reason, attacks in cuts.items():
            name = f"ringstore_connections_cut_{reason}_total"
            assert grown.get(name, 0) >= attacks * CONNECTIONS, grown
        assert grown.get("ringstore_refused_calls_total", 0) >= refusals * CONNECTIONS, grown
        return True

    try:
        with Watch(*nodes) as watch, Bystander(site):
            slow += [
                SlowClient(site, node, attack)
                for node in nodes for attack in SLOW_ATTACKS for _ in range(CONNECTIONS)
            ]
            for node, counted in zip(nodes, before, strict=True):
                eventually(
                    lambda node=node, counted=counted: all_ended(node, counted), "their ends",
                    SLOW_SECONDS,
                )
    finally:
        for each in slow:
            each.socket.close()
    assert watch.peak < GROWTH_MAX
    for node, log in zip(nodes, logs, strict=True):
        log.check(*cuts)
        assert node.log_lines("ending calls whose replies aren't read")
        assert node.process.poll() is None


@pytest.mark.parametrize("waits", [False, True], ids=["reads", "pops that wait"])
def test_100_000_cancels_cut_no_link(plaintext, waits):
    cluster = plaintext.cluster
    before = plaintext.counters(cluster.router)
    with Bystander(plaintext):
        for _ in range(10):
            connection = plaintext.connection()
            connection.exchange_settings()
            for piece in cancels(10_000, waits=waits):
                connection.push(piece)
                # A client that cancels nearly all of its calls is cut: this one reads replies.
                connection.read_replies(CANCELS_AT_ONCE)
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


@pytest.mark.parametrize("attack", LINE_ATTACKS, ids=lambda one: one.name)
def test_an_attack_on_the_line_port_is_noticed_by_no_one(site, node, attack: LineAttack):
    if site.certificates and not attack.ends:
        pytest.skip("what it costs are commands: it is run without TLS")
    before = site.counters(node)
    log = LogLines(node)
    with Watch(node) as watch, Bystander(site):
        for _ in range(CONNECTIONS):
            with site.lines(node) as attacker:
                send_all(attacker, attack)
        with site.lines(node) as another:
            another.sendall(b"PING\r\n")
            assert another.recv(1 << 10) == b"+PONG\r\n"
    grown = growth(before, site.counters(node))
    assert watch.peak < GROWTH_MAX
    cuts = {"ringstore_connections_cut_total": CONNECTIONS} if attack.ends else {}
    cuts |= {f"ringstore_connections_cut_{attack.ends}_total": n for n in cuts.values()}
    assert {name: n for name, n in grown.items() if "_cut_" in name} == cuts, grown
    log.check(*filter(None, [attack.ends]))
    if attack.counts:
        counted = sum(grown.get(name, 0) for name in attack.counts)
        assert counted >= CONNECTIONS * attack.times, grown
    assert node.process.poll() is None


def send_all(attacker: socket.socket, attack: LineAttack) -> None:
    """Sends it, and reads until the node has ended the connection: by itself, or because all is
    sent."""
    try:
        for _ in range(attack.times):
            attacker.sendall(attack.piece)
        if not attack.ends:
            attacker.shutdown(socket.SHUT_WR)
        while attacker.recv(1 << 16):
            pass
    except (ConnectionError, ssl.SSLError):
        pass


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
    log = LogLines(node)
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
    log.check("too_many_handshakes")
    assert node.process.poll() is None
