"""Shards that keep their data are killed at random moments under load, and started again.

Nothing that was acknowledged is lost, nothing is done twice, and calls fail only as they may. The
number of kills is RINGSTORE_TEST_KILLS (`deploy/test --crash N` sets it); RINGSTORE_TEST_FSYNC has
all shards use one policy.
"""

import os
import random
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.client import Client
from harness.crash_counts import (
    AppendingWorker,
    ComparingWorker,
    CountingWorker,
    PipelineWorker,
    ReadingWorker,
)
from harness.crash_evictions import EvictedWorker, LastingWorker
from harness.crash_expiry import ExpiringWorker
from harness.crash_lines import LineWorker
from harness.crash_load import Load
from harness.crash_models import EmptyingWorker, LongListWorker, ManyWorker, ModelWorker
from harness.crash_passes import HugeWorker, LargeWorker, SnapshotWorker
from harness.crash_queues import PoppingWorker, PushingWorker
from harness.durable import DurableCluster, Killer, last_batch_end
from harness.outcomes import Notes, Rules
from harness.polling import eventually
from harness.seeds import seed

KILLS = int(os.environ.get("RINGSTORE_TEST_KILLS", "20"))
# What a check has to remember of a cluster grows with every call; then there is a new one.
KILLS_OF_A_CLUSTER = 100
WORKERS = [
    CountingWorker, CountingWorker, ReadingWorker, ComparingWorker, ComparingWorker,
    AppendingWorker, PipelineWorker, PushingWorker, PushingWorker, PoppingWorker, PoppingWorker,
    PoppingWorker, ModelWorker, ModelWorker, ManyWorker, EmptyingWorker, ExpiringWorker,
    LargeWorker, HugeWorker, LongListWorker, LineWorker, SnapshotWorker,
]
# Of each shard; the workers' keys need twice as much.
MEMORY_LIMIT = 4 << 20
EVICTION_KILLS = 3


@contextmanager
def under_load(rules: Rules, kinds=WORKERS, run: int = 0, settings: tuple[str, ...] = ()):
    """A cluster with workers at work; they are stopped, and checked, when the block ends."""
    with DurableCluster(None, *settings) as cluster:
        load = Load(cluster, Notes(rules), seed() + run, kinds)
        try:
            yield cluster, load
            load.stop()
            cluster.await_serving()
            load.check()
            # Once more: what was read has to be as durable as what was acknowledged.
            cluster.kill_all()
            cluster.restart_all()
            load.check()
        finally:
            load.close()
            print(load.report())


def await_calls(load: Load, count: int = 200) -> None:
    wanted = load.notes.replied + count

    def has_replies() -> bool:
        load.notes.assert_no_fault()
        return load.notes.replied >= wanted

    eventually(has_replies, "replies")


def test_shards_killed_at_random_under_load():
    kills, within_passes, run = Counter(), 0, 0
    while kills.total() < KILLS:
        goal = min(KILLS - kills.total(), KILLS_OF_A_CLUSTER)
        with under_load(Rules(), run=run) as (cluster, load):
            killer = Killer(cluster, load.notes.progress, random.Random(seed() + run))
            while killer.kills.total() < goal:
                killer.round()
                load.notes.assert_no_fault()
        assert load.notes.unknown, "no kill met a call under way"
        assert passes(load).keys() == cluster.shards.keys(), "a shard has completed no pass"
        kills += killer.kills
        within_passes += killer.within_passes
        run += 1
        print(f"{kills.total()} kills so far")
    assert within_passes, "no kill met a pass under way"
    told = ", ".join(f"{count} under {policy}" for policy, count in sorted(kills.items()))
    print(f"kills of shards: {told}; {within_passes} of them while a pass was written")


def passes(load: Load) -> Counter:
    """The complete passes by shard."""
    found = (worker.complete for worker in load.workers if isinstance(worker, SnapshotWorker))
    return sum(found, Counter())


def test_shards_restarted_in_turn_lose_nothing_and_leave_nothing_unknown():
    with under_load(Rules(shards_die=False)) as (cluster, load):
        for node in list(cluster.shards.values()) * 2:
            await_calls(load)
            assert node.stop() == 0
            node.restart()
            cluster.await_serving()


