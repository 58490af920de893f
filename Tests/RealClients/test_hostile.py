"""Under every attack of the table memory is bounded, other clients are served, the process lives,
the log says so in few lines, and Stats count it."""

import itertools
import socket
import threading

import pytest
from harness.attacks import ATTACKS, CANCELS_AT_ONCE, LINE_ATTACKS, Attack, cancels
from harness.client import Client
from harness.cluster import HOST, Cluster
from harness.lines import Lines
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
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster():
    """A router with one shard, so that every call of the bystander passes both."""
    with Cluster("a") as started:
        yield started


@pytest.fixture(params=["router", "shard"])
def node(request, cluster) -> Node:
    return cluster.router if request.param == "router" else cluster.shards["a"]


class Bystander:
    """A client that goes on with its calls while a block runs. Each has to be right."""

    def __init__(self, address: str):
        self.address = address
        self.done = 0
        self.failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def _go_on(self) -> None:
        key = b"bystander-%d" % next(_numbers)
        try:
            with Client(self.address) as client:
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


def counters(node: Node) -> dict[str, int]:
    """Of the node itself: a router's own have a name of their own."""
    with Client(node.address) as client:
        stats = client.stats()
    own = {k.replace("router_", ""): v for k, v in stats.items() if "_router_" in k}
    return own if node.name.startswith("ringstore router") else dict(stats)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_an_attack_is_borne_or_ended_counted_and_noticed_by_no_one(node, cluster, attack: Attack):
    before = counters(node)
    lines = len(node.log_lines("cutting a connection"))
    with Watch(node) as watch, Bystander(cluster.address):
        for _ in range(CONNECTIONS):
            connection = Connection(node.address, window=DEFAULT_WINDOW)
            connection.settle()
            attack.run(connection)
            assert connection.closed == bool(attack.ends), attack.name
            connection.close()
    after = counters(node)
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
def test_100_000_cancels_cut_no_link(cluster, waits):
    before = counters(cluster.router)
    with Bystander(cluster.address):
        for _ in range(10):
            connection = Connection(cluster.address)
            connection.settle()
            for piece in cancels(10_000, waits=waits):
                connection.push(piece)
                # A client that cancels nearly all of its calls is cut: this one reads answers.
                connection.read_answers(CANCELS_AT_ONCE)
                assert not connection.closed, connection.goaway_text
            connection.close()
    after = counters(cluster.router)
    links = "ringstore_link_reconnects_total"
    assert after.get(links, 0) == before.get(links, 0)
    assert after["ringstore_resets_total"] - before["ringstore_resets_total"] >= 100_000
    assert not cluster.router.log_lines("link lost")
    parked = "ringstore_parked_calls"
    eventually(lambda: counters(cluster.router)[parked] == 0, "no call that waits any more")


@pytest.mark.parametrize("attack", LINE_ATTACKS)
def test_an_attack_on_the_line_port_is_noticed_by_no_one(node, cluster, attack: str):
    piece, times = LINE_ATTACKS[attack]
    with Watch(node) as watch, Bystander(cluster.address):
        for _ in range(CONNECTIONS):
            with socket.create_connection((HOST, node.line_port), 60) as attacker:
                try:
                    for _ in range(times):
                        attacker.sendall(piece)
                    attacker.shutdown(socket.SHUT_WR)
                    while attacker.recv(1 << 16):
                        pass
                except ConnectionError:
                    pass
        with Lines(node.line_port) as another:
            assert another.ask(b"PING") == b"+PONG"
    assert watch.peak < GROWTH_MAX
    assert node.process.poll() is None
