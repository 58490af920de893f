"""The examples of docs/examples do what they show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness.process import RUN_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples"
PROTO = "ringstore/v1/keystore.proto"

PYTHON = {
    "first_steps": "b'hello'\nFalse\nFalse\nWRONG_TYPE\nb'hello'\n",
    "compare_and_swap": "['ada', 'grace']\n",
    "scan": "2500\n",
    "pipeline": "10000 []\n",
    "work_queue": "True\n",
    "lock": "True True\nTrue\n",
    "rate_limiter": "[True, True, True, False, False]\n",
}
GO = {
    "first_steps": "false\nfalse\nWRONG_TYPE\nhello\n",
    "compare_and_swap": "ada grace\n",
    "scan": "2500\n",
    "pipeline": "10000 0\n",
    "work_queue": "20\n",
    "lock": "true false\ntrue\n",
    "rate_limiter": "true\ntrue\ntrue\nfalse\nfalse\n",
}
# Where Debian keeps the packages that Go programs are built with, and what ours are built with.
GO_PACKAGES = Path("/usr/share/gocode")
GO_PLUGIN = Path("/usr/bin/protoc-gen-go")
GO_BUILD_SECONDS = 280.0


def run(*command: str, seconds: float = RUN_SECONDS, **more) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run():
    assert {path.stem for path in FOLDER.glob("python/*.py")} == {*PYTHON, "store"}
    assert {path.parent.name for path in FOLDER.glob("go/*/*.go")} == {*GO, "store"}


def test_no_example_pings_more_often_than_a_node_allows():
    """By default a node closes connections that ping more than once in min_ping_seconds."""
    page = (ROOT / "docs" / "OPERATIONS.md").read_text()
    (allowed,) = re.findall(r"^\| `min_ping_seconds` \|.*\| all \| (\d+) \|", page, re.MULTILINE)
    python = (FOLDER / "python" / "store.py").read_text()
    go = (FOLDER / "go" / "store" / "store.go").read_text()
    (millis,) = re.findall(r'"grpc.keepalive_time_ms", ([\d_]+)', python)
    (seconds,) = re.findall(r"\bTime: (\d+) \* time.Second", go)
    assert int(millis) > int(allowed) * 1000
    assert int(seconds) > int(allowed)


def test_an_example_in_python_says_what_it_needs():
    done = subprocess.run(
        [sys.executable, "first_steps.py"], cwd=FOLDER / "python", capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=RUN_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (1, "usage: first_steps.py HOST:PORT\n")


@pytest.mark.parametrize("name", PYTHON)
def test_an_example_in_python_prints_what_it_should(served, client, name):
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    printed = run(
        sys.executable, f"{name}.py", served.address, cwd=FOLDER / "python", env=environment)
    assert printed == PYTHON[name]


@pytest.fixture(scope="session")
def go_programs(tmp_path_factory) -> Path:
    """The examples in Go, built with Debian's packages."""
    needed = [GO_PACKAGES / "src" / "google.golang.org" / "grpc", GO_PLUGIN]
    if not (shutil.which("go") and shutil.which("protoc") and all(p.exists() for p in needed)):
        pytest.skip("Go, protoc or their packages are missing")
    folder = tmp_path_factory.mktemp("go")
    source = folder / "src" / "ringstore"
    shutil.copytree(FOLDER / "go", source / "examples")
    # Debian's plugin is older than `optional`; on the wire it makes no difference.
    proto = folder / "protos" / PROTO
    proto.parent.mkdir(parents=True)
    text = (ROOT / "Sources" / "RingstoreAPI" / "Protos" / PROTO).read_text()
    proto.write_text(re.sub(r"^(\s*)optional ", r"\1", text, flags=re.MULTILINE))
    run(
        "protoc", "-I", str(folder / "protos"), f"--plugin=protoc-gen-go={GO_PLUGIN}",
        f"--go_out=plugins=grpc,M{PROTO}=ringstore/v1:{folder / 'src'}", PROTO)
    environment = os.environ | {
        "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": f"{folder}:{GO_PACKAGES}",
        "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0",
    }
    (folder / "bin").mkdir()
    packages = [f"ringstore/examples/{name}" for name in GO]
    run(
        "go", "build", "-o", f"{folder / 'bin'}/", *packages, seconds=GO_BUILD_SECONDS,
        cwd=folder, env=environment)
    assert run("gofmt", "-l", str(FOLDER / "go")) == ""
    return folder / "bin"


@pytest.mark.parametrize("name", GO)
def test_an_example_in_go_prints_what_it_should(go_programs, served, client, name):
    assert run(str(go_programs / name), served.address) == GO[name]
