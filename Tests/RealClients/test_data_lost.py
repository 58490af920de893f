"""A shard that comes back without its data: refused until that is back, or the loss is accepted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from harness.client import TIMEOUT_SECONDS, Client, explain
from harness.cluster import start_router, start_shard
from harness.polling import eventually
from harness.process import Node, run, running
from harness.slots import keys_of
from harness.terminal import ENTER, Terminal
from ringstore.v1 import cluster_pb2

NAMES = "abc"
LOST = "a"
NOT_SERVING = cluster_pb2.Node.NOT_SERVING
UNREACHABLE = cluster_pb2.Node.UNREACHABLE


class Site:
    """A router with several loops, and shards with folders, which tests exchange."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.shards = {
            name: start_shard(name, "--data-dir", str(self.directory(name))) for name in NAMES
        }
        self.router = start_router(self.shards, "--threads", "2")
        with self.client() as client:
            eventually(lambda: self.refusal(client, "no such key") is None, "all shards serve")
            slot_map = client.describe().map
            self.keys = {name: next(keys_of(slot_map, name)) for name in NAMES}
            for key in self.keys.values():
                client.set(key, b"value")

    def directory(self, name: str) -> Path:
        return self.folder / name

    def client(self) -> Client:
        return Client(self.router.address)

    def refusal(self, client: Client, *_: str) -> str | None:
        """Why not all shards serve; None where they do."""
        try:
            client.size()
            return None
        except grpc.RpcError as error:
            return explain(error).message

    def lose(self, name: str = LOST) -> None:
        """The folder's disk is not mounted: there is an empty one in its place."""
        self.shards[name].stop()
        shutil.move(self.directory(name), self.folder / f"{name}-old")
        self.directory(name).mkdir()
        self.shards[name].restart()

    def bring_back(self, name: str = LOST) -> None:
        """The old folder is there again; the other one is kept."""
        self.shards[name].stop()
        shutil.move(self.directory(name), self.folder / f"{name}-empty")
        shutil.move(self.folder / f"{name}-old", self.directory(name))
        self.shards[name].restart()

    def read(self, name: str, client: Client) -> bytes | None | str:
        """The value of the shard's key, None for none, or why there is no reply."""
        try:
            value = client.get(self.keys[name])
            return value.value if value.found else None
        except grpc.RpcError as error:
            told = explain(error)
            assert told.reason == "SHARD_UNAVAILABLE", told
            return told.message

    def await_refused(self, name: str = LOST) -> None:
        """Clients of the router are told that the shard has lost its data, and the others serve."""
        with self.client() as client:
            eventually(lambda: "DATA_LOST" in str(self.read(name, client)), "the loss is told")
            for other in set(NAMES) - {name}:
                assert self.read(other, client) == b"value"
            with pytest.raises(grpc.RpcError) as refused:
                client.set(self.keys[name], b"new")
            assert "DATA_LOST" in explain(refused.value).message
            entry = {node.id: node for node in client.describe().nodes}[name]
            assert entry.state == UNREACHABLE and "accept-loss" in entry.detail

    def await_value(self, value: bytes | None, name: str = LOST) -> None:
        with self.client() as client:
            eventually(lambda: self.read(name, client) == value, f"{name} serves {value}")

    def accept(self, *arguments: str):
        return run("admin", "accept-loss", *arguments, "--server", self.router.address)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    before = set(running)
    try:
        yield Site(tmp_path)
    finally:
        for node in set(running) - before:
            node.kill()


@contextmanager
def alone(shard: Node) -> Iterator[Client]:
    with Client(shard.address) as client:
        yield client


def test_a_shard_with_an_empty_disk_is_refused_and_serves_with_its_old_one(site: Site):
    site.lose()
    site.await_refused()
    site.bring_back()
    site.await_value(b"value")


def test_the_refusal_is_reported_once_by_router_and_shard_and_by_health(site: Site):
    site.lose()
    site.await_refused()
    (line,) = site.router.log_lines("reason=DATA_LOST")
    assert " error " in line and "link refused" in line and "accept-loss" in line
    eventually(lambda: site.shards[LOST].log_lines(" DATA_LOST: "), "the shard's log tells it")
    shard = run("health", "--server", site.shards[LOST].address)
    assert shard.returncode == 1 and "DATA_LOST" in shard.stderr, shard
    router = run("health", "--shards", "--server", site.router.address)
    assert router.returncode == 1 and "DATA_LOST" in router.stderr, router
    # Attempts continue, and are no news.
    with site.client() as client:
        before = client.stats()["ringstore_shards_unreachable"]
        assert before == 1
    assert len(site.router.log_lines("reason=DATA_LOST")) == 1


