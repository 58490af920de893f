"""Data directories that can't be used: each ends the shard with a sentence that says what to do.

The process ends with status 1, and changes nothing in the directory.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import grpc
import pytest
from harness.client import Client, explain, refused
from harness.cluster import start_local, start_router, start_shard
from harness.disk import Disk
from harness.durable import last_batch_end
from harness.polling import eventually
from harness.process import START_SECONDS, Node, binary, run
from harness.trouble import assert_reported_everywhere, described
from ringstore.v1 import cluster_pb2

pytestmark = pytest.mark.usefixtures("nothing_left_running")

FAILED = 1
KEYS = 50
# A shard keeps 64 MiB free.
DISK_BYTES = 160 << 20
# Room for the log's segments, and for what has to be free beside them.
LARGE_DISK_BYTES = 400 << 20
VALUE = b"v" * 1_000_000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and takes another user")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def disk(tmp_path: Path):
    """A file system of its own."""
    with Disk(tmp_path / "disk", DISK_BYTES) as mounted:
        yield mounted


def keeping(directory: Path, *extra: str) -> Node:
    """A shard with its data there, once it has loaded that."""
    shard = start_shard("a", "--data-dir", str(directory), *extra)
    await_loaded(shard)
    return shard


def await_loaded(shard: Node) -> None:
    eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")


def filled(directory: Path, *extra: str) -> None:
    """Leaves a directory with `KEYS` keys as a killed shard does."""
    shard = keeping(directory, *extra)
    with Client(shard.address) as client:
        for number in range(KEYS):
            client.set(b"key-%d" % number, b"value-%d" % number)
    shard.kill()


def refusal(directory: Path, *extra: str) -> str:
    """What a shard says that doesn't start with this directory."""
    arguments = ("shard", "--id", "a", "--port", "0", "--line-port", "0")
    ended = run(*arguments, "--data-dir", str(directory), *extra, seconds=START_SECONDS)
    assert ended.returncode == FAILED, ended
    lines = [line for line in ended.stderr.splitlines() if str(directory) in line]
    assert len(lines) == 1, ended.stderr
    return lines[0]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("log-*"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--id", "b"), ['belongs to the shard "a"', 'this shard is "b"']),
        (("--cluster", "other"), ['belongs to the cluster "ringstore"', 'this shard to "other"']),
    ],
    ids=["of another shard", "of another cluster"],
)
def test_the_directory_of_another(directory, extra, words):
    filled(directory)
    before = contents(directory)
    sentence = refusal(directory, *extra)
    assert all(word in sentence for word in [*words, "data_dir "]), sentence
    assert contents(directory) == before


def test_fewer_databases_than_there_are_is_no_corruption(directory):
    shard = keeping(directory)
    with Client(shard.address) as client:
        client.set(b"key", b"value", database=10)
    shard.kill()
    before = contents(directory)
    sentence = refusal(directory, "--databases", "4")
    assert "databases" in sentence and "corrupt" not in sentence, sentence
    assert contents(directory) == before


def test_two_processes_on_one_directory(directory):
    with_data = keeping(directory)
    try:
        assert "is in use by another process" in refusal(directory)
        with Client(with_data.address) as client:
            client.set(b"key", b"value")
            assert client.get(b"key").value == b"value"
    finally:
        with_data.stop()


def test_a_file_in_its_place(directory):
    directory.write_bytes(b"a file")
    sentence = refusal(directory)
    assert "is not a directory" in sentence and "data_dir " in sentence
    assert directory.read_bytes() == b"a file"


# --- With a directory and without ----------------------------------------------------------------


def test_a_shard_without_a_directory_says_that_its_data_goes_with_it():
    shard = start_shard("a")
    eventually(lambda: shard.log_lines("data is kept in memory only"), "it says so")
    shard.stop()


def test_a_local_cluster_has_a_folder_for_each_shard(directory):
    node = start_local(2, "--data-dir", str(directory))
    keys = [b"key-%d" % number for number in range(KEYS)]
    with Client(node.address) as client:
        eventually(lambda: is_served(client), "the cluster serves")
        for key in keys:
            client.set(key, key)
    node.kill()
    folders = sorted(directory.iterdir())
    assert len(folders) == 2 and all(segments(folder) for folder in folders)
    node.restart()
    with Client(node.address) as client:
        eventually(lambda: is_served(client), "the cluster serves again")
        assert all(client.get(key).value == key for key in keys)
    node.stop()


