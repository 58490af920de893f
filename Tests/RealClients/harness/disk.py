"""A file system of a test's own, in memory: of a bounded size, and it may become read-only."""

import subprocess
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
