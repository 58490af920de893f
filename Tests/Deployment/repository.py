"""Where things are, and running a command."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 60.0


def run(*command: object, folder: Path = ROOT, environment: dict | None = None) -> str:
    """What the command printed; AssertionError with all of it if it failed."""
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}"
    return ended.stdout