def is_served(client: Client) -> bool:
    try:
        return client.size() >= 0
    except grpc.RpcError as error:
        if explain(error).reason != "SHARD_UNAVAILABLE":
            raise
        return False


# --- Directories that can't be written to --------------------------------------------------------


def as_unprivileged(executable: Path, directory: Path) -> subprocess.CompletedProcess:
    """A shard of a user who owns nothing."""
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(executable), "shard",
         "--id", "a", "--port", "0", "--line-port", "0", "--data-dir", str(directory)],
        capture_output=True, text=True, timeout=START_SECONDS, check=False,
    )


@needs_root
def test_a_directory_of_another_user(directory):
    filled(directory)
    before = contents(directory)
    # A folder that every user may enter, unlike the folders above `directory`.
    with tempfile.TemporaryDirectory(prefix="ringstore-test-") as folder:
        os.chmod(folder, 0o755)
        executable = Path(shutil.copy(binary(), folder))
        moved = Path(shutil.move(directory, folder))
        ended = as_unprivileged(executable, moved)
        assert ended.returncode == FAILED, ended
        assert f"{moved}" in ended.stderr and "can't be used by this user" in ended.stderr
        assert contents(moved) == before


@needs_root
def test_a_file_system_that_is_read_only(directory, disk):
    filled(disk.path / "data")
    before = contents(disk.path / "data")
    disk.remount("ro")
    assert "is on a read-only file system" in refusal(disk.path / "data")
    assert contents(disk.path / "data") == before
    disk.remount("rw")
    keeping(disk.path / "data").stop()


# --- What a crash or a bad disk leaves behind ----------------------------------------------------


@pytest.mark.parametrize("bytes_cut", [1, 3, 17])
def test_a_log_cut_short_at_its_end_loses_what_was_cut(directory, bytes_cut):
    filled(directory)
    segment = segments(directory)[-1]
    os.truncate(segment, last_batch_end(segment) - bytes_cut)
    shard = keeping(directory)
    try:
        (line,) = shard.log_lines("was cut at offset")
        assert str(segment) in line
        with Client(shard.address) as client:
            assert client.size() == KEYS - 1
            assert client.get(b"key-%d" % (KEYS - 2)).value == b"value-%d" % (KEYS - 2)
            client.set(b"key-new", b"value")
    finally:
        shard.stop()
    # What was cut does not come back.
    again = keeping(directory)
    with Client(again.address) as client:
        assert client.size() == KEYS
        assert not client.get(b"key-%d" % (KEYS - 1)).found
    again.stop()


def test_a_byte_flipped_in_the_middle_of_a_log(directory):
    filled(directory, "--fsync", "always")
    segment = segments(directory)[-1]
    data = bytearray(segment.read_bytes())
    at = data.index(b"value-%d" % (KEYS // 2))
    data[at] ^= 1
    segment.write_bytes(data)
    before = contents(directory)
    sentence = refusal(directory)
    found = re.search(rf"{re.escape(str(segment))} is corrupt at offset (\d+): ", sentence)
    assert found, sentence
    # The batch that holds the byte begins there.
    offset = int(found[1])
    length = int.from_bytes(data[offset : offset + 4], "little")
    assert offset < at < offset + length
    assert contents(directory) == before


def test_a_directory_removed_beneath_a_running_shard(directory):
    shard = keeping(directory)
    shutil.rmtree(directory)
    assert shard.wait() == FAILED
    assert shard.log_lines("The data directory was removed or replaced")


@needs_root
def test_a_disk_that_fills_up(disk):
    ballast = disk.path / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 2))
    shard = keeping(disk.path / "data")
    router = start_router({"a": shard})
    with Client(shard.address) as direct, Client(router.address) as client:
        eventually(lambda: is_served(client), "the router serves")
        written = 0
        with refused("RESOURCE_EXHAUSTED", "DISK_FULL") as error:
            while written * len(VALUE) < DISK_BYTES:
                client.set(b"key-%d" % written, VALUE)
                written += 1
        assert "The disk of shard a is full" in error.message and error.retry_info, error
        eventually(lambda: shard.log_lines("the disk is full"), "it is told in the log")
        for caller, node in ((direct, shard), (client, router)):
            with refused("RESOURCE_EXHAUSTED", "DISK_FULL"):
                caller.set(b"key-%d" % written, VALUE)
            # Refused before it was executed; reads continue, so that the shard counts as healthy.
            assert written and not caller.get(b"key-%d" % written).found
            assert caller.size() == written
            assert caller.get(b"key-0").value == VALUE
            assert_reported_everywhere(node.address, "DISK_FULL")
            assert run("health", "--server", node.address, "--shards").returncode == 0
        ballast.unlink()
        eventually(lambda: is_taken(client), "writes come back")
    eventually(lambda: shard.log_lines("the disk has room again"), "it is told in the log")
    eventually(lambda: described(router.address).detail == "", "nothing is wrong any more")
    shard.kill()
    shard.restart()
    with Client(router.address) as client:
        eventually(lambda: is_served(client), "the router serves again")
        assert client.size() == written + 1
        assert all(client.get(b"key-%d" % n).value == VALUE for n in range(written))
    router.stop()
    shard.stop()


