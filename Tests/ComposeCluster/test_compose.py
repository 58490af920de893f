"""The compose cluster as its users meet it, in the order in which they do: it starts, serves
clients outside, loses a shard and finds it again, stops and starts, keeps its data until it is told
to forget it, and leaves nothing."""

import json
import threading
from collections import Counter
from contextlib import contextmanager

import grpc
import pytest
from compose import HEALTHY_SECONDS, SERVICES, SHARDS, Compose, docker
from harness.client import Client
from harness.lines import Lines
from harness.pages import ROOT, Shell, blocks, disagreements
from harness.polling import eventually
from harness.slots import keys_of
from ringstore.v1 import cluster_pb2

PACE_SECONDS = 0.002
# Volumes: what the authority has signed, and its key.
CERTIFICATES = ("certificates", "authority")


@pytest.fixture
def client(compose: Compose):
    with compose.client() as opened:
        yield opened


@pytest.fixture
def keys(client: Client) -> dict[str, bytes]:
    """A key of each shard, set."""
    slot_map = client.describe().map
    owned = {name: next(keys_of(slot_map, name)) for name in SHARDS}
    for name, key in owned.items():
        client.set(key, name.encode())
    return owned


class Watch:
    """Reads one key of each shard over and over; `seen` counts what came of it."""

    def __init__(self, compose: Compose, keys: dict[str, bytes]):
        self.seen: dict[str, Counter] = {name: Counter() for name in keys}
        self._end = threading.Event()
        self._client = compose.client()
        self._threads = [
            threading.Thread(target=self._read, args=item) for item in keys.items()
        ]

    def _read(self, name: str, key: bytes) -> None:
        while not self._end.wait(PACE_SECONDS):
            try:
                self._client.get(key)
                self.seen[name]["served"] += 1
            except grpc.RpcError as error:
                self.seen[name][error.code().name] += 1

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        for name, seen in self.seen.items():
            eventually(lambda seen=seen: seen["served"], f"shard {name} read")
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._client.close()


def serves(client: Client, key: bytes, value: bytes) -> bool:
    try:
        client.set(key, value)
        return client.get(key).value == value
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


@contextmanager
def only_one_shard_missed(compose: Compose, keys: dict[str, bytes], lost: str):
    """Around a loss: the shard's keys are refused for a while and served again at the end; the
    others' are served all the time."""
    with Watch(compose, keys) as watch, compose.client() as client:
        yield
        eventually(lambda: serves(client, keys[lost], b"again"), f"shard {lost}", 30.0)
    for name, seen in watch.seen.items():
        assert seen["served"], seen
        outcomes = {"served", "UNAVAILABLE"} if name == lost else {"served"}
        assert set(seen) == outcomes, (name, seen)


def test_shards_are_healthy_before_the_router_starts(compose):
    events = compose.events()
    router = events.index(("router", "start"))
    for shard in SHARDS.values():
        assert events.index((shard, "health_status: healthy")) < router, events
    assert all(compose.health(service) == "healthy" for service in SERVICES)


def test_only_the_router_can_be_reached_from_outside(compose):
    for shard in SHARDS.values():
        settings = compose.inspect(shard)["NetworkSettings"]
        assert not any(settings["Ports"].values())
        assert list(settings["Networks"]) == [compose.network()]
    (network,) = json.loads(docker("network", "inspect", compose.network()))
    assert network["Internal"]
    published = compose.inspect("router")["NetworkSettings"]["Ports"]
    assert {port: binding[0]["HostIp"] for port, binding in published.items()} == {
        "50051/tcp": "127.0.0.1",
        "9999/tcp": "127.0.0.1",
    }


def test_the_nodes_run_without_privileges(compose):
    for service in SERVICES:
        assert docker("exec", compose.container(service), "id", "-u") == "10001"


def test_grpc_clients_outside_are_served_by_every_shard(compose, client):
    for number in range(300):
        client.set(b"outside-%d" % number, b"%d" % number)
    assert all(client.get(b"outside-%d" % n).value == b"%d" % n for n in range(300))
    shards = [n for n in client.describe().nodes if n.role == cluster_pb2.Node.SHARD]
    assert sorted(node.id for node in shards) == sorted(SHARDS)
    assert all(node.keys > 0 for node in shards)


def test_clients_outside_are_encrypted_or_refused(compose):
    with Client(compose.address) as client:
        with pytest.raises(grpc.RpcError) as refused:
            client.get(b"anything")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    with Lines(compose.line_port) as connection:
        connection.request(b"PING")
        assert connection.rest() == b""


def test_a_shard_serves_only_who_has_a_certificate(compose):
    health = ("exec", "-T", "shard-a", "ringstore", "health")
    assert compose.command(*health) == "shard a serving\n"
    with pytest.raises(AssertionError):
        compose.command(*health, "--tls-certificate", "", "--tls-key", "")


def test_line_clients_outside_see_what_grpc_clients_see(compose, client):
    with compose.lines() as connection:
        assert connection.ask(b"SET", b"from-lines", b"41") == b"+OK"
        assert connection.ask(b"INCRBY", b"from-lines", b"1") == b"+42"
        assert connection.ask(b"GET", b"nowhere") == b"-invalid key nowhere"
        assert connection.ask(b"KEYS", b"from-l") == [b"from-lines"]
    assert client.get(b"from-lines").value == b"42"


