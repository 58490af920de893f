"""Who may be whose router: what a shard refuses, and where people see that it did.

A refusal stands in the router's log, in Describe, in `ringstore cli DESCRIBE` and in the error of
every call concerned. Routers that agree work side by side; of two that disagree one is obeyed.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from harness.client import Client, call, explain, pipeline, refused
from harness.cluster import HOST, Cluster, start_router, start_shard
from harness.durable import DurableCluster
from harness.link import Link, even_map, hello
from harness.log_events import events
from harness.polling import eventually
from harness.process import Node, run
from harness.slots import keys_of
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

UNREACHABLE = cluster_pb2.Node.UNREACHABLE
MANY = [b"key-%d" % number for number in range(60)]


@contextmanager
def nodes(*started: Node) -> Iterator[None]:
    """Stops them at the end."""
    try:
        yield
    finally:
        for node in started:
            node.stop()


@pytest.fixture
def cluster_of_two():
    with Cluster("ab") as started:
        yield started


@pytest.fixture
def shard():
    started = start_shard("a")
    with nodes(started):
        yield started


def away(client: Client) -> dict[str, str]:
    """Ids of shards that Describe shows as unreachable, and why."""
    return {n.id: n.detail for n in client.describe().nodes if n.state == UNREACHABLE}


def check_seen_everywhere(
    router: Node, shards: set[str], reason: str, stood_back_from: set[str] = frozenset()
) -> None:
    """The refusal by these shards is shown in every place where an operator looks."""
    with Client(router.address) as client:
        unused = shards | stood_back_from
        eventually(lambda: away(client).keys() == unused, f"{unused} shown as unreachable")
        assert all(reason in detail for detail in away(client).values()), away(client)
        slot_map = client.describe().map
        for name in shards:
            line = rf" error .* link refused (.* )?reason={reason} (.* )?shard={name}$"
            assert re.search(line, router.log(), re.MULTILINE), router.log()
            key = next(keys_of(slot_map, name))
            for attempt in (lambda k=key: client.get(k), lambda k=key: client.set(k, b"v")):
                told = error_of(attempt)
                assert told is not None, "a reply"
                assert reason in f"{told.reason} {told.message}", told
                assert name in told.message, told
    printed = run("cli", "--server", router.address, "DESCRIBE")
    assert printed.returncode == 0
    for name in shards:
        assert re.search(rf"^{name} +shard +unreachable ", printed.stdout, re.MULTILINE)
        assert re.search(rf"^{name}: .*{reason}", printed.stdout, re.MULTILINE), printed.stdout


def error_of(attempt) -> object:
    """What a call was refused with, or None for a reply."""
    try:
        attempt()
        return None
    except grpc.RpcError as error:
        return explain(error)


def test_a_router_of_another_cluster_is_refused(shard):
    router = start_router({"a": shard}, "--cluster", "other")
    with nodes(router):
        check_seen_everywhere(router, {"a"}, "WRONG_CLUSTER")
    with Client(shard.address) as client:
        assert client.keys() == []


def test_shards_whose_addresses_were_mixed_up_refuse(cluster_of_two):
    shards = cluster_of_two.shards
    router = start_router({"a": shards["b"], "b": shards["a"]})
    with nodes(router):
        check_seen_everywhere(router, {"a", "b"}, "WRONG_SHARD")
    with Client(cluster_of_two.address) as client:
        assert client.keys() == []


def test_one_shard_of_another_cluster_is_distinguished_from_the_others(shard):
    stranger = start_shard("c", "--cluster", "other")
    router = start_router({"a": shard, "c": stranger})
    with nodes(router, stranger):
        check_seen_everywhere(router, {"c"}, "WRONG_CLUSTER")


def test_a_router_with_an_older_map_takes_over_the_newer_one(shard):
    newer = even_map({"a": shard.address}, epoch=2)
    with Link(shard.address, hello(newer, "a")) as link:
        assert link.reply.accepted
        router = start_router({"a": shard})
        with nodes(router), Client(router.address) as client:
            eventually(lambda: client.describe().map.epoch == 2, "the router goes by the newer map")
            client.set(b"key", b"value")
            assert client.get(b"key").value == b"value"


def test_a_shard_with_a_newer_map_hands_it_out(shard):
    newer = even_map({"a": shard.address, "b": "127.0.0.1:1"}, epoch=7)
    with Link(shard.address, hello(newer, "a", router="one/0")) as first:
        assert first.reply.accepted
        older = even_map({"a": shard.address}, epoch=6)
        with Link(shard.address, hello(older, "a", router="two/0")) as second:
            assert not second.reply.accepted
            assert second.reply.refusal == "STALE_MAP"
            assert second.reply.map_epoch == 7
            assert second.reply.map == newer


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"cluster": "other"}, "WRONG_CLUSTER"),
        ({"expected_shard": "b"}, "WRONG_SHARD"),
        ({"protocol": 99}, "PROTOCOL_VERSION"),
        ({"map": even_map({"b": "127.0.0.1:1"})}, "WRONG_SHARD"),
    ],
)
def test_a_refused_link_serves_no_calls(shard, fields, refusal):
    slot_map = even_map({"a": shard.address})
    with Link(shard.address, hello(slot_map, "a", **fields)) as link:
        assert (link.reply.accepted, link.reply.refusal) == (False, refusal)
        assert link.reply.shard == "a"
        write = call("SET", pb.KeyValue(key=b"k", value=b"v"))
        link.send(calls=[{"id": 1, "method": write.method, "request": write.request}])
        # Whether the shard ends the stream or falls silent, the call must not run.
        with Link(shard.address, hello(slot_map, "a", router="right/0")) as right:
            assert right.reply.accepted
    with Client(shard.address) as client:
        assert client.keys() == []


def test_an_older_generation_is_refused_and_what_it_sent_is_not_executed(shard):
    slot_map = even_map({"a": shard.address})

    def write(link: Link, value: bytes) -> None:
        one = call("SET", pb.KeyValue(key=b"k", value=value))
        link.send(calls=[{"id": one.id, "method": one.method, "request": one.request}])

    with Link(shard.address, hello(slot_map, "a", generation=5)) as old:
        assert old.reply.accepted
        write(old, b"old")
        assert old.receive().replies[0].code == 0
        with Link(shard.address, hello(slot_map, "a", generation=6)) as new:
            assert new.reply.accepted
            write(old, b"too late")
            write(new, b"new")
            assert new.receive().replies[0].code == 0
            with Link(shard.address, hello(slot_map, "a", generation=4)) as older:
                assert (older.reply.accepted, older.reply.refusal) == (False, "STALE_GENERATION")
            write(new, b"newest")
            assert new.receive().replies[0].code == 0
    with Client(shard.address) as client:
        assert client.get(b"k").value == b"newest"


def test_a_map_that_gives_away_keys_that_a_shard_holds_is_refused(shard):
    with Client(shard.address) as client:
        for key in MANY:
            client.set(key, b"v")
    other = start_shard("b")
    router = start_router({"a": shard, "b": other})
    with nodes(router, other):
        # The other shard would take that router, which stands back from it all the same.
        check_seen_everywhere(router, {"a"}, "MAP_CONFLICT", stood_back_from={"b"})
    with Client(shard.address) as client:
        assert client.keys() == sorted(MANY)


@pytest.mark.parametrize(
    "spell",
    [
        lambda shards: [f"{name}={node.address}" for name, node in shards.items()],
        lambda shards: [f"{name}={node.address}" for name, node in reversed(shards.items())],
        lambda shards: [f"{name}=localhost:{node.port}" for name, node in shards.items()],
        lambda shards: [f"{name}={node.address},weight=1.0" for name, node in shards.items()],
    ],
    ids=["same", "another order", "another spelling", "weights named"],
)
def test_two_routers_with_the_same_list_work_side_by_side(cluster_of_two, spell):
    listed = [f"--shard={entry}" for entry in spell(cluster_of_two.shards)]
    second = Node("router", "--host", HOST, "--port", "0", *listed)
    with nodes(second), Client(cluster_of_two.address) as one, Client(second.address) as two:
        for number, key in enumerate(MANY):
            (one, two)[number % 2].set(key, key)
        for number, key in enumerate(MANY):
            assert (two, one)[number % 2].get(key).value == key
        assert two.size() == one.size() == len(MANY)
        assert one.keys() == two.keys() == sorted(MANY)
        assert away(one) == away(two) == {}
        assert two.reset() == len(MANY)
        assert one.size() == 0


def attempts(client: Client, key: bytes) -> list:
    """Every way in which a client might get something stored."""
    write = pb.KeyValue(key=key, value=b"astray")
    return [
        lambda: client.set(key, b"astray"),
        lambda: client.rpush(b"list of " + key, b"astray"),
        lambda: client.incr(b"count of " + key),
        lambda: _all_items(client.stub.MSet(pb.MSetRequest(items=[write]), timeout=20)),
    ]


def _all_items(reply: pb.MSetResponse) -> None:
    """Raises unless some item was done."""
    assert any(item.WhichOneof("outcome") == "status" for item in reply.items), reply


def stored_by(client: Client, keys: list[bytes]) -> list[bytes]:
    """The keys for which any attempt succeeded; clear errors are checked on the way."""
    done = []
    for key in keys:
        for attempt in attempts(client, key):
            try:
                told = error_of(attempt)
            except AssertionError as items:
                assert "MAP_CONFLICT" in str(items), items
                continue
            if told is None:
                done.append(key)
            else:
                assert "MAP_CONFLICT" in f"{told.reason} {told.message}", told
    return done


def another_list(change: str, shards: dict[str, Node], third: Node) -> list[str]:
    a, b = (f"{name}={shards[name].address}" for name in "ab")
    return {
        "one shard more": [a, b, f"c={third.address}"],
        "one shard less": [a],
        "another one instead": [a, f"c={third.address}"],
        "another weight": [a, f"{b},weight=2"],
    }[change]


@pytest.mark.parametrize(
    "change", ["one shard more", "one shard less", "another one instead", "another weight"]
)
def test_a_router_with_another_list_stores_nothing_and_says_why(cluster_of_two, change):
    third = start_shard("c")
    listed = another_list(change, cluster_of_two.shards, third)
    wrong = Node(
        "router", "--host", HOST, "--port", "0", *(f"--shard={entry}" for entry in listed)
    )
    with nodes(wrong, third), Client(cluster_of_two.address) as right:
        for key in MANY:
            right.set(key, b"value")
        with Client(wrong.address) as other:
            eventually(lambda: "MAP_CONFLICT" in wrong.log(), "the conflict in the log")
            assert stored_by(other, MANY) == []
            # Nor does it read or remove: what it would find is not the cluster's data.
            for attempt in (other.keys, other.size, other.reset):
                told = error_of(attempt)
                assert told is not None and "MAP_CONFLICT" in f"{told.reason} {told.message}", told
            replies = pipeline(other, [call("GET", pb.Key(key=key)) for key in MANY])
            assert all(reply.code != 0 for reply in replies.values())
        # The router that was there first continues, and finds its own data and nothing else.
        assert right.keys() == sorted(MANY)
        assert all(right.get(key).value == b"value" for key in MANY)
        with Client(third.address) as alone:
            assert alone.keys() == []


def accepts_any(router: Node) -> bool:
    """Whether that router stores anything at all."""
    with Client(router.address) as client:
        return any(error_of(lambda key=key: client.set(key, b"v")) is None for key in MANY)


def test_of_two_routers_that_start_at_once_with_different_lists_one_at_most_is_obeyed():
    third = start_shard("c")
    with nodes(third), Cluster("ab") as cluster:
        for _ in range(4):
            cluster.router.stop()
            for shard in (*cluster.shards.values(), third):
                shard.stop()
                shard.restart()
            lists = [cluster.shards, cluster.shards | {"c": third}]
            with ThreadPoolExecutor(2) as both:
                routers = list(both.map(start_router, lists))
            try:
                obeyed = [router for router in routers if accepts_any(router)]
                assert len(obeyed) <= 1
            finally:
                for router in routers:
                    router.stop()
        cluster.router.restart()


def test_the_conflict_is_reported_everywhere(cluster_of_two):
    third = start_shard("c")
    wrong = start_router(cluster_of_two.shards | {"c": third})
    with nodes(wrong, third):
        with Client(wrong.address) as client:
            eventually(lambda: away(client).keys() == set("abc"), "all shown as unreachable")
        # After the first refusal it connects to no other shard, and disconnects from the others.
        refusers = {name for name in "ab" if f"MAP_CONFLICT shard={name}" in wrong.log()}
        check_seen_everywhere(
            wrong, refusers, "MAP_CONFLICT", stood_back_from=set("abc") - refusers
        )
        assert refusers
        with Client(cluster_of_two.address) as right:
            right.set(b"key", b"value")
            assert right.get(b"key").value == b"value"
            assert away(right) == {}


def test_after_its_shards_are_restarted_the_other_router_is_obeyed(cluster_of_two):
    """The first router a shard meets is its router; a new shard has met none."""
    wrong = start_router({"a": cluster_of_two.shards["a"]})
    with nodes(wrong):
        check_seen_everywhere(wrong, {"a"}, "MAP_CONFLICT")
        cluster_of_two.router.stop()
        cluster_of_two.shards["a"].stop()
        cluster_of_two.shards["a"].restart()
        with Client(wrong.address) as client:
            eventually(lambda: away(client) == {}, "served")
            for key in MANY:
                client.set(key, b"value")
        cluster_of_two.router.restart()
        check_seen_everywhere(
            cluster_of_two.router, {"a"}, "MAP_CONFLICT", stood_back_from={"b"}
        )


def test_with_data_the_first_router_is_obeyed_after_a_restart_too():
    """A shard keeps the map that it has adopted with its data; the other router is there first."""
    with DurableCluster({"a": "everysec", "b": "always"}) as cluster:
        cluster.await_serving()
        with Client(cluster.address) as client:
            for key in MANY:
                client.set(key, b"value")
        cluster.router.kill()
        cluster.kill_all()
        for shard in cluster.shards.values():
            shard.restart()
        # By its list all slots belong to shard a: it would take away none of the keys there.
        wrong = start_router({"a": cluster.shards["a"]})
        with nodes(wrong):
            eventually(lambda: "MAP_CONFLICT" in wrong.log(), "the conflict in the log")
            check_seen_everywhere(wrong, {"a"}, "MAP_CONFLICT")
            cluster.router.restart()
            cluster.await_serving()
            with Client(cluster.address) as client:
                assert client.keys() == sorted(MANY)
                assert all(client.get(key).value == b"value" for key in MANY)


def test_a_shard_refuses_keys_that_its_map_gives_to_another(cluster_of_two):
    with Client(cluster_of_two.address) as router:
        router.set(b"anything", b"v")
        slot_map = router.describe().map
    foreign = next(keys_of(slot_map, "b"))
    with Client(cluster_of_two.shards["a"].address) as shard:
        own = next(keys_of(slot_map, "a"))
        assert shard.set(own, b"v").ok
        for attempt in (lambda: shard.get(foreign), lambda: shard.set(foreign, b"v")):
            with refused("FAILED_PRECONDITION", "WRONG_SHARD") as refusal:
                attempt()
            assert "b" in refusal.message


# MARK: what continues failing


SEEDS = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")


def router_of(addresses: dict[str, str], *extra: str) -> Node:
    listed = [f"--shard={name}={address}" for name, address in addresses.items()]
    return Node("router", "--host", HOST, "--port", "0", *listed, *extra)


def retried(router: Node, times: int) -> bool:
    """Whether the router has tried to reach its shard again so often since it was asked first."""
    return router.log().count("connecting to a shard") >= times


def problems(router: Node) -> list[str]:
    return re.findall(r"^.* (?:link refused|link lost) .*$", router.log(), re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "reason", "advice"),
    [
        (("--cluster", "other"), "WRONG_CLUSTER", "the same `cluster`"),
        (("--hash-seed", SEEDS[0]), "WRONG_HASH_SEED", "the same `hash_seed`"),
    ],
)
def test_a_permanent_refusal_is_reported_once_and_with_what_to_do(shard, arguments, reason, advice):
    router = start_router({"a": shard}, *arguments, "--threads", "2", "--log-level", "debug")
    with nodes(router), Client(router.address) as client:
        eventually(lambda: retried(router, 8), "some attempts")
        told = error_of(lambda: client.get(b"k"))
        assert reason in told.message and advice in told.message, told
        lines = problems(router)
        assert len(lines) == 1 and reason in lines[0] and advice in lines[0], lines
        assert SEEDS[0] not in router.log()
        told = [line for line in shard.log().splitlines() if "router refused" in line]
        assert len(told) == 1, told


def test_a_router_that_is_aimed_at_a_router_says_so(cluster_of_two):
    router = router_of({"a": cluster_of_two.address}, "--log-level", "debug")
    with nodes(router), Client(router.address) as client:
        eventually(lambda: retried(router, 5), "some attempts")
        told = error_of(lambda: client.get(b"k"))
        assert told.reason == "SHARD_UNAVAILABLE" and "perhaps a router" in told.message, told
        lines = problems(router)
        assert len(lines) == 1 and "correct the addresses" in lines[0], lines


def test_a_link_that_comes_back_is_reported_and_its_next_loss_too(cluster_of_two):
    router, shard = cluster_of_two.router, cluster_of_two.shards["a"]

    def ready() -> int:
        return events(router.log(), "link ready", "shard=a")

    for losses in (1, 2):
        eventually(lambda count=losses: ready() == count, "the link is ready")
        shard.kill()
        eventually(lambda: "shard=a" in "".join(problems(router)[-1:]), "the loss is told")
        shard.restart()
    eventually(lambda: ready() == 3, "the link is ready")


# MARK: hash seeds


def seeded(seed: str, *names: str) -> tuple[dict[str, Node], Node]:
    shards = {name: start_shard(name, "--hash-seed", seed) for name in names}
    return shards, start_router(shards, "--hash-seed", seed)


def test_nodes_with_one_seed_serve_and_never_show_it(tmp_path):
    file = tmp_path / "seed"
    file.write_text(SEEDS[0] + "\n")
    shards, router = seeded(f"file:{file}", "a", "b")
    with nodes(router, *shards.values()), Client(router.address) as client:
        for key in MANY:
            client.set(key, b"v")
        assert client.keys() == sorted(MANY)
        shown = [str(client.describe()), *(node.log() for node in (router, *shards.values()))]
        assert not any(SEEDS[0] in text.lower() for text in shown)


def test_a_token_of_another_seed_is_refused_with_a_sentence():
    tokens = []
    for seed in (*SEEDS, "public"):
        shards, router = seeded(seed, "a")
        with nodes(router, *shards.values()), Client(router.address) as client:
            for key in MANY:
                client.set(key, b"v")
            page = client.stub.Keys(pb.KeysRequest(limit=5), timeout=20)
            for token in tokens:
                with refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN") as refusal:
                    client.stub.Keys(pb.KeysRequest(limit=5, page_token=token), timeout=20)
                assert "hash seed" in refusal.message
            tokens.append(page.next_page_token)


def test_a_wrong_seed_is_not_repeated_in_the_error(tmp_path):
    file = tmp_path / "seed"
    file.write_text("no seed at all")
    for value in ("1234secret", f"file:{file}", f"file:{tmp_path}/missing"):
        ended = run("shard", "--id", "a", "--port", "0", "--hash-seed", value)
        assert ended.returncode == 64
        assert "--hash-seed" in ended.stderr
        assert "1234secret" not in ended.stderr and "no seed" not in ended.stderr
