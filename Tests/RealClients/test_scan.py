"""Scan: every key that stays is found, in pages, over every shard."""

import random
import threading

import grpc
import pytest
from harness.client import Client, refused
from harness.cluster import start_router
from harness.polling import eventually
from harness.seeds import seed
from harness.slots import SLOTS, keys_of
from ringstore.v1 import keystore_pb2 as pb

MANY = [b"many-%d" % number for number in range(3_000)]
TYPES = {
    pb.VALUE_TYPE_NONE: {b"string", b"number", b"list"},
    pb.VALUE_TYPE_STRING: {b"string", b"number"},
    pb.VALUE_TYPE_LIST: {b"list"},
}


def fill(client: Client, keys: list[bytes], value: bytes = b"v", database: int = 0) -> None:
    for at in range(0, len(keys), 5_000):
        items = [pb.KeyValue(key=k, value=value, database=database) for k in keys[at : at + 5_000]]
        reply = client.stub.MSet(pb.MSetRequest(items=items), timeout=30)
        assert all(item.status.ok for item in reply.items)


def found(pages) -> list[bytes]:
    return [key for page in pages for key in page.keys]


def check_progress(pages: list[pb.ScanPage]) -> None:
    """slots_done never goes back and ends at the end; every page can be continued from."""
    done = [page.slots_done for page in pages]
    assert done == sorted(done)
    assert done[-1] == SLOTS
    assert all(page.resume_token for page in pages)
    assert not any(page.unreachable for page in pages)


@pytest.fixture
def filled(client):
    fill(client, MANY)
    return client


@pytest.mark.parametrize("page_size", [0, 1, 7, 100, 1_000_000])
def test_every_key_is_found_once_in_pages_of_any_size(filled, page_size):
    pages = list(filled.scan(page_size=page_size, timeout=30))
    assert sorted(found(pages)) == sorted(MANY)
    check_progress(pages)


def test_small_pages_are_more_pages(filled):
    assert len(list(filled.scan(page_size=10))) > len(list(filled.scan(page_size=1_000)))


def test_nothing_is_found_where_nothing_is(client):
    pages = list(client.scan())
    assert found(pages) == []
    check_progress(pages)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"glob": b"*"}, {b"user:1", b"user:22", b"tmp/a.b"}),
        ({"glob": b"user:?"}, {b"user:1"}),
        ({"glob": b"tmp/a[.]b"}, {b"tmp/a.b"}),
        ({"regex": rb"user:\d+$"}, {b"user:1", b"user:22"}),
        ({"regex": rb".*b"}, {b"tmp/a.b"}),
        ({"prefix": b"user:"}, {b"user:1", b"user:22"}),
        ({"prefix": b"*"}, set()),
    ],
)
def test_keys_are_found_by_pattern(client, pattern, expected):
    fill(client, [b"user:1", b"user:22", b"tmp/a.b"])
    pages = list(client.scan(pattern=pb.Pattern(**pattern)))
    assert set(found(pages)) == expected
    check_progress(pages)


def test_a_pattern_that_few_keys_match_returns_its_progress(filled):
    filled.set(b"needle", b"v")
    pages = list(filled.scan(pattern=pb.Pattern(glob=b"needl?"), page_size=1))
    assert found(pages) == [b"needle"]
    check_progress(pages)


@pytest.mark.parametrize("wanted", TYPES)
def test_keys_are_found_by_type(client, wanted):
    client.set(b"string", b"v")
    client.incr(b"number")
    client.rpush(b"list", b"element")
    assert set(found(client.scan(type=wanted))) == TYPES[wanted]


def test_a_scan_stays_in_its_database(client):
    for database in (0, 3, 15):
        client.set(b"in-%d" % database, b"v", database=database)
    for database in (0, 3, 15):
        assert found(client.scan(database=database)) == [b"in-%d" % database]
    assert found(client.scan(database=7)) == []


def test_a_scan_continues_from_the_token_of_any_page(filled):
    pages = list(filled.scan(page_size=200))
    source = random.Random(seed())
    for at in sorted({0, len(pages) - 1, *source.sample(range(len(pages)), 4)}):
        with Client(filled.address) as later:
            rest = list(later.scan(page_size=130, resume_token=pages[at].resume_token))
        before = set(found(pages[: at + 1]))
        assert before | set(found(rest)) == set(MANY)
        # It continues, and does not start again.
        assert rest[0].slots_done >= pages[at].slots_done
        again = before & set(found(rest))
        assert len(again) <= 1_000, "much was found again"
        check_progress(rest)


def test_the_last_token_continues_at_the_end(filled):
    last = list(filled.scan())[-1]
    rest = list(filled.scan(resume_token=last.resume_token))
    assert found(rest) == []
    check_progress(rest)


