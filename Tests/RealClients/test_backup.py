"""Backups of a running cluster, and what is put back of them."""

import json
import re
import socket
import threading
from pathlib import Path

import pytest
from harness.client import Client
from harness.cluster import Cluster, start_local
from harness.filling import KEYS, check_filled, fill
from harness.process import Node, run
from harness.terminal import COLUMNS, Terminal
from ringstore.v1 import keystore_pb2 as pb

PAIRS = 40


def admin(node: Node | Cluster, *words: str, status: int = 0) -> str:
    done = run("admin", *words, "--server", node.address)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def digest(node: Node | Cluster) -> dict:
    return json.loads(admin(node, "digest", "--json"))


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


@pytest.fixture
def backup(cluster, tmp_path) -> Path:
    """A backup of three shards, taken while pairs of keys are written."""
    with Client(cluster.address) as client:
        fill(client)
    folder = tmp_path / "b"
    with Writers(cluster.address) as writers:
        while writers.rounds < 3:
            pass
        admin(cluster, "backup", str(folder))
    return folder


def check_pairs(client: Client) -> None:
    """At any moment the halves of a pair differ by the round that is being written."""
    listed = client.llen(b"{pair-0}list")
    for pair in range(PAIRS):
        halves = [int(client.get(b"{pair-%d}%s" % (pair, half)).value) for half in (b"a", b"b")]
        assert halves[0] - halves[1] in (0, 1), (pair, halves)
        if pair == 0:
            assert halves[1] - listed in (0, 1), (halves, listed)


@pytest.mark.parametrize("shards", [1, 5])
def test_it_is_restored_onto_any_number_of_shards(backup, shards):
    node = start_local(shards, "--hash-seed", "0123456789abcdef0123456789abcdef")
    try:
        told = json.loads(admin(node, "restore", str(backup), "--json"))
        assert told["compared"] and told["expired_keys"] == 0
        with Client(node.address) as client:
            assert client.size(all_databases=True) == told["keys"]
            check_filled(client)
            check_pairs(client)
        manifest = (backup / "MANIFEST").read_text()
        slots = {
            int(words[1]): words[4]
            for words in (line.split() for line in manifest.splitlines())
            if words[0] == "slot"
        }
        assert {each["slot"]: each["digest"] for each in digest(node)["slots"]} == slots
    finally:
        node.stop()


def test_databases_go_where_the_flag_says(backup):
    node = start_local(2)
    try:
        with Client(node.address) as client:
            client.set(b"own", b"v", database=3)
            told = json.loads(
                admin(node, "restore", str(backup), "--json", "--database", "1:5")
            )
            assert told["keys"] == KEYS // 2 == client.size(database=5) and told["compared"]
            assert client.size(all_databases=True) == KEYS // 2 + 1
            assert client.get(b"key-1", database=5).value == b"value-1"
        assert "no keys of database 9" in admin(
            node, "restore", str(backup), "--database", "9:0", status=1
        )
        assert "no database 900" in admin(
            node, "restore", str(backup), "--database", "1:900", status=1
        )
    finally:
        node.stop()


def test_a_restore_that_gets_no_reply_says_how_far_it_came(backup):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        done = run(
            "admin", "restore", str(backup), "--server", f"127.0.0.1:{port}", "--timeout", "0.2"
        )
    assert done.returncode == 1
    assert "could not be counted: the deadline passed" in done.stderr, done.stderr
    assert "Nothing was written; run the restore again, with a longer --timeout." in done.stderr


def test_a_cluster_with_keys_takes_it_only_with_merge(backup):
    node = start_local(2)
    try:
        with Client(node.address) as client:
            client.set(b"own", b"kept")
            client.set(b"list", b"replaced")
            client.rpush(b"key-2", b"replaced", b"too")
            said = admin(node, "restore", str(backup), status=1)
            assert "has 3 keys" in said and "--merge" in said
            assert client.size(all_databases=True) == 3
            told = json.loads(admin(node, "restore", str(backup), "--json", "--merge"))
            assert client.size(all_databases=True) == told["keys"] + 1
            assert client.get(b"own").value == b"kept"
            check_filled(client)
            # Once more: nothing is doubled.
            admin(node, "restore", str(backup), "--merge")
            assert client.size(all_databases=True) == told["keys"] + 1
            check_filled(client)
    finally:
        node.stop()


def test_damage_of_any_file_is_found_before_anything_is_changed(backup):
    node = start_local(2)
    try:
        with Client(node.address) as client:
            for path in sorted(backup.iterdir()):
                whole = path.read_bytes()
                for damaged in (whole[:-1], whole[:-9] + b"\x01" + whole[-8:], b""):
                    path.write_bytes(damaged)
                    assert str(backup) in admin(node, "restore", str(backup), status=1)
                path.unlink()
                assert path.name in admin(node, "restore", str(backup), status=1)
                path.write_bytes(whole)
            assert client.size(all_databases=True) == 0
        admin(node, "restore", str(backup))
    finally:
        node.stop()


# --- The bar of a terminal -----------------------------------------------------------------------

CLEARED = "\r\x1b[K"


def bars(shown: str, unit: str) -> list[int]:
    """The percentages of the bars that name this unit, in their order."""
    lines = re.findall(r"\r(\[[#-]{30}\] +\d+%  [^\r\x1b]*)\x1b\[K", shown)
    assert all(len(line) < COLUMNS for line in lines), lines
    return [int(line.split("]")[1].split("%")[0]) for line in lines if unit in line]


def check_bars(shown: str, *units: str) -> None:
    for unit in units:
        percents = bars(shown, unit)
        assert percents and percents == sorted(percents) and percents[-1] == 100, (unit, percents)
    # Each is gone before anything else is written.
    assert shown.count(CLEARED) >= len(units) and shown.endswith(CLEARED), shown[-200:]


def test_a_terminal_sees_how_far_a_backup_and_a_restore_are(cluster, tmp_path):
    with Client(cluster.address) as client:
        fill(client)
        words = ("backup", str(tmp_path / "b"), "--server", cluster.address)
        with Terminal("admin", *words, environment={}) as terminal:
            check_bars(terminal.expect("SHARD"), " keys, ", " checked")
            assert terminal.wait() == 0
        client.reset(all_databases=True)
        words = ("restore", str(tmp_path / "b"), "--server", cluster.address)
        with Terminal("admin", *words, environment={}) as terminal:
            keys = KEYS + 25
            check_bars(terminal.expect(f"{keys} keys of "), " checked", f" of {keys} keys restored")
            assert terminal.wait() == 0


def test_where_there_is_no_terminal_there_is_no_bar(cluster, tmp_path):
    with Client(cluster.address) as client:
        fill(client)
        for words in (("backup", str(tmp_path / "b")), ("restore", str(tmp_path / "b"))):
            done = run("admin", *words, "--server", cluster.address)
            assert done.returncode == 0 and not done.stderr, done.stderr
            assert "\r" not in done.stdout and "\x1b" not in done.stdout
            client.reset(all_databases=True)
