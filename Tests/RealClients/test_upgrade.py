"""Data directories of an older release: the current one reads them, and all keys are there.

The older executable is named by RINGSTORE_TEST_OLDER_BINARY.
"""

import os
from pathlib import Path

import pytest
from harness.client import Client
from harness.cluster import HOST
from harness.filling import check_filled, fill
from harness.polling import eventually
from harness.process import Node

OLDER = os.environ.get("RINGSTORE_TEST_OLDER_BINARY")
OVERWRITES = 500

pytestmark = pytest.mark.skipif(
    not OLDER, reason="RINGSTORE_TEST_OLDER_BINARY doesn't name the executable of an older release"
)


def await_loaded(shard: Node) -> None:
    eventually(lambda: shard.log_lines("the data is loaded"), "the data loaded")


@pytest.mark.parametrize("end", [Node.stop, Node.kill], ids=["stopped", "killed"])
def test_the_data_of_an_older_release_is_read(end, tmp_path: Path):
    shard = Node(
        "shard", "--id", "a", "--host", HOST, "--port", "0", "--data-dir", str(tmp_path / "data"),
        executable=OLDER,
    )
    await_loaded(shard)
    with Client(shard.address) as client:
        fill(client)
        for number in range(OVERWRITES):
            client.set(b"overwritten", b"%d" % number)
        client.set(b"deleted", b"v")
        client.delete(b"deleted")
        keys = client.size(all_databases=True)
        version = client.get(b"overwritten").version
    end(shard)
    shard.executable = None
    shard.restart()
    await_loaded(shard)
    with Client(shard.address) as client:
        assert client.size(all_databases=True) == keys
        check_filled(client)
        held = client.get(b"overwritten")
        assert (held.value, held.version) == (b"%d" % (OVERWRITES - 1), version)
        assert client.set(b"overwritten", b"again").version > version
    # What it has written, it reads again.
    shard.kill()
    shard.restart()
    await_loaded(shard)
    with Client(shard.address) as client:
        check_filled(client)
        assert client.get(b"overwritten").value == b"again"
    shard.stop()
