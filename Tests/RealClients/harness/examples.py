"""Running the programs of docs/examples, and building those in Go.

They get the environment of a user who has set nothing for Ringstore, except what a test passes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.pages import blocks
from harness.process import RUN_SECONDS, clean_environment

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "examples"
LANGUAGES = ("python", "go")

# What the programs print when all is well.
PRINTED = {
    "python": {
        "first_steps": "b'hello'\nFalse\nFalse\nWRONG_TYPE\nb'hello'\n",
        "compare_and_swap": "['ada', 'grace']\n",
        "scan": "2500\n",
        "pipeline": "10000 []\n",
        "work_queue": "True\n",
        "lock": "True True\nTrue\n",
        "rate_limiter": "[True, True, True, False, False]\n",
    },
    "go": {
        "first_steps": "false\nfalse\nWRONG_TYPE\nhello\n",
        "compare_and_swap": "ada grace\n",
        "scan": "2500\n",
        "pipeline": "10000 0\n",
        "work_queue": "20\n",
        "lock": "true false\ntrue\n",
        "rate_limiter": "true\ntrue\ntrue\nfalse\nfalse\n",
    },
}

# Where Debian keeps the packages that Go programs are built with, and what ours are built with.
GO_PACKAGES = Path("/usr/share/gocode")
GO_PLUGIN = Path("/usr/bin/protoc-gen-go")
GO_BUILD_SECONDS = 280.0
GO_PAGE = ROOT / "docs" / "GO.md"
# Where the page builds them.
GO_FOLDER = ".build-try/go"

# A program that writes and reads a value as long as LENGTH says. No example has a large one.
LARGE_VALUE = {
    "python": """
import os
from ringstore.v1 import keystore_pb2 as pb
from store import connect

store = connect()
store.Set(pb.KeyValue(key=b"large", value=b"x" * int(os.environ["LENGTH"])), timeout=30)
print(len(store.Get(pb.Key(key=b"large"), timeout=30).value))
""",
    "go": """
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

func main() {
	client := store.Connect()
	length, err := strconv.Atoi(os.Getenv("LENGTH"))
	store.Must(err)
	_, err = client.Set(store.Within(30*time.Second),
		&pb.KeyValue{Key: []byte("large"), Value: make([]byte, length)})
	store.Must(err)
	reply, err := client.Get(store.Within(30*time.Second), &pb.Key{Key: []byte("large")})
	store.Must(err)
	fmt.Println(len(reply.Value))
}
""",
}


def python_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Finds the stubs and the packages of this process."""
    path = os.pathsep.join([str(FOLDER / "python"), *sys.path])
    return clean_environment({"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})})


def start(command: list[str], **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        command, env=python_environment(variables), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


def ended(command: list[str], **variables: str) -> subprocess.CompletedProcess:
    """Runs a program to its end, whatever that is."""
    return subprocess.run(
        command, env=python_environment(variables), capture_output=True, text=True,
        timeout=RUN_SECONDS, check=False)


def printed(command: list[str], seconds: float = RUN_SECONDS, **more) -> str:
    """What a program prints that succeeds."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def go_page() -> tuple[str, str, str]:
    """What GO.md has readers copy: the lines that build the programs, the line that runs one of
    them, and what that prints."""
    (block,) = [found for found in blocks(GO_PAGE) if found.expected is not None]
    building, _, running = block.commands.rpartition("\n")
    return building, running, block.expected + "\n"


def build_go(folder: Path) -> Path | None:
    """The folder of the programs, built with Debian's packages by the lines of GO.md; None where
    those packages are missing."""
    needed = [GO_PACKAGES / "src" / "google.golang.org" / "grpc", GO_PLUGIN]
    if not (shutil.which("go") and shutil.which("protoc") and all(p.exists() for p in needed)):
        return None
    large = folder / "src" / "ringstore" / "examples" / "large_value" / "main.go"
    large.parent.mkdir(parents=True)
    large.write_text(LARGE_VALUE["go"])
    lines, _, _ = go_page()
    printed(
        ["bash", "-euc", lines.replace(GO_FOLDER, str(folder))], seconds=GO_BUILD_SECONDS, cwd=ROOT,
        env=clean_environment({"GOFLAGS": "", "GOCACHE": str(folder / "cache")}))
    return folder / "bin"
