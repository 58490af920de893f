"""deploy/run as a person uses it: it serves, Ctrl-C ends it, and a node that dies comes back."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from harness.client import Client
from harness.polling import eventually
from harness.process import clean_environment

SCRIPT = Path(__file__).parents[2] / "deploy" / "run"
# As a rule the executable is built already, and what is left is the builder's look at it and four
# starts. But it may have to be built, on cores that others use.
START_SECONDS = 1800.0
END_SECONDS = 120.0

pytestmark = pytest.mark.timeout(2000)


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
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
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
                        # The project's own, which disturbs no node.
                        "RINGSTORE_IMAGE": "x",
                        "TMPDIR": str(self.temporary),
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
        return "Ctrl-C stops all." in self.text()

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
        assert list(run.temporary.iterdir()) == []
        assert "warning" not in run.text()


@pytest.mark.parametrize("name", ["router", "shard b"])
def test_a_node_that_dies_is_started_again(name):
    with running() as run:
        nodes = run.nodes()
        os.kill(nodes[name], signal.SIGKILL)
        found = eventually(
            lambda: re.search(rf"{name} is running again \(pid (\d+)\)", run.text()), "a new node"
        )
        assert f"{name} ended by itself (status 137)" in run.text()
        # Nothing in the words of a shell.
        assert "Killed" not in run.text() and "env -u" not in run.text()
        with Client(f"127.0.0.1:{run.router}") as client:
            eventually(lambda: stores(client), "every shard is reached")
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 0, run.text()
        assert all(gone(pid) for pid in (*nodes.values(), int(found[1])))


def stores(client: Client) -> bool:
    """Whether keys of every shard can be stored."""
    try:
        for number in range(30):
            client.set(b"%d" % number, b"x")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False
    return True


def test_a_node_that_can_not_be_kept_running_ends_the_cluster():
    with running() as run:
        pid, count = run.nodes()["shard a"], 1
        while run.process.poll() is None and count < 10:
            os.kill(pid, signal.SIGKILL)
            count += 1
            eventually(
                lambda: run.process.poll() is not None
                or run.text().count("shard a is running again") == count - 1,
                "the shard is started again, or given up",
            )
            again = re.findall(r"shard a is running again \(pid (\d+)\)", run.text())
            pid = int(again[-1]) if again else pid
        assert run.end() == 1
        assert "shard a has ended 3 times within 5 s of its start" in run.text()


def test_a_cluster_that_is_told_to_end_does():
    with running() as run:
        nodes = run.nodes()
        with Client(f"127.0.0.1:{run.router}") as client:
            client.shutdown(whole_cluster=True)
        assert run.end() == 0, run.text()
        assert "router was told to end" in run.text()
        assert all(gone(pid) for pid in nodes.values())


def attempt(path: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A run that must fail before it builds. `apt-get` leaves a trace in the folder."""
    apt = folder / "apt-get"
    apt.write_text(f"#!/bin/sh\necho called >{folder}/installed\nexit 1\n")
    apt.chmod(0o755)
    ports = free_ports(5)
    return subprocess.run(
        [SCRIPT],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(
            {
                "PATH": f"{folder}:{path}",
                "RINGSTORE_PORT": str(ports[0]),
                "RINGSTORE_LINE_PORT": str(ports[1]),
                "RINGSTORE_SHARD_PORT": str(ports[2]),
            }
        ),
        timeout=END_SECONDS,
        check=False,
    )


def test_a_swift_that_does_not_run_is_told_in_its_own_words(tmp_path):
    swift = tmp_path / "swift"
    swift.write_text("#!/bin/sh\necho 'swift: libsqlite3.so.0: cannot open it' >&2\nexit 127\n")
    swift.chmod(0o755)
    ended = attempt(os.environ["PATH"], tmp_path)
    assert ended.returncode == 1
    assert "  | swift: libsqlite3.so.0: cannot open it" in ended.stderr
    assert "libsqlite3-dev" in ended.stderr
    assert "not found" not in ended.stderr
    assert not (tmp_path / "installed").exists()


@pytest.mark.skipif(shutil.which("swift", path="/usr/bin:/bin") is not None, reason="it is there")
def test_a_missing_swift_is_said_before_anything_is_installed(tmp_path):
    ended = attempt("/usr/bin:/bin", tmp_path)
    assert ended.returncode == 1
    assert "'swift' was not found" in ended.stderr
    assert "https://www.swift.org/install" in ended.stderr
    assert not (tmp_path / "installed").exists()


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
