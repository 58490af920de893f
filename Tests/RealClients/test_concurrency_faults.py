"""Client processes at work while nodes are killed, told to leave, restarted and shut down.

Whatever happens, one order of calls must explain every reply: what had a reply happened once,
what was refused did not happen, and only what is called unknown may be either. A shard that was
restarted has lost its memory, which is an event in the history of its keys.
"""

import pytest
from harness.callers import UnaryCaller
from harness.client import Client
from harness.crew import SIZE, Report
from harness.history import FAILED, REPLIED, UNKNOWN, Operation, now
from harness.jobs import CLI, PIPELINE, UNARY
from harness.linearizability import check
from harness.load import SHARD_AWAY, Load, failures
from harness.polling import eventually
from harness.process import Node
from harness.site import LocalSite, ProcessSite, Site
from ringstore.v1 import cluster_pb2

pytestmark = pytest.mark.usefixtures("quick_links")

# A Pipeline may keep a node that leaves for so long.
DRAIN = ("--drain-seconds", "1")
CLIENTS = [UNARY] * (SIZE - 3) + [PIPELINE] * 2 + [CLI]


@pytest.fixture
def site():
    started = ProcessSite(*DRAIN)
    yield started
    for node in started.nodes:
        if node.process.poll() is None:
            node.stop()


def restart(load: Load, site: ProcessSite, name: str, end) -> tuple[int, int]:
    """Ends a shard in the given way and restarts it; gives when it was away."""
    begun = now()
    end(site.shards[name])
    site.shards[name].restart()
    over = now()
    load.lost_memory(name, begun, over)
    for address in site.addresses:
        load.await_progress(address, name)
    return begun, now()


def beyond(operations: list[Operation], window: tuple[int, int]) -> list[str]:
    """Those that don't touch that time."""
    begun, over = window
    return [str(one) for one in operations if one.returned < begun or one.invoked > over]


def test_a_shard_that_is_killed_and_restarted(site, crew):
    load = Load(site, crew, CLIENTS)
    load.await_progress(site.address(0), "b")
    away = restart(load, site, "b", Node.kill)
    report = load.stop()
    assert not [str(one) for one in failures(report, *SHARD_AWAY)]
    lost = failures(report)
    assert lost, "no client noticed"
    assert {load.shard_of(one) for one in lost} == {"b"}
    assert not beyond(lost, away)


def test_a_shard_that_is_stopped_and_restarted(site, crew):
    load = Load(site, crew, CLIENTS)
    load.await_progress(site.address(1), "c")
    away = restart(load, site, "c", Node.stop)
    report = load.stop()
    # Never unknown: a shard that leaves replies to every call that it has received.
    assert not [str(one) for one in failures(report, (FAILED, "SHARD_UNAVAILABLE"))]
    lost = failures(report)
    assert {load.shard_of(one) for one in lost} <= {"c"}
    assert not beyond(lost, away)


def test_every_shard_restarted_in_turn_again_and_again(site, crew):
    load = Load(site, crew, CLIENTS)
    for name, end in [("a", Node.kill), ("b", Node.stop), ("a", Node.stop), ("c", Node.kill)]:
        load.await_progress(site.address(0), name)
        restart(load, site, name, end)
    assert not [str(one) for one in failures(load.stop(), *SHARD_AWAY)]


def test_a_shard_that_stands_still_and_continues(site, crew):
    load = Load(site, crew, CLIENTS)
    load.await_progress(site.address(0), "b")
    begun = now()
    site.shards["b"].pause()
    # Both routers give the shard up, while the others are served.
    for router in (site.cluster.router, site.second):
        eventually(lambda log=router.log: "link lost" in log(), "the loss noticed")
        load.await_progress(router.address, "a")
    site.shards["b"].resume()
    for address in site.addresses:
        load.await_progress(address, "b")
    over = now()
    report = load.stop()
    assert not [str(one) for one in failures(report, *SHARD_AWAY)]
    assert {load.shard_of(one) for one in failures(report)} == {"b"}
    assert not beyond(failures(report), (begun, over))


