"""File systems of a test's own: one of a bounded size, and one that can be frozen."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A tmpfs while the `with` block runs. Skips the test where nothing may be mounted."""

    def __init__(self, path: Path, size: int):
        self.path = path
        self._size = size

    def __enter__(self) -> "Disk":
        self.path.mkdir(parents=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.path)],
            capture_output=True, text=True, check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return self

    def remount(self, mode: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)

    def __exit__(self, *_: object) -> None:
        # Lazily: where a test has failed, a shard may still have files open.
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


class FreezableDisk:
    """An ext4 in a file, mounted while the `with` block runs. Skips the test where that can't be.

    While it is frozen, as for a snapshot of a machine, every write to it waits in the kernel, and
    a process that makes one can't even be killed: so it is thawed whatever happens.
    """

    PROGRAMS = ("mkfs.ext4", "mount", "umount", "fsfreeze")

    def __init__(self, folder: Path, size: int):
        self.path = folder / "disk"
        self._image = folder / "image"
        self._size = size

    def __enter__(self) -> "FreezableDisk":
        if os.geteuid() != 0:
            pytest.skip("only root mounts a file system")
        for program in self.PROGRAMS:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is missing")
        self.path.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(self._size)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)
        done = subprocess.run(
            ["mount", "-t", "ext4", "-o", "loop", str(self._image), str(self.path)],
            capture_output=True, text=True, check=False,
        )
        if done.returncode != 0:
            self._image.unlink()
            pytest.skip(f"no loop device can be mounted here: {done.stderr.strip()}")
        return self

    @contextmanager
    def frozen(self) -> Iterator[None]:
        # The guard thaws it at the end of its input: at the end of the block, and also where this
        # process is killed before. Its working directory must not be on the disk.
        guard = subprocess.Popen(
            ["sh", "-c", 'read -r _; exec fsfreeze --unfreeze "$0"', str(self.path)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        try:
            done = subprocess.run(
                ["fsfreeze", "--freeze", str(self.path)],
                capture_output=True, text=True, check=False,
            )
            if done.returncode != 0:
                pytest.skip(f"no file system can be frozen here: {done.stderr.strip()}")
            yield
        finally:
            _, complaint = guard.communicate()
        assert guard.returncode == 0, f"the file system can't be thawed: {complaint}"

    def __exit__(self, *_: object) -> None:
        # Lazily, as above; the loop device goes with the last open file.
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self._image.unlink()