def test_a_token_for_something_else_is_refused(filled):
    glob, other = pb.Pattern(glob=b"many-*"), pb.Pattern(glob=b"many-?*")
    token = next(iter(filled.scan(pattern=glob, page_size=10))).resume_token
    assert found(filled.scan(pattern=glob, resume_token=token))
    for request in (
        {"pattern": other},
        {"pattern": pb.Pattern(prefix=b"many-*")},
        {"pattern": pb.Pattern(regex=b"many-*")},
        {},
        {"pattern": glob, "database": 1},
        {"pattern": glob, "type": pb.VALUE_TYPE_STRING},
    ):
        with refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN"):
            list(filled.scan(resume_token=token, **request))


def test_what_is_no_token_is_refused(filled):
    token = next(iter(filled.scan(page_size=10))).resume_token
    spoiled = [token[:-1], token + b"\0", b"x", bytes(len(token)), b"\xff" * 1_000]
    spoiled += [token[:at] + bytes((token[at] ^ 1,)) + token[at + 1 :] for at in range(len(token))]
    for one in spoiled:
        with refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN"):
            list(filled.scan(resume_token=one))


def test_bad_scans_are_refused(client):
    with refused("INVALID_ARGUMENT", "BAD_PATTERN"):
        list(client.scan(pattern=pb.Pattern(regex=b"(")))
    with refused("INVALID_ARGUMENT", "BAD_PATTERN"):
        list(client.scan(pattern=pb.Pattern()))
    with refused("INVALID_ARGUMENT", "NO_SUCH_DATABASE"):
        list(client.scan(database=16))


def test_keys_that_stay_are_found_while_others_come_and_go(filled):
    stop = threading.Event()
    source = random.Random(seed())
    written = 0

    def churn() -> None:
        nonlocal written
        with Client(filled.address) as writer:
            while not stop.is_set():
                names = [b"churn-%d" % source.randrange(4_000) for _ in range(200)]
                if source.random() < 0.5:
                    fill(writer, names)
                else:
                    request = pb.MDeleteRequest(keys=[pb.DeleteRequest(key=name) for name in names])
                    writer.stub.MDelete(request, timeout=30)
                # Keys that stay, but are written all the time.
                fill(writer, source.sample(MANY, 50), b"%d" % written)
                written += 1

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        eventually(lambda: written > 3, "writes")
        for page_size in (10, 100, 0, 33):
            begun = written
            pages = list(filled.scan(page_size=page_size, timeout=30))
            staying = [key for key in found(pages) if key.startswith(b"many-")]
            assert sorted(staying) == sorted(MANY)
            check_progress(pages)
            token, seen = b"", []
            for _ in range(20):
                stream = filled.scan(page_size=100, resume_token=token, timeout=30)
                page = next(stream)
                stream.cancel()
                seen += page.keys
                token = page.resume_token
            seen += found(filled.scan(resume_token=token, timeout=30))
            assert set(MANY) <= set(seen)
            eventually(lambda begun=begun: written > begun, "writes meanwhile")
    finally:
        stop.set()
        writer.join()


# More than all buffers between a shard and a client who doesn't read.
LONG = [b"%07d" % number + b"k" * 1_993 for number in range(12_000)]


def fill_long(client: Client) -> None:
    for begin in range(0, len(LONG), 1_500):
        fill(client, LONG[begin : begin + 1_500])


def test_a_slow_reader_is_waited_for_and_delays_no_other(client):
    fill_long(client)
    stream = client.scan(timeout=60)
    first = next(stream)
    assert first.slots_done < SLOTS
    with Client(client.address) as other:
        names = [b"other-%d" % number for number in range(100)]
        for name in names:
            other.set(name, b"v")
        assert sorted(found(other.scan(pattern=pb.Pattern(prefix=b"other-")))) == sorted(names)
    rest = [key for key in found(stream) if not key.startswith(b"other-")]
    assert sorted([*first.keys, *rest]) == LONG


class Slices:
    """Counts the slices that shards work on, but for those of the counting itself."""

    def __init__(self, client: Client):
        self.client = client
        self.looks = 0
        before = self._total()
        # Each look costs as many slices as there are shards to ask.
        self.own = self._total() - before

    def _total(self) -> int:
        self.looks += 1
        return self.client.stats()["ringstore_slices_total"]

    def now(self) -> int:
        """The count once nothing runs any more."""
        seen = [self._total()]

        def settled() -> bool:
            seen.append(self._total())
            steps = [later - earlier for earlier, later in zip(seen, seen[1:], strict=False)]
            return len(steps) >= 5 and set(steps[-5:]) == {self.own}

        eventually(settled, "no slices run")
        return seen[-1] - self.own * self.looks


