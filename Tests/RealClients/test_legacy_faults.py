"""The legacy services when shards are away, come back empty or are slow, and among many clients."""

import grpc
import pytest
from harness.client import Client, explain, refused
from harness.cluster import Cluster
from harness.crew import Crew
from harness.history import FAILED, UNKNOWN
from harness.jobs import LEGACY, PIPELINE, UNARY, Job
from harness.linearizability import check
from harness.legacy.key_store import KeyStore, request
from harness.legacy.kv_store import KVStore
from harness.polling import eventually
from harness.seeds import seed
from harness.site import Site
from harness.slots import keys_of

pytestmark = pytest.mark.usefixtures("quick_links")

CALL_SECONDS = 60.0


@pytest.fixture
def owned(cluster: Cluster) -> dict[str, str]:
    """A key of each shard."""
    with Client(cluster.address) as client:
        slot_map = client.describe().map
    return {name: next(keys_of(slot_map, name)).decode() for name in "abc"}


def is_away(store: KeyStore, key: str) -> bool:
    try:
        store.get(key)
        return False
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return True


def test_keys_of_a_killed_shard_fail_and_come_back_empty(cluster, owned):
    with KeyStore(cluster.address, CALL_SECONDS) as store, KVStore(cluster.address) as numbers:
        for name, key in owned.items():
            store.set(key, name)
        cluster.shards["b"].kill()
        eventually(lambda: is_away(store, owned["b"]), "loss of shard b noticed")
        attempts = [
            lambda: store.set(owned["b"], "x"), lambda: store.get(owned["b"]),
            lambda: store.delete(owned["b"]), lambda: store.lpush(owned["b"], "x"),
            lambda: store.lrange(owned["b"]), lambda: store.lpop(owned["b"]),
            lambda: numbers.set(owned["b"], 1), lambda: numbers.get(owned["b"]),
        ]
        for attempt in attempts:
            with refused("UNAVAILABLE", "SHARD_UNAVAILABLE") as refusal:
                attempt()
            assert refusal.retry_info and refusal.metadata["shard"] == "b"
        assert [store.get(owned[name]) for name in "ac"] == ["a", "c"]
        cluster.shards["b"].restart()
        eventually(lambda: not is_away(store, owned["b"]), "shard b served again")
        assert store.get(owned["b"]) is None
        assert numbers.set(owned["b"], 7) and numbers.get(owned["b"]) == 7


def test_a_write_whose_reply_is_lost_has_an_open_outcome(cluster, owned):
    with KeyStore(cluster.address) as store, KVStore(cluster.address) as numbers:
        cluster.shards["b"].pause()
        key = owned["b"]
        writes = [
            store.stub.Set.future(request("SET", key, ("x",)), timeout=CALL_SECONDS),
            store.stub.LPush.future(request("LPUSH", key, ("x",)), timeout=CALL_SECONDS),
            store.stub.Delete.future(request("DELETE", key), timeout=CALL_SECONDS),
        ]
        read = store.stub.Get.future(request("GET", key), timeout=CALL_SECONDS)
        for write in writes:
            assert write.exception().code() == grpc.StatusCode.UNAVAILABLE
            told = explain(write)
            assert told.reason == "OUTCOME_UNKNOWN"
            assert told.trailers["grpc-retry-pushback-ms"] == "-1"
        read.exception()
        assert explain(read).reason == "SHARD_UNAVAILABLE"
        assert store.set(owned["a"], "served") == "OK" and numbers.set(owned["c"], 1)
        cluster.shards["b"].resume()


def test_deadlines_are_kept_and_calls_can_be_cancelled(cluster, owned):
    with KeyStore(cluster.address) as store, KVStore(cluster.address, 0.3) as numbers:
        assert store.get(owned["b"]) is None
        cluster.shards["b"].pause()
        with refused("DEADLINE_EXCEEDED"):
            numbers.get(owned["b"])
        with refused("DEADLINE_EXCEEDED"):
            store.stub.LPop(request("LPOP", owned["b"]), timeout=0.3)
        waiting = [
            store.stub.Get.future(request("GET", owned["b"]), timeout=CALL_SECONDS)
            for _ in range(50)
        ]
        for one in waiting:
            one.cancel()
        assert store.set(owned["a"], "served") == "OK"
        cluster.shards["b"].resume()
        eventually(lambda: not is_away(store, owned["b"]), "shard b served again")


def test_clients_that_leave_in_the_middle_leave_nothing_behind(cluster, owned):
    with KeyStore(cluster.address) as store:
        store.set(owned["a"], "x" * 1_000_000)
        for _ in range(20):
            with KeyStore(cluster.address) as leaver:
                for key in owned.values():
                    leaver.stub.Get.future(request("GET", key), timeout=CALL_SECONDS)
                    leaver.stub.LPop.future(request("LPOP", "l" + key), timeout=CALL_SECONDS)
        assert len(store.get(owned["a"])) == 1_000_000


# --- Many clients ----------------------------------------------------------------------------

STRINGS = {"SET": 3, "GET": 4, "DELETE": 1}
# Pops outnumber pushes, which may be of three values: a list always fits into one reply.
LISTS = {"LPUSH": 2, "LPOP": 5, "LRANGE": 1}
CALLS = 250


def jobs(site: Site, clients: list[str], groups, **more) -> list[Job]:
    return [
        Job(site.address(number), groups, CALLS, seed() * 1000 + number, client, **more)
        for number, client in enumerate(clients)
    ]


def explained(crew: Crew, work: list[Job]):
    report = crew.do(work)
    assert not report.complaints
    assert not [str(one) for one in report.history.operations if one.kind in (FAILED, UNKNOWN)][:9]
    check(report.history)
    return report


@pytest.mark.parametrize("large", [0.0, 0.2], ids=["small", "large and small"])
def test_calls_of_both_services_on_shared_keys_take_one_order(site, crew, large):
    groups = (
        ((b"one", b"two"), STRINGS), ((b"list", b"more"), LISTS),
        ((b"either",), {"SET": 1, "LPUSH": 1, "LPOP": 1, "GET": 1, "DELETE": 1}),
    )
    clients = [LEGACY] * 5 + [UNARY] * 2 + [PIPELINE]
    report = explained(crew, jobs(site, clients, groups, large=large))
    assert {one.call for one in report.history.operations} == {*STRINGS, *LISTS}


def test_sets_of_one_key_by_many_processes_take_one_order(site, crew):
    explained(crew, jobs(site, [LEGACY] * 8, (((b"the key",), {"SET": 1, "GET": 1}),)))


def test_every_element_is_popped_exactly_once(site, crew):
    lists = (b"left", b"right")
    work = jobs(site, [LEGACY] * 4, ((lists, {"LPUSH": 1}),), medium=0)
    work += jobs(site, [LEGACY] * 4, ((lists, {"LPOP": 1}),), medium=0)
    report = explained(crew, work)
    pushed = sorted((one.key, one.arguments[0]) for one in report.history.of("LPUSH"))
    found = [(one.key, one.reply[1]) for one in report.history.of("LPOP") if one.reply[1]]
    with KeyStore(site.addresses[0]) as store:
        for key in lists:
            found += [(key, text.encode()) for text in store.lrange(key.decode())]
    assert sorted(found) == pushed and len(set(pushed)) == 4 * CALLS