def test_a_router_that_is_killed_and_restarted(site, crew):
    load = Load(site, crew, CLIENTS)
    for name in "abc":
        load.await_progress(site.address(0), name)
    site.cluster.router.kill()
    load.await_progress(site.address(1), "a")
    site.cluster.router.restart()
    for name in "abc":
        load.await_progress(site.address(0), name)
    report = load.stop()
    # The clients of the other router were not disturbed.
    undisturbed = {f"w{number}" for number in range(SIZE) if number % 2 == 1}
    assert not [str(one) for one in failures(report) if one.client in undisturbed]
    assert not [str(one) for one in failures(report) if one.error != ("UNAVAILABLE", "")]


def read_back(load: Load, report: Report, site: Site, address: str) -> None:
    """Reads every key after the end, and checks the history with that."""
    reader = UnaryCaller(address, 10)
    for keys in load.keys.values():
        for key in keys:
            kind = reader.make("the test", key, "TYPE", ())
            read = ("LRANGE", (0, -1)) if kind.reply == ("type", 2) else ("GET", ())
            report.history.operations += [kind, reader.make("the test", key, *read)]
    reader.close()
    check(report.history)


def leaves_with_0(nodes: list[Node]) -> None:
    assert [node.wait() for node in nodes] == [0] * len(nodes)


LEAVING = {(FAILED, ""), (UNKNOWN, ""), (FAILED, "SHARD_UNAVAILABLE")}


def test_a_router_that_is_stopped_finishes_what_it_has_begun(site, crew):
    load = Load(site, crew, CLIENTS)
    for name in "abc":
        load.await_progress(site.address(0), name)
    site.cluster.router.terminate()
    leaves_with_0([site.cluster.router])
    load.await_progress(site.address(1), "a")
    report = load.stop()
    undisturbed = {f"w{number}" for number in range(SIZE) if number % 2 == 1}
    assert not [str(one) for one in failures(report) if one.client in undisturbed]
    assert not [str(one) for one in failures(report, (FAILED, ""), (UNKNOWN, ""))]
    read_back(load, report, site, site.address(1))


def test_a_local_cluster_that_is_stopped_under_load(crew):
    local = LocalSite(*DRAIN)
    load = Load(local, crew, CLIENTS)
    for shard in load.keys:
        load.await_progress(local.address(0), shard)
    local.local.terminate()
    leaves_with_0([local.local])
    report = load.stop()
    assert not [str(one) for one in failures(report, *LEAVING)]
    assert len(report.history.of("SET", "INCRBY", kind=REPLIED)) > SIZE


def shut_down(address: str, whole_cluster: bool) -> None:
    with Client(address) as client:
        request = cluster_pb2.ShutdownRequest(whole_cluster=whole_cluster)
        client.cluster.Shutdown(request, timeout=20)


def test_shutdown_of_the_whole_cluster_under_load(site, crew):
    load = Load(site, crew, CLIENTS)
    for name in "abc":
        load.await_progress(site.address(1), name)
    shut_down(site.address(0), whole_cluster=True)
    leaves_with_0([site.cluster.router, *site.shards.values()])
    # The other router is a node of its own; it has no shards any more.
    assert site.second.process.poll() is None
    report = load.stop()
    assert not [str(one) for one in failures(report, *LEAVING)]
    assert len(report.history.of("SET", "INCRBY", kind=REPLIED)) > SIZE


def test_shutdown_of_one_router_under_load(site, crew):
    load = Load(site, crew, CLIENTS)
    for name in "abc":
        load.await_progress(site.address(0), name)
    shut_down(site.address(0), whole_cluster=False)
    leaves_with_0([site.cluster.router])
    for name in "abc":
        load.await_progress(site.address(1), name)
    report = load.stop()
    undisturbed = {f"w{number}" for number in range(SIZE) if number % 2 == 1}
    assert not [str(one) for one in failures(report) if one.client in undisturbed]
    read_back(load, report, site, site.address(1))
    assert all(shard.process.poll() is None for shard in site.shards.values())


def test_shutdown_of_a_local_cluster_under_load(crew):
    local = LocalSite(*DRAIN)
    load = Load(local, crew, CLIENTS)
    for shard in load.keys:
        load.await_progress(local.address(0), shard)
    shut_down(local.address(0), whole_cluster=True)
    leaves_with_0([local.local])
    assert not [str(one) for one in failures(load.stop(), *LEAVING)]
