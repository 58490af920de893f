"""A Debian in a folder that is booted: systemd is its first process, with processes, a network and
a control group of its own. It sees no device and no file of this machine.

deploy/debian/test says in RINGSTORE_TEST_MACHINE where the folder is and in RINGSTORE_TEST_CGROUP
which control group it gets, and removes both.
"""

import os
import signal
import subprocess
from pathlib import Path

from harness.polling import eventually
from root import ENVIRONMENT, Root

BOOT_SECONDS = 60.0
END_SECONDS = 60.0

# Of a small Debian without D-Bus. Timers would run apt between the tests.
MASKED = [
    "timers.target", "systemd-logind.service", "e2scrub_reap.service", "console-getty.service",
]

# Joins the control group $0, and runs the rest in new namespaces. If this process ends, all of them
# end; and this process ends with the tests.
_SEPARATE = """
echo $$ >"$0/cgroup.procs"
exec setpriv --pdeathsig KILL unshare --cgroup --mount --propagation private --pid --net --uts \
  --ipc --fork --kill-child "$@"
"""

# Makes the folder $0 the root, and becomes its systemd. At the end the file $1 gets the process's
# id, which is read while /proc is still that of this machine. What concerns the whole kernel is
# read-only, its settings and its clock. Mounts are shared, as systemd makes them where it isn't in
# a container: it hands credentials to services in that way.
_BOOT = """
read -r pid rest </proc/self/stat
exec 3>"$1"
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p .before
pivot_root . .before
cd /
umount --lazy /.before
rmdir /.before
mount --make-rshared /
echo "$pid" >&3
exec 3>&-
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  setpriv --bounding-set -sys_time,-sys_module,-sys_rawio /lib/systemd/systemd
"""


class Machine(Root):
    """`boot` it first. Commands run in it as they would in a shell of root."""

    def __init__(self, folder: Path, cgroup: Path):
        super().__init__(folder)
        self._cgroup = cgroup
        self._log = folder.parent / "machine.log"
        self._place = folder.parent / "machine.pid"
        self._process: subprocess.Popen | None = None
        self._init = 0
        for unit in MASKED:
            link = self.path("/etc/systemd/system") / unit
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        # The journal then stays when the machine is powered off.
        self.path("/var/log/journal").mkdir(exist_ok=True)

    def entering(self, *command: str) -> list[str]:
        return [
            *("nsenter", "--target", str(self._init), "--mount", "--pid", "--net", "--uts"),
            *("--ipc", *command),
        ]

    def started(self, *command: str) -> subprocess.Popen:
        """A command that continues; who calls this waits for its end."""
        return subprocess.Popen(
            self.entering(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
        )

    # Booting and ending

    def boot(self) -> None:
        self._place.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("sh", "-euc", _SEPARATE, str(self._cgroup)),
                    *("sh", "-euc", _BOOT, str(self.folder), str(self._place)),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT,
            )
        eventually(self._is_up, "the machine is up", BOOT_SECONDS)

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the machine ended:\n{self._log.read_text()}")
        assert self._place.exists() and self._place.read_text().endswith("\n")
        self._init = int(self._place.read_text())
        said = self.ended("systemctl", "is-system-running").stdout.strip()
        assert said in ("running", "degraded"), said
        return True

    def power_off(self) -> None:
        """In order, as an administrator does it."""
        self.ended("systemctl", "poweroff")
        self._process.wait(END_SECONDS)

    def stop(self) -> None:
        """At once, whatever state it is in."""
        if self._process is None:
            return
        if self._process.poll() is None and self._init:
            # With the first process all others end, and only then does ours.
            os.kill(self._init, signal.SIGKILL)
        elif self._process.poll() is None:
            self._process.kill()
        self._process.wait(END_SECONDS)

    # Its services

    def unit(self, name: str) -> dict[str, str]:
        """systemd's properties of a unit."""
        lines = self.run("systemctl", "show", name).splitlines()
        return dict(line.partition("=")[::2] for line in lines if "=" in line)

    def pid(self, name: str) -> int:
        return int(self.unit(name)["MainPID"])

    def journal(self, name: str) -> str:
        """All messages of a unit and about it, of earlier boots too."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--unit", name, "--output", "cat", "--quiet")
