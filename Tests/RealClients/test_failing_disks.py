"""Disks that hang or fail beneath real shards, as docs/OPERATIONS.md tells (Data on disk).

One shard has its data on such a disk, another one is in memory. Clients call through a router.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import grpc
import pytest
from harness.client import TIMEOUT_SECONDS, Client, explain, refused
from harness.cluster import start_router, start_shard
from harness.disk import FreezableDisk
from harness.metrics import scrape
from harness.polling import eventually
from harness.process import run, running
from harness.slots import keys_of
from harness.strace import failing_calls
from harness.trouble import assert_reported_everywhere, described
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

FAILED = 1
DISK_BYTES = 512 << 20
KEYS = 12
HELD = 3
UNREACHABLE = cluster_pb2.Node.UNREACHABLE
# A router counts a shard that is silent for so long as lost.
QUICK_LINKS = ("--link-timeout-seconds", "5")


class Site:
    """Shard a with its data in a directory, shard b in memory, a router, and keys of both."""

    def __init__(self, directory: Path, policy: str, *router_arguments: str):
        self.shard = start_shard(
            "a", "--data-dir", str(directory), "--fsync", policy, "--admin-port", "0")
        self.other = start_shard("b")
        self.router = start_router({"a": self.shard, "b": self.other}, *router_arguments)
        self.client = Client(self.router.address)
        eventually(self.serves, "both shards serve")
        slot_map = self.client.describe().map
        self.keys = list(islice(keys_of(slot_map, "a"), KEYS))
        self.other_key = next(keys_of(slot_map, "b"))
        for key in (*self.keys, self.other_key):
            self.client.set(key, b"before")

    def serves(self) -> bool:
        try:
            return self.client.size() >= 0
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return False

    def begin_set(self, key: bytes) -> grpc.Future:
        return self.client.stub.Set.future(
            pb.KeyValue(key=key, value=b"held"), timeout=TIMEOUT_SECONDS)

    def begin_get(self, key: bytes) -> grpc.Future:
        return self.client.stub.Get.future(pb.Key(key=key), timeout=TIMEOUT_SECONDS)

    def assert_values(self, expected: bytes, keys: list[bytes]) -> None:
        assert [self.client.get(key).value for key in keys] == [expected] * len(keys)

    def assert_other_shard_serves(self) -> None:
        self.client.set(self.other_key, b"meanwhile")
        assert self.client.get(self.other_key).value == b"meanwhile"

    def is_synced(self) -> bool:
        return scrape(self.shard.admin_port)["ringstore_log_unsynced_seconds"].value() == 0

    def is_taken(self, key: bytes) -> bool:
        """Whether a write is taken, in whose place nothing else may be wrong but the disk."""
        try:
            return self.client.set(key, b"after").ok
        except grpc.RpcError as error:
            assert explain(error).reason == "LOG_STALLED", error
            return False

    def restart(self) -> None:
        """As a kill of the process leaves its data."""
        self.shard.kill()
        self.shard.restart()
        eventually(self.serves, "both shards serve again")


@contextmanager
def site_on(directory: Path, policy: str, *router_arguments: str) -> Iterator[Site]:
    before = set(running)
    try:
        site = Site(directory, policy, *router_arguments)
        yield site
        site.client.close()
    finally:
        for node in set(running) - before:
            node.kill()


def health(address: str, *arguments: str):
    return run("health", "--server", address, *arguments)


# --- A file system that is frozen ----------------------------------------------------------------


def test_under_always_a_frozen_disk_holds_writes_and_reads_continue(tmp_path):
    with (
        FreezableDisk(tmp_path, DISK_BYTES) as disk,
        site_on(disk.path / "data", "always") as site,
    ):
        written, others = site.keys[:HELD], site.keys[HELD:]
        with disk.frozen():
            held = [site.begin_set(key) for key in written]
            site.assert_values(b"before", others)
            eventually(lambda: site.shard.log_lines("the disk doesn't keep up"), "the stall told")
            with refused("UNAVAILABLE", "LOG_STALLED") as refusal:
                site.client.set(others[0], b"refused")
            assert "The disk of shard a is too slow" in refusal.message
            for node in (site.router, site.shard):
                assert_reported_everywhere(node.address, "LOG_STALLED")
            ended = health(site.shard.address)
            assert ended.returncode == 1, ended
            assert "shard a is not-serving: LOG_STALLED: " in ended.stderr, ended
            site.assert_values(b"before", others)
            site.assert_other_shard_serves()
            # A reader of a value that isn't durable yet waits as its writer does.
            read = site.begin_get(written[0])
            assert not any(call.done() for call in (*held, read))
        assert all(call.result().ok for call in held)
        assert read.result().value == b"held"
        eventually(lambda: health(site.shard.address).returncode == 0, "the shard healthy again")
        eventually(lambda: site.shard.log_lines("the disk has caught up"), "the end told")
        eventually(lambda: site.is_taken(others[-1]), "writes taken again")
        site.restart()
        site.assert_values(b"held", written)
        site.assert_values(b"before", others[:-1])
        site.assert_values(b"after", others[-1:])


def test_a_shard_without_a_router_says_that_its_disk_is_frozen(tmp_path):
    """Nothing else is written, and no link is watched, so only its own look can find it out."""
    with FreezableDisk(tmp_path, DISK_BYTES) as disk:
        shard = start_shard("lone", "--data-dir", str(disk.path / "data"), "--fsync", "always")
        try:
            client = Client(shard.address)
            client.set(b"k", b"before")
            with disk.frozen():
                held = client.stub.Set.future(
                    pb.KeyValue(key=b"k", value=b"held"), timeout=TIMEOUT_SECONDS)
                eventually(lambda: shard.log_lines("the disk doesn't keep up"), "the stall told")
                ended = health(shard.address)
                assert ended.returncode == 1 and "LOG_STALLED" in ended.stderr, ended
                ended = run(
                    "admin", "snapshot", "--server", shard.address, "--timeout", "2")
                assert ended.returncode == 1 and "makes no progress" in ended.stderr, ended
                assert not held.done()
            assert held.result().ok
            eventually(lambda: health(shard.address).returncode == 0, "the shard healthy again")
            client.close()
        finally:
            shard.kill()


def shard_blocks(site: Site, disk: FreezableDisk) -> bool:
    """Whether the shard's loop makes a write itself, and waits in it while the disk is frozen.

    If it has left the write to a thread, as it does behind a slow one, nothing is lost either.
    """
    eventually(site.is_synced, "all is synced")
    with disk.frozen():
        held = site.begin_set(site.keys[0])
        node = eventually(lambda: waiting(site.router.address), "the write waits")
        is_blocked = node.state == UNREACHABLE
        if is_blocked:
            refusal = explain(held.exception())
            assert refusal.code == grpc.StatusCode.UNAVAILABLE, refusal
            assert refusal.reason == "OUTCOME_UNKNOWN", refusal
            with refused("UNAVAILABLE", "SHARD_UNAVAILABLE"):
                site.client.get(site.keys[1])
            ended = health(site.shard.address, "--timeout", "1")
            assert ended.returncode == 1 and "does not reply" in ended.stderr, ended
            ended = health(site.router.address, "--shards")
            assert ended.returncode == 1 and "shard a is unreachable" in ended.stderr, ended
            site.assert_other_shard_serves()
    assert is_blocked or held.result().ok
    return is_blocked


def waiting(address: str) -> cluster_pb2.Node | None:
    """The shard as its router has it, once its disk is seen to hang."""
    node = described(address)
    return node if node.state == UNREACHABLE or "LOG_STALLED" in node.detail else None


def test_under_everysec_a_write_to_a_frozen_disk_blocks_its_shard_and_no_other(tmp_path):
    with (
        FreezableDisk(tmp_path, DISK_BYTES) as disk,
        site_on(disk.path / "data", "everysec", *QUICK_LINKS) as site,
    ):
        eventually(lambda: shard_blocks(site, disk), "a write by the loop itself")
        eventually(site.serves, "both shards serve again")
        # The caller got OUTCOME_UNKNOWN; the shard has continued where it was.
        site.assert_values(b"held", site.keys[:1])
        site.assert_values(b"before", site.keys[1:])
        eventually(lambda: site.is_taken(site.keys[1]), "writes taken again")
        site.restart()
        site.assert_values(b"held", site.keys[:1])
        site.assert_values(b"after", site.keys[1:2])
        site.assert_values(b"before", site.keys[2:])


# --- A disk that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_sync_that_fails_ends_the_shard_and_loses_nothing(tmp_path, policy):
    with site_on(tmp_path / "data", policy) as site:
        eventually(site.is_synced, "all is synced")
        with failing_calls(site.shard.pid, "fdatasync", "EIO", tmp_path):
            call = site.begin_set(site.keys[0])
            assert site.shard.wait() == FAILED
        (line,) = site.shard.log_lines(" critical ")
        assert "The log can't be " in line and "so this shard exits: " in line, line
        assert "Input/output error" in line and str(tmp_path / "data") in line, line
        values = {b"held"}
        if call.exception():
            assert explain(call.exception()).reason in ("OUTCOME_UNKNOWN", "SHARD_UNAVAILABLE")
            values.add(b"before")
        assert policy != "always" or call.exception(), "acknowledged without a sync"
        site.assert_other_shard_serves()
        site.shard.restart()
        eventually(site.serves, "both shards serve again")
        assert site.client.get(site.keys[0]).value in values
        site.assert_values(b"before", site.keys[1:])
