"""deploy/run as a person uses it: it serves, Ctrl-C ends it, and a node that dies is named."""

import os
import re
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.client import Client
from harness.polling import eventually
from harness.process import clean_environment

SCRIPT = Path(__file__).parents[2] / "deploy" / "run"
# The executable is built already; what is left is the builder's look at it and four starts.
START_SECONDS = 100.0
END_SECONDS = 60.0

pytestmark = pytest.mark.timeout(240)


def free_ports(count: int) -> list[int]:
    """Ports in a row that nobody listens on now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return list(range(first, first + count))
        except (OSError, OverflowError):
            continue


class Running:
    """The script's process, its ports, and what it has printed so far."""

    def __init__(self, folder: Path):
        self.router, self.lines, self.shards, *_ = free_ports(5)
        self.output = folder / "output"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [SCRIPT],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=clean_environment(
                    {
                        "RINGSTORE_PORT": str(self.router),
                        "RINGSTORE_SHARD_PORT": str(self.shards),
                        "RINGSTORE_LINE_PORT": str(self.lines),
                        "TMPDIR": str(folder),
                    }
                ),
                start_new_session=True,
                # Ctrl-C is ignored by whatever a shell runs in the background, tests included.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def serving(self) -> bool:
        assert self.process.poll() is None, self.text()
        return "Ctrl-C stops it." in self.text()

    def nodes(self) -> dict[str, int]:
        """Process ids by the names that the script gives."""
        found = re.findall(r"^  (router|shard \w) .*\(pid (\d+)\)$", self.text(), re.MULTILINE)
        return {name: int(pid) for name, pid in found}

    def end(self) -> int:
        return self.process.wait(END_SECONDS)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@contextmanager
def running():
    with tempfile.TemporaryDirectory(prefix="ringstore-test-") as folder:
        started = Running(Path(folder))
        try:
            eventually(started.serving, "deploy/run serving", START_SECONDS)
            yield started
        finally:
            if started.process.poll() is None:
                started.process.terminate()
                started.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(number):
    with running() as run:
        nodes = run.nodes()
        assert set(nodes) == {"router", "shard a", "shard b", "shard c"}
        with Client(f"127.0.0.1:{run.router}") as client:
            for key in (b"%d" % i for i in range(30)):
                client.set(key, key)
                assert client.get(key).value == key
        run.process.send_signal(number)
        assert run.end() == 0, run.text()
        assert all(gone(pid) for pid in nodes.values())


@pytest.mark.parametrize("name", ["router", "shard b"])
def test_a_node_that_dies_is_named_and_takes_the_others_along(name):
    with running() as run:
        nodes = run.nodes()
        os.kill(nodes[name], signal.SIGKILL)
        assert run.end() == 1
        assert f"{name} ended by itself" in run.text()
        assert all(gone(pid) for pid in nodes.values())


def test_a_taken_port_is_said_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [SCRIPT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment({"RINGSTORE_PORT": str(port)}),
            timeout=END_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert f"port {port} is taken" in ended.stderr
