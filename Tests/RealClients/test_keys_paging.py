"""Keys with a limit and page tokens, on every shape of server and over restarts."""

import pytest
from harness.client import TIMEOUT_SECONDS, Client, refused
from harness.cluster import start_router
from harness.polling import eventually
from harness.slots import keys_of
from ringstore.v1 import keystore_pb2 as pb
from test_scan import fill, served

MANY = [b"paged-%d" % number for number in range(1_000)]


def page(client: Client, **request: object) -> pb.KeysResponse:
    return client.stub.Keys(pb.KeysRequest(**request), timeout=TIMEOUT_SECONDS)


def walk(client: Client, **request: object) -> list[pb.KeysResponse]:
    """Every page."""
    pages = [page(client, **request)]
    while pages[-1].next_page_token:
        pages.append(page(client, page_token=pages[-1].next_page_token, **request))
        assert len(pages) < 3_000, "a walk without an end"
    return pages


def found(pages: list[pb.KeysResponse]) -> list[bytes]:
    return [key for one in pages for key in one.keys]


@pytest.fixture
def filled(client):
    fill(client, MANY)
    return client


@pytest.mark.parametrize("limit", [1, 3, 100, 333, 999])
def test_a_page_has_exactly_its_limit_and_a_walk_gives_every_key_once(filled, limit):
    pages = walk(filled, limit=limit)
    assert sorted(found(pages)) == sorted(MANY)
    sizes = [len(one.keys) for one in pages]
    assert all(size == limit for size in sizes[: len(MANY) // limit])
    assert sum(sizes) == len(MANY)


@pytest.mark.parametrize("limit", [1_000, 1_001, 1_000_000, (1 << 32) - 1])
def test_a_limit_above_all_keys_gives_all(filled, limit):
    pages = walk(filled, limit=limit)
    assert sorted(found(pages)) == sorted(MANY)
    assert len(pages[0].keys) == len(MANY)


def test_a_walk_by_pattern_in_one_database(filled):
    filled.set(b"paged-10", b"v", database=2)
    pages = walk(filled, limit=7, pattern=pb.Pattern(glob=b"paged-1*"))
    assert sorted(found(pages)) == sorted(key for key in MANY if key.startswith(b"paged-1"))
    assert found(walk(filled, limit=7, database=2)) == [b"paged-10"]
    assert found(walk(filled, limit=7, pattern=pb.Pattern(regex=b"nothing"))) == []


def test_a_token_without_a_limit_gives_the_rest(filled):
    first = page(filled, limit=10)
    rest = page(filled, page_token=first.next_page_token)
    assert sorted([*first.keys, *rest.keys]) == sorted(MANY)
    assert not rest.next_page_token


def test_a_full_message_ends_a_page_before_its_limit(client):
    keys = [b"%02d" % number + b"k" * 60_000 for number in range(100)]
    for begin in range(0, 100, 20):
        fill(client, keys[begin : begin + 20])
    with refused("RESOURCE_EXHAUSTED", "RESPONSE_TOO_LARGE") as refusal:
        page(client)
    assert "Scan" in refusal.message
    pages = walk(client, limit=100)
    assert len(pages) > 1
    assert sorted(found(pages)) == keys


def test_a_token_for_something_else_is_refused(filled):
    glob = pb.Pattern(glob=b"paged-*")
    token = page(filled, limit=5, pattern=glob).next_page_token
    assert len(page(filled, limit=5, pattern=glob, page_token=token).keys) == 5
    for request in ({}, {"pattern": pb.Pattern(glob=b"*")}, {"pattern": glob, "database": 1}):
        with refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN"):
            page(filled, limit=5, page_token=token, **request)
    for spoiled in (token[:-1], b"x", token[::-1]):
        with refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN"):
            page(filled, limit=5, pattern=glob, page_token=spoiled)


def test_keys_that_stay_come_once_while_others_come_and_go(filled):
    seen, token, turn = [], b"", 0
    while token or not turn:
        reply = page(filled, limit=50, page_token=token)
        seen += [key for key in reply.keys if key in set(MANY)]
        token = reply.next_page_token
        fill(filled, [b"new-%d-%d" % (turn, number) for number in range(40)])
        keys = [pb.DeleteRequest(key=b"new-%d-%d" % (turn, n)) for n in range(20)]
        request = pb.MDeleteRequest(keys=keys)
        filled.stub.MDelete(request, timeout=TIMEOUT_SECONDS)
        turn += 1
        assert turn < 200
    assert sorted(seen) == sorted(MANY)


def test_a_walk_continues_through_another_router_and_after_a_restart(cluster):
    with Client(cluster.address) as client:
        slot_map = client.describe().map
        lost = [key for key, _ in zip(keys_of(slot_map, "b"), range(200), strict=False)]
        kept = [key for key, _ in zip(keys_of(slot_map, "a"), range(200), strict=False)]
        fill(client, lost + kept)
        pages = [page(client, limit=100)]
        second = start_router(cluster.shards)
        try:
            with Client(second.address) as other:
                pages.append(page(other, limit=100, page_token=pages[-1].next_page_token))
                cluster.shards["b"].kill()
                cluster.shards["b"].restart()
                eventually(lambda: served(other, lost[0]), "shard b served")
                fill(other, lost)
                while pages[-1].next_page_token:
                    pages.append(page(other, limit=100, page_token=pages[-1].next_page_token))
        finally:
            second.stop()
        assert sorted(found(pages)) == sorted(lost + kept)


def test_a_partial_page_lists_what_is_missing(cluster):
    with Client(cluster.address) as client:
        slot_map = client.describe().map
        owned = {
            name: [key for key, _ in zip(keys_of(slot_map, name), range(50), strict=False)]
            for name in "abc"
        }
        fill(client, [key for keys in owned.values() for key in keys])
        cluster.shards["c"].kill()
        eventually(lambda: not served(client, owned["c"][0]), "loss of shard c noticed")
        with refused("UNAVAILABLE", "SHARD_UNAVAILABLE"):
            page(client, limit=10)
        pages = walk(client, limit=10, allow_partial=True)
        assert sorted(found(pages)) == sorted(owned["a"] + owned["b"])
        assert all([one.shard for one in reply.unreachable] == ["c"] for reply in pages)