@pytest.mark.parametrize("end", ["cancel", "deadline", "gone"])
def test_an_abandoned_scan_stops(client, end):
    fill_long(client)
    slices = Slices(client)
    begin = slices.now()
    assert sorted(found(client.scan(timeout=30))) == LONG
    whole = slices.now() - begin
    begin = slices.now()
    # The library would take ever more in advance, the longer the reader waits.
    with Client(client.address, ("grpc.http2.bdp_probe", 0)) as leaver:
        stream = leaver.scan(timeout=0.5 if end == "deadline" else 60)
        next(stream)
        if end == "cancel":
            stream.cancel()
        if end == "deadline":
            # Not read until the deadline has passed.
            eventually(stream.done, "the deadline")
            with refused("DEADLINE_EXCEEDED"):
                list(stream)
    assert slices.now() - begin < whole / 2


# --- on a cluster whose nodes come and go ----------------------------------------------------


@pytest.fixture
def spread(cluster):
    """A router's client, and the keys of each shard."""
    with Client(cluster.address) as client:
        slot_map = client.describe().map
        owned = {name: [] for name in "abc"}
        for name in owned:
            keys = keys_of(slot_map, name, b"spread")
            owned[name] = [next(keys) for _ in range(300)]
            fill(client, owned[name])
        yield client, owned


def some_pages(client: Client, count: int, **request: object) -> list[pb.ScanPage]:
    """The first pages of a scan that is then left."""
    stream = client.scan(page_size=20, **request)
    pages = [next(stream) for _ in range(count)]
    stream.cancel()
    return pages


def test_a_token_works_through_another_router(cluster, spread):
    client, owned = spread
    every = {key for keys in owned.values() for key in keys}
    second = start_router(dict(reversed(cluster.shards.items())))
    try:
        with Client(second.address) as other:
            pages = some_pages(client, 10)
            for _ in range(4):
                pages += some_pages(other, 3, resume_token=pages[-1].resume_token)
                pages += some_pages(client, 3, resume_token=pages[-1].resume_token)
            pages += other.scan(resume_token=pages[-1].resume_token)
        assert set(found(pages)) == every
        check_progress(pages)
    finally:
        second.stop()


def test_a_token_outlives_restarts_of_router_and_shards(cluster, spread):
    client, owned = spread
    every = {key for keys in owned.values() for key in keys}
    pages = some_pages(client, 15)
    token = pages[-1].resume_token
    cluster.router.stop()
    cluster.shards["b"].stop()
    cluster.shards["b"].restart()
    cluster.router.restart()
    with Client(cluster.address) as again:
        eventually(lambda: served(again, owned["b"][0]), "shard b served")
        # What was lost is there again, so it has stayed as far as a scan can tell.
        fill(again, owned["b"])
        rest = list(again.scan(resume_token=token))
        assert set(found(pages)) | set(found(rest)) == every
        check_progress(rest)


def served(client: Client, key: bytes) -> bool:
    try:
        client.get(key)
        return True
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def test_a_scan_without_one_shard_fails_and_names_it(cluster, spread):
    client, owned = spread
    cluster.shards["c"].kill()
    eventually(lambda: not served(client, owned["c"][0]), "loss of shard c noticed")
    with refused("UNAVAILABLE", "SHARD_UNAVAILABLE") as refusal:
        list(client.scan())
    assert "c" in refusal.message


def test_a_partial_scan_tells_what_is_missing(cluster, spread):
    client, owned = spread
    cluster.shards["c"].kill()
    eventually(lambda: not served(client, owned["c"][0]), "loss of shard c noticed")
    pages = list(client.scan(allow_partial=True, page_size=50))
    assert sorted(found(pages)) == sorted(owned["a"] + owned["b"])
    assert pages[-1].slots_done == SLOTS
    missing = [(one.shard, one.reason) for page in pages for one in page.unreachable]
    assert missing == [("c", "SHARD_UNAVAILABLE")]


@pytest.mark.parametrize("allow_partial", [False, True])
def test_a_shard_that_is_lost_in_the_midst_of_a_scan(cluster, spread, allow_partial):
    client, owned = spread
    extra = [b"%05d" % number + b"k" * 200 for number in range(30_000)]
    fill(client, extra)
    stream = client.scan(allow_partial=allow_partial, timeout=60)
    first = next(stream)
    assert first.slots_done < SLOTS
    cluster.shards["a"].kill()
    eventually(lambda: not served(client, owned["a"][0]), "loss of shard a noticed")
    if not allow_partial:
        with refused("UNAVAILABLE", "SHARD_UNAVAILABLE"):
            list(stream)
        return
    pages = [first, *stream]
    assert [one.shard for page in pages for one in page.unreachable] == ["a"]
    assert {*owned["b"], *owned["c"]} <= set(found(pages))
