"""deploy/run as a person uses it: it serves, Ctrl-C ends it, a node that dies comes back, and the
next run has the keys of the one before, until it is told to forget them."""

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
from harness.ports import free_ports
from harness.process import clean_environment

SCRIPT = Path(__file__).parents[2] / "deploy" / "run"
# As a rule the executable is built already, and what is left is the builder's look at it and four
# starts. But it may have to be built, on cores that others use.
START_SECONDS = 1800.0
END_SECONDS = 120.0

pytestmark = pytest.mark.timeout(2000)


class Running:
    """The script's process, its ports, and what it has printed so far."""

    def __init__(self, folder: Path, *arguments: str, ports: list[int] | None = None):
        self.router, self.lines, self.shards, *_ = self.ports = ports or free_ports(5)
        self.output = folder / "output"
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.state = folder / "state"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [SCRIPT, *arguments],
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
                        "XDG_STATE_HOME": str(self.state),
                    }
                ),
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def serving(self) -> bool:
        if self.process.poll() is not None:
            # No AssertionError, which is "not yet" to `eventually`.
            raise RuntimeError(f"it ended:\n{self.text()}")
        return "Ctrl-C stops all." in self.text()

    def nodes(self) -> dict[str, int]:
        """Process ids by the names that the script gives."""
        found = re.findall(r"^  (router|shard \w) .*\(pid (\d+)\)$", self.text(), re.MULTILINE)
        return {name: int(pid) for name, pid in found}

    def data(self) -> Path:
        """The folder that it says it keeps data in."""
        return Path(re.search(r"^Data: (/.*?)   ", self.text(), re.MULTILINE)[1])

    def end(self) -> int:
        return self.process.wait(END_SECONDS)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.end() == 0, self.text()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@contextmanager
def running_in(folder: Path, *arguments: str, ports: list[int] | None = None):
    started = Running(folder, *arguments, ports=ports)
    try:
        eventually(started.serving, "deploy/run serving", START_SECONDS)
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.end()


@contextmanager
def running():
    with (
        tempfile.TemporaryDirectory(prefix="ringstore-test-") as folder,
        running_in(Path(folder)) as started,
    ):
        yield started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(number):
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


def test_what_it_says_to_try_works():
    """On its ports, which are none of the usual ones here."""
    with running() as run:
        told = re.findall(r"^(?:Try:|     ) +(\S*/ringstore cli .*)$", run.text(), re.MULTILINE)
        commands = [line for line in told if "(a prompt)" not in line]
        assert len(commands) == 2 and len(told) == 3
        said = [in_shell(line) for line in commands]
        assert said == ["OK\n", '"hello"\n']
        export = re.search(r"^ +(export RINGSTORE_SERVER=\S+)", run.text(), re.MULTILINE)[1]
        program = commands[0].partition(" ")[0]
        assert in_shell(f"{export}; {program} cli GET greeting") == '"hello"\n'
        lines = re.search(r"(nc 127\.0\.0\.1 \d+)\)", run.text())[1]
        assert lines == f"nc 127.0.0.1 {run.lines}"
        run.stop()


def in_shell(command: str) -> str:
    return subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=END_SECONDS,
        check=True,
    ).stdout


@pytest.mark.parametrize("name", ["router", "shard b"])
def test_a_node_that_dies_is_started_again(name):
    with running() as run:
        nodes = run.nodes()
        with Client(f"127.0.0.1:{run.router}") as client:
            fill(client)
        os.kill(nodes[name], signal.SIGKILL)
        found = eventually(
            lambda: re.search(rf"{name} is running again \(pid (\d+)\)", run.text()), "a new node"
        )
        assert f"{name} ended by itself (status 137)" in run.text()
        # Nothing in the words of a shell.
        assert "Killed" not in run.text() and "env -u" not in run.text()
        with Client(f"127.0.0.1:{run.router}") as client:
            eventually(lambda: holds_all(client), "every shard is reached, with its keys")
        run.stop()
        assert all(gone(pid) for pid in (*nodes.values(), int(found[1])))


KEYS = [b"%d" % number for number in range(30)]


def fill(client: Client) -> None:
    """Sets keys of every shard."""
    for key in KEYS:
        client.set(key, key)


def holds_all(client: Client) -> bool:
    """Whether every shard is reached; then all keys must be there."""
    try:
        return [client.get(key).value for key in KEYS] == KEYS
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False


def key_count(run: Running) -> int:
    with Client(f"127.0.0.1:{run.router}") as client:
        return client.size()