def fill_up(disk: Disk) -> Path:
    """Leaves the disk without a free byte."""
    ballast = disk.path / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1 << 20))
    assert shutil.disk_usage(disk.path).free == 0
    return ballast


@needs_root
def test_a_start_on_a_full_disk_serves_what_there_is(disk):
    filled(disk.path / "data")
    ballast = fill_up(disk)
    shard = keeping(disk.path / "data")
    eventually(lambda: shard.log_lines("the disk is full"), "it is told in the log")
    (line,) = shard.log_lines("the disk is full")
    assert f"data_dir={disk.path / 'data'}" in line
    assert "free_bytes=" in line and "needed_bytes=" in line
    with Client(shard.address) as client:
        assert client.size() == KEYS
        with refused("RESOURCE_EXHAUSTED", "DISK_FULL") as error:
            client.set(b"another", b"value")
        assert "MiB needed" in error.message
        (node,) = client.cluster.Describe(cluster_pb2.DescribeRequest(), timeout=60).nodes
        assert "DISK_FULL" in node.detail
        ballast.unlink()
        eventually(lambda: is_taken(client), "writes come back")
    shard.stop()


@needs_root
def test_a_start_without_a_free_byte_is_refused_and_loses_nothing(disk):
    folder = disk.path / "data"
    filled(folder)
    # What a start would remove to make room.
    for name in ("spare", "reserve"):
        (folder / name).unlink(missing_ok=True)
    before = set(contents(folder))
    ballast = fill_up(disk)
    sentence = refusal(folder)
    assert f"The disk of {folder} is full: 0 MiB are free, and 1 MiB needed to start" in sentence
    assert set(contents(folder)) == before
    ballast.unlink()
    shard = keeping(folder)
    with Client(shard.address) as client:
        assert client.size() == KEYS
    shard.stop()


@needs_root
def test_a_new_folder_on_a_full_disk_is_refused(disk):
    fill_up(disk)
    assert f"The disk of {disk.path / 'data'} is full" in refusal(disk.path / "data")


def is_taken(client: Client, key: bytes = b"another", value: bytes = b"value") -> bool:
    try:
        return client.set(key, value).ok
    except grpc.RpcError as error:
        if explain(error).reason not in ("DISK_FULL", "LOG_STALLED"):
            raise
        return False


@needs_root
def test_a_disk_full_of_what_was_overwritten_makes_room_by_itself(tmp_path):
    with Disk(tmp_path / "disk", LARGE_DISK_BYTES) as disk:
        shard = keeping(disk.path / "data")
        with Client(shard.address) as client:
            # Four times as many bytes as there is room for.
            for number in range(4 * LARGE_DISK_BYTES // len(VALUE)):
                eventually(
                    lambda n=number: is_taken(client, b"%d" % (n % 4), VALUE), "writes continue"
                )
            assert client.size() == 4
        shard.stop()
