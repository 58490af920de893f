"""The examples of docs/examples do what they show."""

import json
import re
import sys

import pytest
from harness.certificates import Certificates
from harness.cluster import start_local, start_shard
from harness.examples import (
    FOLDER,
    GO_FOLDER,
    LANGUAGES,
    LARGE_VALUE,
    PRINTED,
    ROOT,
    ended,
    go_page,
    printed,
    python_environment,
)
from harness.process import run

PYTHON, GO = PRINTED["python"], PRINTED["go"]


def output(command: list[str], **variables: str) -> str:
    return printed(command, env=python_environment(variables))


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


def test_an_example_in_python_says_what_it_needs(example):
    command = example("python", "first_steps")
    done = ended(command)
    assert (done.returncode, done.stderr) == (1, f"usage: {command[-1]} HOST:PORT\n")


@pytest.mark.parametrize("name", PYTHON)
def test_an_example_in_python_prints_what_it_should(served, client, example, name):
    assert output([*example("python", name), served.address]) == PYTHON[name]


@pytest.mark.parametrize("name", GO)
def test_an_example_in_go_prints_what_it_should(served, client, example, name):
    assert output([*example("go", name), served.address]) == GO[name]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rate_limiter_that_is_run_again_begins_again(served, client, example, language):
    command = [*example(language, "rate_limiter"), served.address]
    runs = [output(command), output(command)]
    assert runs == [PRINTED[language]["rate_limiter"]] * 2


def test_the_page_about_go_runs_an_example_and_says_what_it_prints(served, client, go_programs):
    _, line, expected = go_page()
    assert "127.0.0.1:50051" in line
    placed = line.replace(GO_FOLDER, str(go_programs.parent))
    placed = placed.replace("127.0.0.1:50051", served.address)
    assert output(["bash", "-euc", placed]) == expected


def test_the_examples_in_go_are_formatted(go_programs):
    assert printed(["gofmt", "-l", str(FOLDER / "go")]) == ""


# TLS, users, sizes


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A node with TLS and a user, and the variables with which the user's programs reach it."""
    made = json.loads(run("admin", "token", "app", "--json").stdout)
    users = tmp_path_factory.mktemp("users") / "users.conf"
    may = ["may read write", "keys all", "databases all"]
    users.write_text("\n".join(["user app", *may, made["users_file_line"], ""]))
    with Certificates() as certificates:
        flags = [*certificates.server("router"), "--users", str(users)]
        node = start_local(2, *flags)
        variables = {
            "RINGSTORE_CLIENT_TLS_CA": certificates.authority, "RINGSTORE_TOKEN": made["token"],
        }
        yield node, variables
        node.stop()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["first_steps", "scan", "pipeline"])
def test_an_example_reaches_a_cluster_with_tls_and_users(guarded, example, language, name):
    node, variables = guarded
    command = [*example(language, name), node.address]
    assert output(command, **variables) == PRINTED[language][name]
    for missing in variables:
        done = ended(command, **{k: v for k, v in variables.items() if k != missing})
        assert done.returncode != 0 and done.stdout == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_takes_values_as_long_as_its_cluster_does(example, language, tmp_path):
    limit = str(8 << 20)
    program = tmp_path / "large_value.py"
    program.write_text(LARGE_VALUE["python"])
    command = {"python": [sys.executable, str(program)]}.get(language) or example(
        language, "large_value")
    length = str(5 << 20)
    shard = start_shard("a", "--max-message-bytes", limit)
    try:
        # By default it takes what nodes take by default.
        assert output([*command, shard.address], LENGTH=str(3 << 20)) == f"{3 << 20}\n"
        assert ended([*command, shard.address], LENGTH=length).returncode != 0
        told = {"LENGTH": length, "RINGSTORE_MAX_MESSAGE_BYTES": limit}
        assert output([*command, shard.address], **told) == f"{length}\n"
    finally:
        shard.stop()
