"""The load for Locust, in a short run: it makes calls of all kinds, and finds what is wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.client import Client
from harness.cluster import start_local
from harness.process import Node
from ringstore.v1 import keystore_pb2 as pb

LOAD = Path(__file__).parents[2] / "deploy" / "bench" / "locustfile.py"
CALLS = {"Get", "MGet", "Set", "Delete", "IncrBy", "LPush", "RPop"}


@pytest.fixture
def router() -> Iterator[Node]:
    started = start_local()
    yield started
    started.stop()


def load(router: Node) -> tuple[int, dict[str, dict]]:
    """Locust's exit status, and its counts by call."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOAD), "--host", router.address]
    users = ["--headless", "--users", "20", "--spawn-rate", "20", "--run-time", "6s"]
    ended = subprocess.run(
        [*command, *users, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, {call["name"]: call for call in json.loads(ended.stdout)}


def test_a_healthy_cluster_has_no_failures(router: Node):
    status, calls = load(router)
    assert {name: call["num_failures"] for name, call in calls.items()} == dict.fromkeys(CALLS, 0)
    assert status == 0
    with Client(router.address) as client:
        assert client.size() > 0


def test_wrong_values_are_found(router: Node):
    with Client(router.address) as client:
        items = [pb.KeyValue(key=b"locust:%d" % number, value=b"wrong") for number in range(10_000)]
        client.stub.MSet(pb.MSetRequest(items=items))
    status, calls = load(router)
    assert status == 1
    assert calls["Get"]["num_failures"] > 0 and calls["MGet"]["num_failures"] > 0
    assert all(calls[name]["num_failures"] == 0 for name in CALLS - {"Get", "MGet"})
