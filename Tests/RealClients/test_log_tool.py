"""`ringstore log`: what it shows of the directories of real shards, what it finds wrong with
damaged ones, and what a shard has after a cut."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.client import Client
from harness.cluster import start_shard
from harness.durable import HEADER_BYTES, last_batch_end
from harness.polling import eventually
from harness.process import RUN_SECONDS, binary, clean_environment, run

pytestmark = pytest.mark.usefixtures("nothing_left_running")

SOUND, WRONG, UNREADABLE = 0, 1, 2
KEYS = 40
BINARY_KEY = b"\xff\x00key"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


def log(action: str, directory: Path, *arguments: str | bytes) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary(), "log", action, str(directory), *arguments],
        capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
        env=clean_environment(),
    )


def shown(directory: Path, *arguments: str | bytes) -> list[dict]:
    ended = log("show", directory, "--json", *arguments)
    assert ended.returncode == SOUND, ended
    return [json.loads(line) for line in ended.stdout.splitlines()]


def batches(directory: Path) -> list[dict]:
    return [line for line in shown(directory) if "batch" in line]


def keeping(directory: Path, *extra: str):
    shard = start_shard("a", "--data-dir", str(directory), "--fsync", "always", *extra)
    eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")
    return shard


def filled(directory: Path, *extra: str) -> None:
    """One batch after another with a key each, as each has its reply before the next is sent."""
    shard = keeping(directory, *extra)
    with Client(shard.address) as client:
        for number in range(KEYS):
            client.set(b"key-%d" % number, b"value-%d" % number)
        client.set(BINARY_KEY, b"\x80" * 500)
    shard.kill()


def values(directory: Path, *extra: str) -> list[bytes | None]:
    shard = keeping(directory, *extra)
    with Client(shard.address) as client:
        found = [client.get(b"key-%d" % number) for number in range(KEYS)]
    shard.stop()
    return [reply.value if reply.found else None for reply in found]


def segment(directory: Path) -> Path:
    return min(directory.glob("log-*"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_show_tells_every_change_in_order(directory):
    filled(directory)
    lines = shown(directory)
    puts = [line for line in lines if line.get("change") == "put"]
    assert [put["key"] for put in puts[:-1]] == [f"key-{number}" for number in range(KEYS)]
    assert puts[0]["value"] == "value-0"
    assert puts[-1]["key"] == {"base64": "/wBrZXk="}
    assert puts[-1]["value_bytes"] == 500
    assert {"new_life", "version_ceiling", "group"} <= {line.get("type") for line in lines}


def test_show_is_bounded_by_position_count_and_key(directory):
    filled(directory)
    all_of_them = batches(directory)
    third = all_of_them[2]
    two = [line for line in shown(directory, "--from", str(third["position"]), "--count", "2")
           if "batch" in line]
    assert two == all_of_them[2:4]
    inside = shown(directory, "--from", str(third["position"] + 1), "--count", "1")
    assert inside[0] == third
    one = shown(directory, "--key", "key-7")
    assert [line["key"] for line in one if "change" in line] == ["key-7"]
    assert len([line for line in one if "batch" in line]) == 1
    # No bytes of an argument are 0.
    assert shown(directory, "--key", b"\xff") == []
    text = log("show", directory, "--key", "key-7")
    assert 'put  database 0  key "key-7"' in text.stdout


def test_a_directory_in_use_is_shown_verified_and_counted_but_not_cut(directory):
    shard = keeping(directory)
    with Client(shard.address) as client:
        client.set(b"key", b"value")
        assert [line["key"] for line in shown(directory) if "change" in line] == ["key"]
        verified = log("verify", directory)
        assert verified.returncode == SOUND and "in use by a shard" in verified.stdout, verified
        assert log("stat", directory).returncode == SOUND
        refused = log("cut", directory, "--at", "0", "--yes")
        assert refused.returncode == UNREADABLE and "Stop the shard first" in refused.stderr
        client.set(b"key", b"other")
    shard.stop()


def test_verify_finds_a_sound_directory_sound_and_counts_its_keys(directory):
    filled(directory)
    report = json.loads(log("verify", directory, "--json").stdout)
    assert report["sound"] and report["keys"] == KEYS + 1
    again = json.loads(log("verify", directory, "--json").stdout)
    assert again["digest"] == report["digest"]


def test_a_secret_hash_seed_is_required(directory):
    seed = "00112233445566778899aabbccddeeff"
    filled(directory, "--hash-seed", seed)
    refused = log("verify", directory)
    assert refused.returncode == UNREADABLE and "--hash-seed" in refused.stderr, refused
    assert log("verify", directory, "--hash-seed", seed).returncode == SOUND
    assert log("verify", directory, "--no-replay").returncode == SOUND


def test_a_torn_end_is_not_wrong(directory):
    filled(directory)
    path = segment(directory)
    flip(path, last_batch_end(path) - 1)
    ended = log("verify", directory)
    assert ended.returncode == SOUND, ended
    assert "A start cuts that off: it is not a fault" in ended.stdout


def test_what_a_cut_keeps_is_what_the_shard_has(directory):
    filled(directory)
    path = segment(directory)
    damaged = [line for line in batches(directory)][20]
    flip(path, damaged["offset"] + damaged["length"] - 1)
    refused = subprocess.run(
        [binary(), "shard", "--id", "a", "--port", "0", "--line-port", "0", "--data-dir",
         str(directory)],
        capture_output=True, text=True, timeout=RUN_SECONDS, check=False, env=clean_environment(),
    )
    assert refused.returncode == 1 and "`ringstore log verify`" in refused.stderr
    verified = log("verify", directory)
    assert verified.returncode == WRONG
    position = str(damaged["position"])
    assert f"corrupt at offset {damaged['offset']}" in verified.stdout
    assert f"--at {position}`" in verified.stdout
    # What can be read is shown, and then what can't.
    show = log("show", directory)
    assert show.returncode == WRONG and "corrupt" in show.stderr and '"key-1"' in show.stdout

    before = {file.name: file.read_bytes() for file in directory.iterdir()}
    planned = log("cut", directory, "--at", position)
    assert planned.returncode == SOUND and "Nothing was changed" in planned.stdout
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before

    cut = log("cut", directory, "--at", position, "--yes")
    assert cut.returncode == SOUND, cut
    assert log("verify", directory).returncode == SOUND
    aside = list(directory.glob("cut-*"))
    assert len(aside) == 1
    assert [line["batch"] for line in shown(directory, "--file", aside[0].name)
            if "batch" in line] == []

    kept = len([line for line in shown(directory) if "change" in line])
    found = values(directory)
    assert found == [b"value-%d" % n if n < kept else None for n in range(KEYS)]
    # The shard continues, and what it wrote is there after another start.
    assert values(directory) == found
    assert aside[0].exists()


def test_a_cut_of_a_sound_log_lays_aside_what_can_be_shown(directory):
    filled(directory)
    at = batches(directory)[10]
    cut = log("cut", directory, "--at", str(at["position"]), "--yes")
    assert cut.returncode == SOUND, cut
    aside = next(directory.glob("cut-*"))
    lines = shown(directory, "--file", aside.name)
    assert lines[0]["position"] == at["position"]
    assert lines[-1]["key"] == {"base64": "/wBrZXk="}


def test_a_position_within_a_batch_is_refused_with_those_beside_it(directory):
    filled(directory)
    first, second = batches(directory)[3:5]
    refused = log("cut", directory, "--at", str(first["position"] + 1), "--yes")
    assert refused.returncode == WRONG
    assert f"{first['position']} and {second['position']}" in refused.stderr


def test_stat_counts_what_is_there(directory):
    filled(directory)
    report = json.loads(log("stat", directory, "--json").stdout)
    kinds = {kind["type"]: kind for kind in report["kinds"]}
    assert kinds["group"]["records"] == KEYS + 1
    bytes_in_batches = last_batch_end(segment(directory)) - HEADER_BYTES
    assert report["log_bytes"] == bytes_in_batches
    assert report["head_bytes"] + sum(kind["bytes"] for kind in kinds.values()) == bytes_in_batches
    text = log("stat", directory).stdout
    assert "newest pass: none" in text and "a start takes about" in text


def with_a_pass(directory: Path) -> Path:
    """Keys, a pass of them, and more changes behind it.

    Returns the pass."""
    shard = keeping(directory)
    with Client(shard.address) as client:
        for number in range(KEYS):
            client.set(b"key-%d" % number, b"value-%d" % number)
        made = run("admin", "snapshot", "--server", shard.address)
        assert made.returncode == SOUND, made
        client.set(b"behind", b"the pass")
    shard.kill()
    return max(directory.glob("pass-*"))


def test_a_pass_is_shown_counted_and_verified(directory):
    made = with_a_pass(directory)
    lines = shown(directory, "--pass")
    assert {line["batch"] for line in lines if "batch" in line} == {made.name}
    keys = {line["key"]: line["value"] for line in lines if line.get("image") == "key"}
    assert keys == {f"key-{number}": f"value-{number}" for number in range(KEYS)}
    report = json.loads(log("stat", directory, "--json").stdout)
    assert report["newest_pass"]["file"] == made.name
    assert report["newest_pass"]["keys"] == KEYS
    assert 0 < report["live_ratio"] <= 1
    verified = json.loads(log("verify", directory, "--json").stdout)
    assert verified["sound"] and verified["keys"] == KEYS + 1
    # What is behind the pass only is where a start begins to read.
    assert "behind" in [line["key"] for line in shown(directory) if "change" in line]


def test_a_damaged_or_missing_pass_is_wrong_and_no_cut_helps(directory):
    made = with_a_pass(directory)
    data = made.read_bytes()
    flip(made, len(data) // 2 + HEADER_BYTES // 2)
    damaged = log("verify", directory)
    assert damaged.returncode == WRONG and f"{made} is corrupt" in damaged.stdout, damaged
    assert "A cut doesn't help" in damaged.stdout
    made.unlink()
    missing = log("verify", directory)
    assert missing.returncode == WRONG and f"{made} is missing" in missing.stdout
    end = json.loads(log("stat", directory, "--json").stdout)["end"]
    refused = log("cut", directory, "--at", str(end), "--yes")
    assert refused.returncode == WRONG, refused
    made.write_bytes(data)
    assert log("verify", directory).returncode == SOUND


def test_a_cut_right_behind_a_pass_keeps_the_pass_and_less_is_refused(directory):
    with_a_pass(directory)
    # Older segments may go with the second pass: then nothing before it can be cut.
    with_a_pass(directory)
    end = json.loads(log("stat", directory, "--json").stdout)["newest_pass"]["last_as_of"]
    assert end > 0
    below = log("cut", directory, "--at", str(end - 1), "--yes")
    assert below.returncode == WRONG and str(end) in below.stderr, below
    cut = log("cut", directory, "--at", str(end), "--yes")
    assert cut.returncode == SOUND, cut
    shard = keeping(directory)
    with Client(shard.address) as client:
        assert client.get(b"key-7").value == b"value-7"
        # The first pass's log had it, so the second pass has it as well.
        assert client.get(b"behind").value == b"the pass"
        assert client.size() == KEYS + 1
    shard.stop()


@pytest.mark.parametrize("action", ["show", "verify", "stat"])
def test_what_is_no_directory_with_a_log_has_status_2(action, tmp_path):
    missing = log(action, tmp_path / "missing")
    assert missing.returncode == UNREADABLE and "missing" in missing.stderr, missing
    usage = log(action, tmp_path, "--nonsense")
    assert usage.returncode == UNREADABLE, usage


def test_a_copy_without_a_lock_file_is_verified(directory, tmp_path):
    filled(directory)
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    os.unlink(copy / "LOCK")
    assert log("verify", copy).returncode == SOUND
    assert not (copy / "LOCK").exists()