def test_the_health_check_of_the_whole_cluster_runs(compose):
    printed = compose.command("exec", "-T", "router", "ringstore", "health", "--shards")
    assert printed == "router serving, 3 of 3 shards serving\n"


def test_a_killed_shard_comes_back_while_the_others_serve(compose, keys):
    with only_one_shard_missed(compose, keys, "b"):
        compose.kill_and_wait("shard-b")
    assert compose.restarts("shard-b") == 1
    assert all(compose.restarts(service) == 0 for service in SERVICES if service != "shard-b")


def test_a_shard_that_comes_back_with_another_address_is_found(compose, keys):
    with only_one_shard_missed(compose, keys, "c"):
        old, new = compose.move("shard-c")
        assert old != new
    assert compose.restarts("router") == 0


def test_every_node_drains_when_it_is_stopped_and_serves_after_a_start(compose, keys):
    # An idle connection and its client don't hold a node up.
    with compose.client() as idle:
        idle.get(keys["a"])
        compose.command("stop", "--timeout", "10")
    states = {service: compose.inspect(service)["State"] for service in SERVICES}
    # 137 would mean that the engine had to kill it when the ten seconds were over.
    assert {service: state["ExitCode"] for service, state in states.items()} == {
        service: 0 for service in SERVICES
    }
    compose.command("start")
    eventually(lambda: compose.health("router") == "healthy", "router healthy", HEALTHY_SECONDS)
    with compose.client() as client:
        for name, key in keys.items():
            eventually(lambda key=key: serves(client, key, b"again"), f"shard {name}", 30.0)


def kept_keys(word: str) -> dict[bytes, bytes]:
    return {b"%s-%d" % (word.encode(), n): b"%d" % n for n in range(300)}


def holds(client: Client, wanted: dict[bytes, bytes]) -> bool:
    """Whether every shard is reached; then all of these must be there."""
    try:
        found = {key: client.get(key).value for key in wanted}
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False
    assert found == wanted
    return True


def test_killed_shards_have_their_keys_again(compose, client):
    wanted = kept_keys("killed")
    for key, value in wanted.items():
        client.set(key, value)
    for service in SHARDS.values():
        compose.kill_and_wait(service)
    eventually(lambda: holds(client, wanted), "every key read", 60.0)


def test_what_was_written_before_down_is_there_after_up(compose):
    wanted = kept_keys("down")
    with compose.client() as client:
        for key, value in wanted.items():
            client.set(key, value)
    compose.dismiss_helper()
    compose.command("down", "--timeout", "10")
    assert compose.labelled("ps", "--all") == []
    assert len(compose.labelled("volume", "ls")) == len(SHARDS) + len(CERTIFICATES)
    compose.up()
    with compose.client() as client:
        eventually(lambda: holds(client, wanted), "every key read", 60.0)


def test_a_volume_is_its_shards_alone_and_belongs_to_no_one_else(compose):
    for name, service in SHARDS.items():
        mounts = {mount["Destination"]: mount for mount in compose.inspect(service)["Mounts"]}
        assert mounts["/var/lib/ringstore"]["Name"].endswith(f"_data-{name}")
        listed = docker(
            "exec", compose.container(service), "stat", "--format", "%u:%g %a", "/var/lib/ringstore"
        )
        assert listed == "10001:10001 700"
    router = compose.inspect("router")
    assert {mount["Destination"] for mount in router["Mounts"]} == {
        "/etc/ringstore",
        "/var/lib/ringstore-certificates",
    }
    assert not any(mount["RW"] for mount in router["Mounts"])


class ReaderOfThePage(Shell):
    """Runs the page's lines on this test's project, image and ports."""

    def __init__(self, compose: Compose, folder):
        super().__init__(compose.port, compose.line_port, folder)
        self._compose = compose

    def placed(self, text: str) -> str:
        return text

    def environment(self) -> dict[str, str]:
        return self._compose.environment | {"COMPOSE_PROJECT_NAME": self._compose.project}


def test_the_page_does_what_it_says_and_nothing_is_left(compose, tmp_path):
    # And the service that has made the certificates.
    assert len(compose.labelled("ps", "--all")) == len(SERVICES) + 1
    compose.dismiss_helper()
    wrong = disagreements(blocks(ROOT / "docs" / "COMPOSE.md"), ReaderOfThePage(compose, tmp_path))
    assert not wrong, wrong
    assert compose.labelled("ps", "--all") == []
    assert compose.labelled("network", "ls") == []
    assert compose.labelled("volume", "ls") == []


def test_without_encryption_clients_are_served_in_plaintext(insecure):
    """As the page has it, "Without encryption"."""
    with Client(insecure.address) as client:
        slot_map = client.describe().map
        for name in SHARDS:
            # Over a link to each shard.
            key = next(keys_of(slot_map, name))
            client.set(key, name.encode())
            assert client.get(key).value == name.encode()
    with Lines(insecure.line_port) as connection:
        assert connection.ask(b"PING") == b"+PONG"
    with insecure.client() as encrypted:
        with pytest.raises(grpc.RpcError) as refused:
            encrypted.describe()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    printed = insecure.command("exec", "-T", "router", "ringstore", "health", "--shards")
    assert printed == "router serving, 3 of 3 shards serving\n"
    for service in SERVICES:
        assert insecure.health(service) == "healthy"


def test_the_cluster_is_not_named_after_its_folder():
    settings = (ROOT / "deploy" / "compose" / ".env").read_text().splitlines()
    assert "COMPOSE_PROJECT_NAME=ringstore" in settings
