"""The list of shards changes while clients work: shards come, go and move to other addresses.

No call may be lost or get a wrong reply meanwhile, and a change that would move keys is refused.
"""

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from harness.client import Client, call, pipeline
from harness.cluster import HOST, Cluster, start_shard
from harness.log_events import events
from harness.polling import eventually
from harness.process import Node, run
from harness.slots import keys_of, owners, slot
from ringstore.v1 import keystore_pb2 as pb


class Listed:
    """A router whose list of shards is in a file, and its shards. A context manager."""

    def __init__(self, folder: Path, names: str = "abc", *extra: str):
        self.shards = {name: start_shard(name) for name in names}
        self.file = folder / "router.yaml"
        self.routers: list[Node] = []
        self.list(self.addresses())
        self.router = self.start_router(*extra)

    def addresses(self) -> dict[str, str]:
        return {name: shard.address for name, shard in self.shards.items()}

    def start_router(self, *extra: str, file: Path | None = None) -> Node:
        config = f"--config={file or self.file}"
        router = Node("router", "--host", HOST, "--port", "0", config, *extra)
        self.routers.append(router)
        return router

    def list(self, addresses: dict[str, str], file: Path | None = None) -> None:
        entries = "".join(f"  - {name}={address}\n" for name, address in addresses.items())
        (file or self.file).write_text("shards:\n" + entries)

    def add(self, name: str) -> Node:
        self.shards[name] = start_shard(name)
        self.list(self.addresses())
        return self.shards[name]

    def hang_up(self, router: Node | None = None) -> None:
        (router or self.router).process.send_signal(signal.SIGHUP)

    def admin(self, *words: str):
        return run("admin", *words, "--server", self.router.address)

    def __enter__(self) -> "Listed":
        return self

    def __exit__(self, *_: object) -> None:
        for node in [*self.routers, *self.shards.values()]:
            node.stop()