def test_the_shard_serves_no_key_to_its_own_clients_either(site: Site):
    site.lose()
    site.await_refused()
    with alone(site.shards[LOST]) as client:
        assert "DATA_LOST" in str(site.read(LOST, client))
        (node,) = client.describe().nodes
        assert node.state == NOT_SERVING and "accept-loss" in node.detail


def test_a_router_that_is_started_later_refuses_it_as_well(site: Site):
    site.lose()
    site.await_refused()
    site.router.stop()
    site.router.restart()
    site.await_refused()


def test_the_peers_remember_it_when_all_nodes_are_restarted(site: Site):
    site.router.stop()
    for name in "bc":
        site.shards[name].stop()
    site.lose()
    for name in "bc":
        site.shards[name].restart()
    site.router.restart()
    with site.client() as client:
        eventually(lambda: "DATA_LOST" in str(site.read("b", client)), "no map is in force")
    assert site.accept(LOST, "--yes").returncode == 0
    site.await_value(None)
    site.await_value(b"value", "b")


def test_an_accepted_loss_lets_the_shard_serve_and_outlives_all_nodes(site: Site):
    site.lose()
    site.await_refused()
    ended = site.accept(LOST, "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "shard a is accepted with its current data; recorded at b, c\n"
    site.await_value(None)
    with site.client() as client:
        client.set(site.keys[LOST], b"new")
    for node in (site.router, *site.shards.values()):
        node.stop()
    for node in (*site.shards.values(), site.router):
        node.restart()
    site.await_value(b"new")
    assert not site.router.log_lines("DATA_LOST")
    # What was given up is not served without being asked for.
    site.bring_back()
    site.await_refused()
    assert site.accept(LOST, "--yes").returncode == 0
    site.await_value(b"value")


def test_a_shard_that_comes_back_in_memory_only_is_refused(site: Site):
    shard = site.shards[LOST]
    shard.stop()
    with_folder = shard.arguments
    at = with_folder.index("--data-dir")
    shard.arguments = with_folder[:at] + with_folder[at + 2 :]
    shard.restart()
    site.await_refused()
    assert site.accept(LOST, "--yes").returncode == 0
    site.await_value(None)


def test_only_a_shard_that_is_refused_for_its_data_can_be_accepted(site: Site):
    for name, words in [("b", "has the right data"), ("x", "no shard x")]:
        ended = site.accept(name, "--yes")
        assert ended.returncode == 1 and words in ended.stderr, ended
    site.shards[LOST].stop()
    ended = site.accept(LOST, "--yes")
    assert ended.returncode == 1 and "can't be reached" in ended.stderr, ended
    with alone(site.shards["b"]) as client, pytest.raises(grpc.RpcError) as refused:
        request = cluster_pb2.AcceptLossRequest(shard=LOST)
        client.cluster.AcceptLoss(request, timeout=TIMEOUT_SECONDS)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_accept_loss_wants_to_be_meant(site: Site):
    site.lose()
    site.await_refused()
    ended = site.accept(LOST)
    assert ended.returncode == 64 and "--yes" in ended.stderr, ended
    site.await_refused()


def test_on_a_terminal_the_shards_id_must_be_typed(site: Site):
    site.lose()
    site.await_refused()
    command = ("admin", "accept-loss", LOST, "--server", site.router.address)
    with Terminal(*command, environment={}) as terminal:
        assert "is refused from then on" in terminal.expect("type the shard's id: ")
        terminal.type("b" + ENTER)
        terminal.expect("nothing was accepted")
    site.await_refused()
    with Terminal(*command, environment={}) as terminal:
        terminal.expect("type the shard's id: ")
        terminal.type(LOST + ENTER)
        terminal.expect("shard a is accepted with its current data")
    site.await_value(None)


def test_a_shard_that_never_had_a_folder_is_not_refused(tmp_path):
    shards = {name: start_shard(name) for name in NAMES}
    router = start_router(shards)
    try:
        with Client(router.address) as client:
            client.set(b"key", b"value")
            for shard in shards.values():
                shard.kill()
                shard.restart()
            eventually(lambda: is_served(client), "all serve again")
            assert client.size() == 0
    finally:
        for node in (router, *shards.values()):
            node.kill()


def is_served(client: Client) -> bool:
    try:
        client.size()
        return True
    except grpc.RpcError:
        return False
