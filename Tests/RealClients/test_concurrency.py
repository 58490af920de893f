"""Many client processes at once on the same keys: what they saw is recorded and checked.

Each test starts processes of grpcio and of our own client (`ringstore cli`), lets them work on
shared keys through one or two routers, and then checks key by key that one order of all calls
explains every reply. harness/linearizability.py says how.
"""

from collections import Counter

import pytest
from harness.crew import SIZE, Crew, Report
from harness.history import FAILED, UNKNOWN
from harness.jobs import (
    CLI,
    COUNTERS,
    LISTS,
    MANY,
    MIXED,
    NONSENSE,
    PIPELINE,
    STRINGS,
    UNARY,
    Job,
)
from harness.linearizability import check
from harness.seeds import seed
from harness.site import Site

CALLS = 400
# A process for each call is slow; enough to interfere with the calls of all others.
CLI_CALLS = 40


def keys(kind: str, count: int) -> tuple[bytes, ...]:
    return tuple(b"%s-%d" % (kind.encode(), number) for number in range(count))


EVERYTHING = (
    (keys("string", 4), STRINGS),
    (keys("counter", 4), COUNTERS),
    (keys("list", 4), LISTS),
    (keys("mixed", 2), MIXED),
)


def jobs(
    site: Site, clients: list[str], groups=EVERYTHING, calls: int = CALLS, **more
) -> list[Job]:
    """A job for each kind of client."""
    return [
        Job(
            site.address(number), groups, CLI_CALLS if client == CLI else calls,
            seed() * 1000 + number, client, **more,
        )
        for number, client in enumerate(clients)
    ]


def explained(report: Report) -> Report:
    """Every call had a reply, nothing was odd, and one order explains the replies of each key."""
    assert not report.complaints
    # Wrong types are replies; nothing else may go wrong while all nodes are well.
    assert not [str(one) for one in report.history.operations if one.kind in (FAILED, UNKNOWN)][:9]
    check(report.history)
    return report


CREWS = {
    "grpcio": [UNARY] * SIZE,
    "pipelines": [PIPELINE] * (SIZE // 2) + [UNARY] * (SIZE // 2),
    "many keys at once": [MANY] * 4 + [PIPELINE, UNARY, UNARY, UNARY],
    "ours and grpcio": [CLI] * 2 + [UNARY] * (SIZE - 2),
}


@pytest.mark.parametrize("clients", CREWS.values(), ids=CREWS)
def test_every_kind_of_call_on_shared_keys_is_linearizable(site, crew, clients):
    report = explained(crew.do(jobs(site, clients)))
    seen = {one.call for one in report.history.operations}
    assert seen == {call for _, mix in EVERYTHING for call in mix}


@pytest.mark.parametrize(
    "clients",
    [[UNARY] * SIZE, [PIPELINE] * SIZE, [MANY] * SIZE],
    ids=["unary", "pipelines", "many keys"],
)
def test_large_and_small_values_of_one_key_take_one_order(site, crew, clients):
    # Large values travel on a way of their own between router and shard.
    groups = ((keys("string", 3), STRINGS), (keys("list", 2), {"RPUSH": 1, "LPOP": 2, "LRANGE": 1}))
    explained(crew.do(jobs(site, clients, groups, 150, large=0.3)))


def test_sets_of_one_key_by_all_clients_take_one_order(site, crew):
    groups = (((b"the key",), {"SET": 1, "GET": 1}),)
    report = explained(crew.do(jobs(site, [CLI] + [UNARY] * 4 + [PIPELINE] * 3, groups)))
    versions = [one.version for one in report.history.of("SET") if one.version]
    assert len(set(versions)) == len(versions) > CALLS


def test_counts_of_many_processes_are_exact(site, crew):
    shared = keys("counter", 3)
    report = explained(crew.do(jobs(site, CREWS["ours and grpcio"], ((shared, {"INCRBY": 1}),))))
    sums: Counter = Counter()
    for one in report.history.of("INCRBY"):
        sums[one.key] += one.arguments[0]
    with site.client() as client:
        assert {key: client.get(key).value for key in shared} == {
            key: b"%d" % total for key, total in sums.items()
        }


def elements(report: Report, site: Site) -> tuple[Counter, Counter]:
    """What was pushed, and what was popped or is left."""
    pushed: Counter = Counter()
    for one in report.history.of("LPUSH", "RPUSH"):
        pushed.update((one.key, value) for value in one.arguments)
    found = Counter(
        (one.key, one.reply[1]) for one in report.history.of("LPOP", "RPOP") if one.reply[1]
    )
    with site.client() as client:
        for key in report.history.by_key():
            found.update((key, value) for value in client.lrange(key, 0, -1).values)
    return pushed, found


def test_every_element_of_a_shared_list_is_popped_exactly_once(site, crew):
    push = ((keys("list", 3), {"LPUSH": 1, "RPUSH": 1}),)
    pop = ((keys("list", 3), {"LPOP": 1, "RPOP": 1}),)
    work = jobs(site, [CLI, UNARY, UNARY, PIPELINE], push, medium=0)
    work += jobs(site, [PIPELINE, UNARY, UNARY, CLI], pop, 2 * CALLS)
    pushed, found = elements(explained(crew.do(work)), site)
    assert found == pushed


def test_a_queue_keeps_the_order_of_each_pusher(site, crew):
    queue = keys("queue", 2)
    work = jobs(site, [PIPELINE, UNARY, UNARY, CLI], ((queue, {"RPUSH": 1}),), medium=0)
    work += jobs(site, [PIPELINE, UNARY, UNARY, CLI], ((queue, {"LPOP": 1}),), CALLS)
    report = explained(crew.do(work))
    pushed, found = elements(report, site)
    assert found == pushed
    # Each popper sees the elements of each pusher in the order of their pushes.
    seen: dict[tuple, list] = {}
    for one in sorted(report.history.of("LPOP"), key=lambda pop: (pop.returned, pop.position)):
        if one.reply[1]:
            pusher, _, turn = one.reply[1].partition(b":")
            order = tuple(int(number) for number in turn.split(b"/"))
            seen.setdefault((one.client, one.key, pusher), []).append(order)
    assert seen
    for popper, turns in seen.items():
        assert turns == sorted(turns), popper


def test_nonsense_is_refused_with_its_reason_and_disturbs_no_client(site, crew: Crew):
    clients = [UNARY] * 3 + [PIPELINE] * 2 + [NONSENSE] * 3
    report = explained(crew.do(jobs(site, clients, calls=300)))
    told = report.counts
    wanted = ("INVALID_KEY", "UNKNOWN_FIELD", "NO_SUCH_DATABASE", "INTERNAL", "UNIMPLEMENTED")
    assert all(told[reason] > 10 for reason in wanted), told
    assert told["broken connection"] > 10
    assert all(node.process.poll() is None for node in site.nodes)