def test_a_router_killed_under_load():
    rules = Rules(router_dies=True, shards_leave=False, shards_die=False)
    with under_load(rules) as (cluster, load):
        for _ in range(4):
            await_calls(load)
            cluster.router.kill()
            cluster.router.restart()
        await_calls(load)


# --- Evictions -----------------------------------------------------------------------------------


def await_evictions(cluster: DurableCluster, load: Load, count: int = 100) -> None:
    """Every shard evicts keys: the load has passed its limit."""
    for node in cluster.shards.values():
        with Client(node.address) as client:
            wanted = client.stats()["ringstore_evicted_keys_total"] + count

            def evicts(client=client, wanted=wanted) -> bool:
                load.notes.assert_no_fault()
                return client.stats()["ringstore_evicted_keys_total"] >= wanted

            eventually(evicts, "keys evicted")


def assert_within_memory_limit(cluster: DurableCluster) -> None:
    for node in cluster.shards.values():
        with Client(node.address) as client:
            used = client.stats()["ringstore_used_bytes"]
        # Writes are refused past a sixteenth more.
        assert used <= MEMORY_LIMIT * 17 // 16, f"{used} bytes"


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [("allkeys-lru", [EvictedWorker] * 4), ("volatile-lru", [EvictedWorker] * 4 + [LastingWorker])],
    ids=["allkeys-lru", "volatile-lru"],
)
def test_evicted_keys_stay_gone_when_shards_are_killed(policy, kinds):
    settings = ("--max-memory", str(MEMORY_LIMIT), "--eviction-policy", policy)
    with under_load(Rules(memory_fills=True), kinds, settings=settings) as (cluster, load):
        for _ in range(EVICTION_KILLS):
            await_evictions(cluster, load)
            cluster.kill_all()
            cluster.restart_all()
            assert_within_memory_limit(cluster)


# --- The alarm itself ----------------------------------------------------------------------------


def set_back(folder: Path, older: Path) -> None:
    """The shard's data as it was some calls before."""
    shutil.rmtree(folder)
    shutil.copytree(older, folder)


def lose_the_end(folder: Path, _: Path) -> None:
    """The last thousands of bytes of the log, as if they had never been written."""
    segment = [path for path in sorted(folder.glob("log-*")) if last_batch_end(path) > 4_096][-1]
    os.truncate(segment, max(4_096, last_batch_end(segment) - 20_000))


@pytest.mark.parametrize("harm", [set_back, lose_the_end])
@pytest.mark.parametrize(
    "kinds",
    [[CountingWorker], [ComparingWorker], [AppendingWorker], [PipelineWorker],
     [PushingWorker, PoppingWorker], [ModelWorker], [ManyWorker], [LastingWorker], [HugeWorker],
     [LineWorker]],
    ids=lambda kinds: kinds[0].__name__,
)
def test_lost_data_is_noticed(kinds, harm, tmp_path):
    # So few that no pass is made: what is lost must be in use.
    calls = 20 if HugeWorker in kinds else 200
    with DurableCluster({"a": "never"}) as cluster:
        load = Load(cluster, Notes(Rules()), seed(), kinds)
        try:
            await_calls(load, calls)
            cluster.kill_all()
            shutil.copytree(cluster.directory("a"), tmp_path / "older")
            cluster.restart_all()
            await_calls(load, calls)
            # Before the kill: the last batch is of an acknowledged write then.
            load.stop()
            cluster.kill_all()
            harm(cluster.directory("a"), tmp_path / "older")
            cluster.restart_all()
            with pytest.raises(AssertionError):
                load.check()
        finally:
            load.close()


def test_evicted_keys_that_come_back_are_noticed(tmp_path):
    settings = ("--max-memory", str(MEMORY_LIMIT), "--eviction-policy", "allkeys-lru")
    with DurableCluster({"a": "never"}, *settings) as cluster:
        load = Load(cluster, Notes(Rules(memory_fills=True)), seed(), [EvictedWorker])
        try:
            await_evictions(cluster, load)
            cluster.kill_all()
            shutil.copytree(cluster.directory("a"), tmp_path / "older")
            cluster.restart_all()
            await_evictions(cluster, load, count=1_000)
            load.stop()
            load.check()
            cluster.kill_all()
            set_back(cluster.directory("a"), tmp_path / "older")
            cluster.restart_all()
            with pytest.raises(AssertionError):
                load.check()
        finally:
            load.close()
