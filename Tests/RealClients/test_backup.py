"""Backups of a running cluster, and what is put back of them."""

import json
import threading
from pathlib import Path

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_local
from harness.process import Node, run
from ringstore.v1 import keystore_pb2 as pb

KEYS = 1_500
PAIRS = 40
FAR = 4_000_000_000_000


def admin(node: Node | Cluster, *words: str, status: int = 0) -> str:
    done = run("admin", *words, "--server", node.address)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def digest(node: Node | Cluster) -> dict:
    return json.loads(admin(node, "digest", "--json"))


def fill(client: Client) -> None:
    """Keys of all kinds, in two databases."""
    for number in range(KEYS):
        client.set(b"key-%d" % number, b"value-%d" % number, database=number % 2)
    client.incr(b"number", 907)
    client.set(b"large", bytes(range(256)) * 12_000)
    client.rpush(b"list", *[b"value-%d" % number for number in range(9_000)])
    client.rpush(b"odd list", b"", b"\x00\xff", b"x" * 200_000)
    for number in range(20):
        kept = pb.KeyValue(key=b"expires-%d" % number, value=b"v", expire_at_unix_millis=FAR)
        client.stub.Set(kept, timeout=60)
    client.rpush(b"{t}expiring list", b"v")
    client.stub.Expire(
        pb.ExpireRequest(key=b"{t}expiring list", expire_at_unix_millis=FAR), timeout=60
    )


class Writers:
    """Write pairs of keys of one slot, both in one MSet, the second one behind the first."""

    def __init__(self, address: str):
        self._address = address
        self._stop = threading.Event()
        self.rounds = 0
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        with Client(self._address) as client:
            while not self._stop.is_set():
                self.rounds += 1
                items = []
                for pair in range(PAIRS):
                    for half in (b"a", b"b"):
                        key = b"{pair-%d}%s" % (pair, half)
                        items.append(pb.KeyValue(key=key, value=b"%d" % self.rounds))
                client.stub.MSet(pb.MSetRequest(items=items), timeout=60)
                client.rpush(b"{pair-0}list", b"%d" % self.rounds)

    def __enter__(self) -> "Writers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_a_backup_says_what_the_cluster_holds(cluster, tmp_path):
    with Client(cluster.address) as client:
        fill(client)
    told = json.loads(admin(cluster, "backup", str(tmp_path / "b"), "--json"))
    held = digest(cluster)
    assert told["digest"] == held["digest"] and told["keys"] == held["keys"]
    assert {each["shard"] for each in told["shards"]} == set("abc")
    manifest = (tmp_path / "b" / "MANIFEST").read_text()
    assert manifest.count("\nshard ") == 3 and manifest.count("\nslot ") == len(held["slots"])


def test_a_directory_that_is_in_use_is_left_alone(cluster, tmp_path):
    (tmp_path / "mine").write_text("here")
    assert "is not empty" in admin(cluster, "backup", str(tmp_path), status=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_backup_that_fails_leaves_nothing(cluster, tmp_path):
    cluster.shards["b"].kill()
    assert "Shard b" in admin(cluster, "backup", str(tmp_path / "b"), status=1)
    assert not list((tmp_path / "b").iterdir())
