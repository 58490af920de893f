"""One process of the `ringstore` executable, from its start to its end."""

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from harness.polling import eventually

# Generous, because other work may have the cores: where one passes, something hangs.
START_SECONDS = 60.0
STOP_SECONDS = 60.0
RUN_SECONDS = 60.0
LOG_LINES_SHOWN = 40

# What every node gets beside its arguments. Other work may have the cores for seconds: a shard that
# doesn't get one then must not count as lost. Tests of lost shards use the fixture `quick_links`.
PATIENT = {"RINGSTORE_LINK_TIMEOUT_SECONDS": "20"}
defaults = dict(PATIENT)

_STARTED = re.compile(rb"^Server started on port (\d+)$", re.MULTILINE)
_LINES = re.compile(rb"^Line protocol on port (\d+)$", re.MULTILINE)
_ADMIN = re.compile(rb"^Admin on port (\d+)$", re.MULTILINE)

# Every node that runs now, so that a failing test can show their logs.
running: list["Node"] = []


def binary() -> str:
    """The executable under test, named by RINGSTORE_BINARY (deploy/test sets it)."""
    path = os.environ.get("RINGSTORE_BINARY", "")
    if not os.access(path, os.X_OK):
        raise RuntimeError("RINGSTORE_BINARY must name the built executable; run deploy/test")
    return path


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings that would configure a node, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGSTORE_")}
    return kept | (extra or {})


class Node:
    """A node: `Node("shard", "--id", "a", ...)`. It accepts calls when the constructor returns.

    Its line protocol listens on a port that it picks itself (`line_port`): tests run many nodes on
    one machine. With `descriptors` it gets that many open files and no more.
    """

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        descriptors: int | None = None,
        executable: str | None = None,
    ):
        # No preexec_fn, here and wherever tests start programs: Python would fork, and gRPC's fork
        # handlers would run in the child, where they may print or block.
        self._limited = ["prlimit", f"--nofile={descriptors}", "--"] if descriptors else []
        # Another release; by default the one under test. May be changed between two starts.
        self.executable = executable
        own = any(argument.startswith("--line-port") for argument in arguments)
        self.arguments = arguments if own else (*arguments, "--line-port", "0")
        self._environment = clean_environment(defaults | (environment or {}))
        self._folder = tempfile.TemporaryDirectory(prefix="ringstore-test-")
        self._starts = 0
        self._start()

    def _start(self) -> None:
        self._starts += 1
        folder = Path(self._folder.name)
        self._stdout = folder / f"stdout-{self._starts}"
        self._stderr = folder / f"stderr-{self._starts}"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [*self._limited, self.executable or binary(), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self._environment,
                start_new_session=True,
            )
        running.append(self)
        try:
            self.port = eventually(self._started_port, f"start of {self.name}", START_SECONDS)
        except BaseException as error:
            log = self.log()
            self.kill()
            raise AssertionError(f"{error}\n{log}") from error

    def _started_port(self) -> int | None:
        found = _STARTED.search(self._stdout.read_bytes())
        if found:
            lines = _LINES.search(self._stdout.read_bytes())
            self.line_port = int(lines[1]) if lines else None
            admin = _ADMIN.search(self._stdout.read_bytes())
            self.admin_port = int(admin[1]) if admin else None
            return int(found[1])
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with status {self.process.returncode}")
        return None

    @property
    def name(self) -> str:
        return "ringstore " + " ".join(self.arguments)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_lines(self, words: str) -> list[str]:
        """All lines that it wrote to stderr and that hold these words."""
        lines = self._stderr.read_text(errors="replace").splitlines()
        return [line for line in lines if words in line]

    def log(self) -> str:
        """The last lines that the node wrote to stderr."""
        lines = self._stderr.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def terminate(self) -> None:
        """Asks it to leave (SIGTERM) and doesn't wait."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended."""
        status = self.process.wait(seconds)
        self._forget()
        return status

    def stop(self) -> int:
        """SIGTERM, and its exit status; SIGKILL if it doesn't end in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            log = self.log()
            self.kill()
            raise AssertionError(f"{self.name} did not end after SIGTERM\n{log}") from None

    def kill(self) -> None:
        """SIGKILL: no drain, no goodbye."""
        self.process.kill()
        self.wait()

    def pause(self) -> None:
        """SIGSTOP: the sockets stay open without replies. All threads are stopped on return."""
        self.process.send_signal(signal.SIGSTOP)
        eventually(self._stands_still, f"{self.name} stopped")

    def _stands_still(self) -> bool:
        stats = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        # The state follows the name, which stands in brackets and may hold anything.
        return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Starts the same node again, on the port that it had."""
        assert self.process.poll() is not None, "still running"
        arguments = list(self.arguments)
        arguments[arguments.index("--port") + 1] = str(self.port)
        self.arguments = tuple(arguments)
        self._start()

    def _forget(self) -> None:
        if self in running:
            running.remove(self)


def run(*arguments: str, environment: dict[str, str] | None = None, seconds: float = RUN_SECONDS):
    """Runs the executable to its end; the result has returncode, stdout and stderr (text)."""
    return subprocess.run(
        [binary(), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(environment),
        timeout=seconds,
        check=False,
    )


def begin(*arguments: str) -> subprocess.Popen:
    """Starts the executable as `run` does, and doesn't wait for its end."""
    return subprocess.Popen(
        [binary(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