@pytest.fixture
def listed(tmp_path):
    with Listed(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """The owners before and after a fourth shard comes; the same in every cluster."""
    with Listed(tmp_path_factory.mktemp("maps")) as cluster:
        with Client(cluster.router.address) as client:
            before = owners(client.describe().map)
            cluster.add("d")
            assert cluster.admin("reload").returncode == 0
            after = client.describe().map
            assert after.epoch == 2
            yield before, owners(after)


def keys(maps, moving: bool) -> Iterator[bytes]:
    before, after = maps
    candidates = (b"key-%d" % number for number in itertools.count())
    return (key for key in candidates if (before[slot(key)] != after[slot(key)]) == moving)


class Work:
    """Clients that count on keys that stay, and read keys that don't exist. Keeps what failed."""

    def __init__(self, addresses: list[str], maps):
        self.staying = list(itertools.islice(keys(maps, moving=False), 40))
        self.moving = list(itertools.islice(keys(maps, moving=True), 40))
        self.counts = {key: 0 for key in self.staying}
        self.rounds = 0
        self.failures: list[str] = []
        self._ends = threading.Event()
        jobs = [self._count, self._count, self._read, self._pipeline]
        self._threads = [
            threading.Thread(target=self._run, args=(job, number, address))
            for number, (job, address) in enumerate(zip(jobs, itertools.cycle(addresses)))
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, job, number: int, address: str) -> None:
        with Client(address) as client:
            while not self._ends.is_set():
                try:
                    job(client, number)
                    self.rounds += 1
                except (grpc.RpcError, AssertionError) as error:
                    self.failures.append(f"{job.__name__}: {error}")

    def _count(self, client: Client, number: int) -> None:
        for key in self.staying[number::3]:
            self.counts[key] += 1
            assert client.incr(key) == self.counts[key], "a count was lost or repeated"

    def _read(self, client: Client, number: int) -> None:
        for key in self.moving:
            assert not client.get(key).found
        wanted = [*self.moving[:5], *self.staying[:5]]
        request = pb.MGetRequest(keys=[pb.Key(key=key) for key in wanted])
        items = client.stub.MGet(request, timeout=20).items
        assert all(item.WhichOneof("outcome") == "value" for item in items), items
        found = client.keys()
        assert set(found) <= set(self.staying), found

    def _pipeline(self, client: Client, number: int) -> None:
        for key in self.staying[2::3]:
            self.counts[key] += 3
            calls = [call("INCR_BY", pb.IncrByRequest(key=key, delta=1)) for _ in range(3)]
            calls += [call("GET", pb.Key(key=key)) for key in self.moving[:9]]
            replies = pipeline(client, calls)
            assert all(reply.code == 0 for reply in replies.values()), replies

    def wait_for_progress(self) -> None:
        """Returns when all kinds of client have continued for a while."""
        begin = self.rounds
        eventually(lambda: self.failures or self.rounds > begin + 12, "the load continues")
        assert self.failures == []

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()
        assert self.failures == []


@contextmanager
def work(addresses: list[str], maps) -> Iterator[Work]:
    load = Work(addresses, maps)
    try:
        yield load
    finally:
        load.end()


def epoch(address: str) -> int:
    with Client(address) as client:
        return client.describe().map.epoch


def shard_addresses(address: str) -> dict[str, str]:
    with Client(address) as client:
        return {shard.id: shard.address for shard in client.describe().map.shards}


def test_shards_come_move_and_go_under_load_and_no_call_is_lost(maps, tmp_path):
    with Listed(tmp_path, "abc", "--threads", "2") as cluster:
        other = cluster.start_router()
        both = [cluster.router.address, other.address]
        with work(both, maps) as load:
            load.wait_for_progress()
            fourth = cluster.add("d")
            cluster.hang_up()
            for address in both:
                eventually(lambda at=address: epoch(at) == 2, "the fourth shard has come")
            load.wait_for_progress()

            # Another way to write the address is another address to the router.
            moved = cluster.shards["a"]
            cluster.list(cluster.addresses() | {"a": f"localhost:{moved.port}"})
            cluster.hang_up()
            eventually(
                lambda: shard_addresses(both[0])["a"].startswith("localhost"), "another address"
            )
            # Two lanes for each of three loops, and again for the two of the router that has moved.
            eventually(
                lambda: events(moved.log(), "router connected") >= 2 * (3 + 2),
                "both loops have moved",
            )
            load.wait_for_progress()

            del cluster.shards["d"]
            cluster.list(cluster.addresses())
            cluster.hang_up()
            for address in both:
                eventually(lambda at=address: epoch(at) == 4, "the fourth shard has gone")
            load.wait_for_progress()
            fourth.stop()
            load.wait_for_progress()
        with Client(other.address) as client:
            assert client.keys() == sorted(load.staying)
            for key, count in load.counts.items():
                assert int(client.get(key).value) == count


def test_a_stream_that_is_not_read_does_not_keep_a_link_at_its_old_address(listed):
    """It ends as when the link is lost; calls that wait are executed at the new address."""
    with Client(listed.router.address) as client:
        key = next(keys_of(client.describe().map, "a"))
        for _ in range(32):
            client.stub.RPush(pb.ListInsert(key=key, values=[bytes(1 << 20)] * 2), timeout=30)
        stream = client.lstream(key)
        assert next(stream).length == 64
        listed.list(listed.addresses() | {"a": f"localhost:{listed.shards['a'].port}"})
        assert listed.admin("reload").returncode == 0
        assert client.stub.LLen(pb.Key(key=key), timeout=30).count == 64
        assert events(listed.router.log(), "its address has changed") == 1
        with pytest.raises(grpc.RpcError) as ended:
            list(stream)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE


def test_what_a_new_shard_gets_is_served_by_it(listed, maps):
    listed.add("d")
    assert listed.admin("reload").returncode == 0
    moved = list(itertools.islice(keys(maps, moving=True), 20))
    with Client(listed.router.address) as client:
        for key in moved:
            client.set(key, key)
        assert client.keys() == sorted(moved)
    with Client(listed.shards["d"].address) as alone:
        assert alone.keys() == sorted(moved)


def test_a_change_that_would_move_keys_is_refused_and_says_which(listed, maps):
    key = next(keys(maps, moving=True))
    with Client(listed.router.address) as client:
        client.set(key, b"v")
        listed.add("d")
        held = f"it holds 1 key of 1 slot that would move to d: {slot(key)}"
        plan = listed.admin("plan")
        assert plan.returncode == 1 and held in plan.stdout, plan
        assert "added: d" in plan.stdout
        refused = listed.admin("reload")
        assert refused.returncode == 1 and held in refused.stderr, refused
        listed.hang_up()
        eventually(
            lambda: [li for li in listed.router.log_lines("the shards stay") if held in li],
            "the refusal in the log",
        )
        assert client.describe().map.epoch == 1
        assert client.get(key).value == b"v"
        client.delete(key)
    plan = listed.admin("plan")
    assert plan.returncode == 0 and "nothing prevents the change" in plan.stdout, plan
    assert epoch(listed.router.address) == 1
    assert listed.admin("reload").returncode == 0
    assert epoch(listed.router.address) == 2


def test_a_shard_that_holds_keys_is_not_dropped(listed, maps):
    with Client(listed.router.address) as client:
        key = next(key for key in keys(maps, moving=False) if maps[0][slot(key)] == "b")
        client.set(key, b"v")
        listed.list({name: at for name, at in listed.addresses().items() if name != "b"})
        refused = listed.admin("reload")
        assert refused.returncode == 1 and "shard b refuses: it holds 1 key" in refused.stderr
        client.delete(key)
        assert listed.admin("reload").returncode == 0
        assert [shard.id for shard in client.describe().map.shards] == ["a", "c"]
        listed.shards.pop("b").stop()
        client.set(key, b"v")
        assert client.get(key).value == b"v"


def test_a_shard_that_is_away_stops_a_change(listed):
    listed.shards["b"].kill()
    listed.add("d")
    refused = listed.admin("reload")
    assert refused.returncode == 1 and "shard b can't be reached" in refused.stderr, refused
    listed.shards["b"].restart()
    listed.shards["d"].kill()
    eventually(lambda: "shard d can't be reached" in listed.admin("reload").stderr, "b is back")
    assert epoch(listed.router.address) == 1
    listed.shards["d"].restart()
    listed.list(listed.addresses())
    eventually(lambda: listed.admin("reload").returncode == 0, "all are there")


def test_a_router_that_starts_or_comes_back_takes_over_the_map(listed, maps):
    old = listed.file.with_name("old.yaml")
    listed.list(listed.addresses(), old)
    listed.add("d")
    assert listed.admin("reload").returncode == 0
    moved = list(itertools.islice(keys(maps, moving=True), 5))
    for router in (listed.start_router(file=old), listed.start_router()):
        with Client(router.address) as client:
            assert client.describe().map.epoch == 2
            for key in moved:
                client.set(key, b"v")
            assert client.keys() == sorted(moved)


def test_of_two_changes_at_once_one_at_most_is_made(listed):
    second = listed.file.with_name("second.yaml")
    other = listed.start_router(file=listed.file)
    fourth, fifth = start_shard("d"), start_shard("e")
    listed.shards |= {"d": fourth, "e": fifth}
    addresses = listed.addresses()
    for _ in range(3):
        at = {name: addresses[name] for name in "abc"}
        listed.list(at | {"d": addresses["d"]})
        listed.hang_up()
        listed.list(at | {"e": addresses["e"]}, second)
        listed.hang_up(other)
        routers = (listed.router.address, other.address)

        def agreed() -> bool:
            seen = []
            for address in routers:
                with Client(address) as client:
                    slot_map = client.describe().map
                    seen.append((slot_map.epoch, [s.id for s in slot_map.shards], owners(slot_map)))
            return seen[0] == seen[1]

        eventually(agreed, "both routers have one map")
        for address in routers:
            with Client(address) as client:
                assert client.reset() >= 0
                for number in range(50):
                    client.set(b"k%d" % number, b"v")
                assert client.size() == 50
                client.reset()


def test_a_list_that_is_not_in_a_file_can_not_be_read_again():
    with Cluster("a") as cluster:
        told = run("admin", "reload", "--server", cluster.address)
        assert told.returncode == 1 and "--shard" in told.stderr and "--config" in told.stderr
        cluster.router.process.send_signal(signal.SIGHUP)
        eventually(lambda: "the shards stay as they are" in cluster.router.log(), "logged")
        told = run("admin", "plan", "--server", cluster.shards["a"].address)
        assert told.returncode == 1 and "Only routers have a list of shards" in told.stderr


def test_a_file_that_is_wrong_changes_nothing(listed):
    listed.file.write_text("shards:\n  - a=nowhere\n")
    told = listed.admin("reload")
    assert told.returncode == 1 and "HOST:PORT" in told.stderr, told
    with Client(listed.router.address) as client:
        client.set(b"k", b"v")
