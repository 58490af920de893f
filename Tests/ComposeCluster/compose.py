"""The compose cluster under test: the compose file's commands, and what the engine says of it.

Started by deploy/compose/test, which says in RINGSTORE_IMAGE which image to run and in DOCKER_HOST
which engine to ask.
"""

import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from functools import cached_property
from pathlib import Path

import grpc
from harness.client import Client
from harness.lines import Lines
from harness.polling import eventually

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
FILE, INSECURE = FOLDER / "docker-compose.yml", FOLDER / "insecure.yml"
SHARDS = {"a": "shard-a", "b": "shard-b", "c": "shard-c"}
SERVICES = ["router", *SHARDS.values()]
COMMAND_SECONDS = 300.0
HEALTHY_SECONDS = 180.0
ADDRESS_ATTEMPTS = 8

_numbers = itertools.count(1)
# What was measured, for the end of the report.
measured: list[str] = []


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """What the command printed; AssertionError with all of it if it failed."""
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def docker(*arguments: str) -> str:
    return run("docker", *arguments).strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Compose:
    """One project made of the compose file, on free ports of this machine; `more` are files that
    change it."""

    def __init__(self, *more: Path):
        self.files = [FILE, *more]
        self.project = f"ringstore-test-{os.getpid()}-{next(_numbers)}"
        self.image = os.environ["RINGSTORE_IMAGE"]
        self.port = free_port()
        self.line_port = free_port()
        self.begin = str(time.time())
        self.environment = os.environ | {
            "RINGSTORE_PORT": str(self.port),
            "RINGSTORE_LINE_PORT": str(self.line_port),
        }
        self._helper: str | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> str:
        """`docker-compose` where there is one, else Compose v2, with this project and file."""
        program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        files = (word for file in self.files for word in ("--file", str(file)))
        return run(
            *program, "--project-name", self.project, *files, *arguments,
            environment=self.environment,
        )

    def up(self) -> None:
        begin = time.monotonic()
        self.command("up", "--detach", "--no-build")
        eventually(lambda: self.health("router") == "healthy", "router healthy", HEALTHY_SECONDS)
        if measured:
            return  # not the first start
        measured.append(f"from `up` to a healthy router: {time.monotonic() - begin:.1f} s")
        size = int(docker("image", "inspect", "--format", "{{.Size}}", self.image))
        measured.append(f"size of the image: {size / 1e6:.0f} MB")

    # --- clients outside --------------------------------------------------------------------

    @cached_property
    def authority(self) -> str:
        """The certificate of the cluster's authority, as its page says how to get it."""
        return self.command(
            "exec", "-T", "router", "cat", "/var/lib/ringstore-certificates/client/ca.pem"
        )

    def client(self) -> Client:
        return Client(
            self.address, credentials=grpc.ssl_channel_credentials(self.authority.encode())
        )

    def lines(self) -> Lines:
        return Lines(self.line_port, ssl.create_default_context(cadata=self.authority))

    def remove(self) -> None:
        """Everything of this project, whatever state a test has left it in."""
        self.dismiss_helper()
        self.command("down", "--volumes", "--timeout", "10")

    def dismiss_helper(self) -> None:
        if self._helper:
            docker("rm", "--force", self._helper)
            self._helper = None

    # --- what the engine says ---------------------------------------------------------------

    def labelled(self, *command: str) -> list[str]:
        """The ids that such a listing has for this project."""
        return docker(
            *command, "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split()

    def container(self, service: str) -> str:
        (found,) = self.labelled(
            "ps", "--all", "--filter", f"label=com.docker.compose.service={service}"
        )
        return found

    def inspect(self, service: str) -> dict:
        return json.loads(docker("inspect", self.container(service)))[0]

    def health(self, service: str) -> str:
        return self.inspect(service)["State"]["Health"]["Status"]

    def pid(self, service: str) -> int:
        return self.inspect(service)["State"]["Pid"]

    def network(self, service: str = "shard-a", suffix: str = "_inner") -> str:
        names = self.inspect(service)["NetworkSettings"]["Networks"]
        return next(name for name in names if name.endswith(suffix))

    def inner_address(self, service: str) -> str:
        """Empty while the container doesn't run."""
        state = self.inspect(service)
        return state["NetworkSettings"]["Networks"][self.network(service)]["IPAddress"]

    def events(self) -> list[tuple[str, str]]:
        """(service, event) in the order in which they came, since this project began."""
        lines = docker(
            "events", "--since", self.begin, "--until", str(time.time()), "--format", "{{json .}}",
            "--filter", "type=container",
            "--filter", f"label=com.docker.compose.project={self.project}",
        )
        found = (json.loads(line) for line in lines.splitlines())
        return [
            (event["Actor"]["Attributes"]["com.docker.compose.service"], event["Action"])
            for event in found
        ]

    # --- faults -------------------------------------------------------------------------------

    def kill(self, service: str) -> None:
        """SIGKILL to the process itself: `docker kill` would switch the restart policy off. Done
        by a container that sees this machine's processes, so that no other right is needed."""
        script = f"kill -KILL {self.pid(service)}"
        docker(
            "run", "--rm", "--pid", "host", "--user", "0", "--network", "none", "--no-healthcheck",
            "--entrypoint", "sh", self.image, "-c", script,
        )

    def restarts(self, service: str) -> int:
        return self.inspect(service)["RestartCount"]

    def kill_and_wait(self, service: str) -> None:
        """Kills the process and waits until the engine has noticed that it is gone."""
        before = self.inspect(service)["State"]["Pid"]
        self.kill(service)
        eventually(lambda: self.pid(service) != before, f"{service} gone")

    def move(self, service: str) -> tuple[str, str]:
        """Kills the service's process and takes its address away while it is down: it comes back
        with another one. Returns the old and the new address.

        The engine waits longer before each further restart (it doubles from 100 ms), so the
        address is won within a few attempts.
        """
        network = self.network(service)
        if self._helper is None:
            self._helper = docker(
                "run", "--detach", "--no-healthcheck", "--network",
                self.network("router", "_default"), "--entrypoint", "sleep", self.image, "600",
            )
        old = self.inner_address(service)
        for _ in range(ADDRESS_ATTEMPTS):
            self.kill_and_wait(service)
            docker("network", "connect", network, self._helper)
            new = eventually(lambda: self.inner_address(service), f"{service} back", 30.0)
            if new != old:
                return old, new
            docker("network", "disconnect", network, self._helper)
        raise AssertionError(f"{service} has kept {old} over {ADDRESS_ATTEMPTS} restarts")