def test_the_next_run_has_the_keys_of_the_one_before_until_they_are_removed(tmp_path):
    with running_in(tmp_path) as run:
        ports, data = run.ports, run.data()
        # Where nothing is said, data is among the user's state.
        assert data == run.state / "ringstore" / f"run-{run.router}"
        assert sorted(path.name for path in data.iterdir()) == ["a", "b", "c"]
        with Client(f"127.0.0.1:{run.router}") as client:
            fill(client)
        run.stop()
    # A run in memory has nothing to do with what is there.
    with running_in(tmp_path, "--in-memory", ports=ports) as run:
        assert "in memory only" in run.text()
        assert key_count(run) == 0
        run.stop()
    with running_in(tmp_path, "--fsync", "always", ports=ports) as run:
        with Client(f"127.0.0.1:{run.router}") as client:
            assert holds_all(client)
        run.stop()
    with running_in(tmp_path, "--fresh", ports=ports) as run:
        for shard in ("a", "b", "c"):
            assert f"Removed {data}/{shard} (" in run.text()
        assert key_count(run) == 0
        run.stop()


def test_data_on_other_ports_is_found_and_forgotten_only_when_nothing_runs_on_it(tmp_path):
    data = tmp_path / "some where"
    with running_in(tmp_path, "--data-dir", str(data)) as run:
        with Client(f"127.0.0.1:{run.router}") as client:
            fill(client)
        for arguments in ([], ["--fresh"]):
            ended = attempt(os.environ["PATH"], tmp_path, "--data-dir", str(data), *arguments)
            assert ended.returncode == 1
            assert f"a shard runs on {data}/a" in ended.stderr
        with Client(f"127.0.0.1:{run.router}") as client:
            assert holds_all(client)
        run.stop()
    with running_in(tmp_path, "--data-dir", str(data)) as run:
        with Client(f"127.0.0.1:{run.router}") as client:
            assert holds_all(client)
        run.stop()


@pytest.mark.parametrize(
    "name", ["b/notes.txt", "b/log-1", "b/log-00000000000000000009", "b/pass-00000000000000000009"]
)
def test_what_is_no_data_of_ringstore_is_never_removed(tmp_path, name):
    data = tmp_path / "data"
    for folder in ("a", "b"):
        (data / folder).mkdir(parents=True)
        (data / folder / "LOCK").touch()
        (data / folder / "spare").touch()
    (data / name).write_text("to be kept")
    before = sorted(data.rglob("*"))
    ended = attempt(os.environ["PATH"], tmp_path, "--fresh", "--data-dir", str(data))
    assert ended.returncode == 1
    assert f"{data / name} is not its file. Nothing was removed" in ended.stderr
    assert sorted(data.rglob("*")) == before
    assert (data / name).read_text() == "to be kept"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--in-memory", "--fresh"], "--in-memory and --fresh don't go together"),
        (["--in-memory", "--fsync", "never"], "--in-memory and --fsync don't go together"),
        (["--fsync", "often"], "--fsync takes always, everysec or never, not 'often'"),
        (["--data-dir"], "--data-dir needs a value"),
    ],
)
def test_arguments_that_say_nothing_sensible_are_refused(tmp_path, arguments, words):
    ended = attempt(os.environ["PATH"], tmp_path, *arguments)
    assert ended.returncode == 1
    assert words in ended.stderr


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


def test_a_cluster_that_is_stopped_ends():
    with running() as run:
        nodes = run.nodes()
        with Client(f"127.0.0.1:{run.router}") as client:
            client.shutdown(whole_cluster=True)
        assert run.end() == 0, run.text()
        assert "router was told to end" in run.text()
        assert all(gone(pid) for pid in nodes.values())


def attempt(path: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run that must fail before it builds. `apt-get` leaves a trace in the folder."""
    apt = folder / "apt-get"
    apt.write_text(f"#!/bin/sh\necho called >{folder}/installed\nexit 1\n")
    apt.chmod(0o755)
    ports = free_ports(5)
    return subprocess.run(
        [SCRIPT, *arguments],
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


def test_a_swift_that_does_not_run_is_reported_in_its_own_words(tmp_path):
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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_what_a_run_as_root_has_left_is_explained():
    with tempfile.TemporaryDirectory(prefix="ringstore-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(SCRIPT.parent, folder / "deploy")
        (folder / ".build").mkdir(mode=0o755)
        ports = free_ports(5)
        ended = subprocess.run(
            [folder / "deploy" / "run", "--in-memory"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=UNPRIVILEGED,
            env=clean_environment(
                {
                    "HOME": name,
                    "RINGSTORE_PORT": str(ports[0]),
                    "RINGSTORE_LINE_PORT": str(ports[1]),
                    "RINGSTORE_SHARD_PORT": str(ports[2]),
                }
            ),
            timeout=END_SECONDS,
            check=False,
        )
        assert ended.returncode == 1
        assert f"can't write {folder}/.build, which belongs to root" in ended.stderr
        assert f"sudo rm -rf {folder}/.build" in ended.stderr


UNPRIVILEGED = 65534


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
