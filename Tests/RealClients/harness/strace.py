"""Failing system calls of a running process, by strace."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.polling import eventually


@contextmanager
def failing_calls(pid: int, call: str, error: str, folder: Path) -> Iterator[None]:
    """In the block every such call of the process fails. Skips the test where that can't be had.

    What strace prints goes into a file of `folder`.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is missing")
    told = folder / "strace"
    with told.open("w") as output:
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), "-e", f"trace={call}",
             "-e", f"inject={call}:error={error}"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )

    def is_attached() -> bool:
        if tracer.poll() is not None:
            pytest.skip(f"strace can't trace a process here: {told.read_text().strip()}")
        return " attached" in told.read_text()

    try:
        eventually(is_attached, "strace traces the process")
        yield
    finally:
        tracer.terminate()
        tracer.wait()
