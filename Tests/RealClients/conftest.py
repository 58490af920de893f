"""Fixtures: the three ways to be served (a router, a lone shard, all in one process)."""

import itertools
import signal
import sys

import grpc
import pytest
from harness import examples, process
from harness.client import Client
from harness.cluster import Cluster, start_local, start_shard
from harness.crew import Crew
from harness.polling import eventually
from harness.seeds import seed
from harness.site import SITES, Site

_SHAPES = {
    "router": Cluster,
    "shard": start_shard,
    "local": start_local,
}
# Far more than a test waits for the end of a node.
_PATIENCE = ("--drain-seconds", "3600")
_ENDING_SHAPES = {
    "router": lambda: Cluster("abc", *_PATIENCE, shard_arguments=_PATIENCE),
    "shard": lambda: start_shard("a", *_PATIENCE),
    "local": lambda: start_local(3, *_PATIENCE),
}
_counter = itertools.count(1)


def pytest_sessionstart() -> None:
    # A shell's programs in the background ignore Ctrl-C, and so do those that they start. What this
    # process handles, they have as usual.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process.binary()
    except RuntimeError as error:
        pytest.exit(str(error), returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the seed and the logs of the nodes that run to a failing test's report."""
    report = yield
    if report.failed:
        report.sections.append(("seed", f"RINGSTORE_TEST_SEED={seed()}"))
        for node in process.running:
            report.sections.append((f"log of {node.name} (pid {node.pid})", node.log()))
    return report


def serves(address: str) -> bool:
    """Whether calls succeed: a router may have started before it reaches its shards."""
    with Client(address) as client:
        try:
            client.size()
            return True
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return False


@pytest.fixture(scope="session", params=_SHAPES)
def served(request):
    """A running server of each shape in turn, shared by the tests that only make calls."""
    server = _SHAPES[request.param]()
    eventually(lambda: serves(server.address), "the first reply")
    yield server
    server.stop()


@pytest.fixture
def client(served):
    """A client of an empty server."""
    with Client(served.address) as opened:
        opened.reset(all_databases=True)
        yield opened


@pytest.fixture(params=_ENDING_SHAPES)
def server(request):
    """A server of each shape that the test may end; the node that clients talk to is `.node`."""
    started = _ENDING_SHAPES[request.param]()
    started.node = getattr(started, "router", started)
    yield started
    started.stop()


@pytest.fixture
def cluster():
    """A router and shards a, b and c that this test may stop, kill and pause."""
    with Cluster() as started:
        eventually(lambda: serves(started.address), "the first reply")
        yield started


@pytest.fixture(scope="module")
def quick_links():
    """Nodes of this module detect a silent shard after the default time, 2 seconds."""
    process.defaults.clear()
    yield
    process.defaults.update(process.PATIENT)


@pytest.fixture(scope="module", params=SITES)
def running_site(request):
    started = SITES[request.param]()
    yield started
    started.stop()


@pytest.fixture
def site(running_site: Site):
    """A running site without keys, of each shape in turn."""
    running_site.reset()
    return running_site


@pytest.fixture
def nothing_left_running():
    """Where a test fails, its nodes go too."""
    before = set(process.running)
    yield
    for node in set(process.running) - before:
        node.kill()


@pytest.fixture
def key() -> bytes:
    """A key that no other test uses."""
    return b"key-%d" % next(_counter)


@pytest.fixture(scope="session")
def go_programs(tmp_path_factory):
    """The folder of the examples in Go, built."""
    built = examples.build_go(tmp_path_factory.mktemp("go"))
    if built is None:
        pytest.skip("Go, protoc or their packages are missing")
    return built


@pytest.fixture
def example(request):
    """The command of an example: example("go", "lock"), without the address."""

    def command(language: str, name: str) -> list[str]:
        if language == "go":
            return [str(request.getfixturevalue("go_programs") / name)]
        return [sys.executable, str(examples.FOLDER / "python" / f"{name}.py")]

    return command


@pytest.fixture(scope="session")
def crew():
    """Client processes that take jobs; see harness/crew.py."""
    with Crew() as hired:
        yield hired
