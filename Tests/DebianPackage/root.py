"""A Debian in a folder, in which packages are installed and nodes run.

Started by deploy/debian/test, which says in RINGSTORE_TEST_ROOT where the folder is and in
RINGSTORE_TEST_PACKAGES where the packages are. Each command has processes and a network of its own:
the services' fixed ports meet no others, and nothing outlives its command.
"""

import os
import subprocess
from pathlib import Path

COMMAND_SECONDS = 100.0
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}

# Runs a command in the folder $0. `ip` is this machine's: the other Debian is a minimal one.
_ENTER = """
ip link set lo up
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/run"
exec chroot "$0" "$@"
"""


def built_packages() -> list[Path]:
    """The packages under test, the older one first."""
    return sorted(Path(os.environ["RINGSTORE_TEST_PACKAGES"]).glob("ringstore_*.deb"))


class Root:
    def __init__(self, folder: Path):
        self.folder = folder
        self.packages = built_packages()

    def entering(self, *command: str) -> list[str]:
        """The words that run a command in there."""
        return [
            *("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"),
            *("--propagation", "private", "sh", "-euc", _ENTER, str(self.folder), *command),
        ]

    def ended(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.entering(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def run(self, *command: str) -> str:
        """What the command printed; AssertionError with all of it if it failed."""
        ended = self.ended(*command)
        assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}"
        return ended.stdout

    def path(self, absolute: str) -> Path:
        return self.folder / absolute.lstrip("/")

    def status(self, path: str) -> str:
        """Owner, group and mode."""
        return self.run("stat", "--format", "%U:%G %a", path).strip()

    def install(self, package: Path) -> str:
        place = self.path("/tmp") / package.name
        place.write_bytes(package.read_bytes())
        try:
            return self.run("dpkg", "--install", f"/tmp/{package.name}")
        finally:
            place.unlink()
