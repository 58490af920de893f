"""`ringstore cli` with commands on stdin, and --json for scripts."""

import base64
import json
import subprocess

import pytest
from harness.polling import eventually
from harness.process import binary, clean_environment, run
from test_scan import fill


@pytest.fixture
def pipe(served, client):
    """pipe(b"SET k v\\nGET k\\n") gives status, stdout and stderr, all bytes."""

    def feed(lines: bytes, *options: str):
        return subprocess.run(
            [binary(), "cli", "--server", served.address, *options],
            input=lines,
            capture_output=True,
            env=clean_environment(),
            timeout=120,
            check=False,
        )

    return feed


@pytest.fixture
def as_json(served, client):
    """as_json("GET", "k") gives the reply, and the exit status must be `status`."""

    def command(*words: str, status: int = 0):
        ended = run("cli", "--server", served.address, "--json", *words)
        assert ended.returncode == status, ended
        assert ended.stderr == ""
        assert ended.stdout.count("\n") == 1
        return json.loads(ended.stdout)

    return command


def test_each_line_is_a_command(pipe):
    ended = pipe(b"SET k v\nGET k\n\n  incrby n 2  \r\nRPUSH l 'a b' c\nLRANGE l 0 -1")
    assert ended.returncode == 0
    assert ended.stdout.decode() == 'OK\n"v"\n(integer) 2\n(integer) 2\n1) "a b"\n2) "c"\n'
    assert ended.stderr == b""


def test_errors_tell_their_line_and_the_rest_is_done(pipe):
    ended = pipe(b"SET k v\nLPOP k\nFROB\n\nGET \"\nGET k\n")
    assert ended.returncode == 1
    assert ended.stdout.decode() == 'OK\n"v"\n'
    told = ended.stderr.decode().splitlines()
    assert [line[:8] for line in told] == ["line 2: ", "line 3: ", "line 5: "]
    assert "WRONG_TYPE" in told[0] and "FROB" in told[1] and "quote" in told[2]


def test_a_server_that_is_not_there_is_said_for_each_line():
    ended = subprocess.run(
        [binary(), "cli", "--server", "127.0.0.1:1"],
        input=b"GET a\nGET b\n",
        capture_output=True,
        env=clean_environment(),
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    told = ended.stderr.decode().splitlines()
    assert [line.partition(": ")[0] for line in told] == ["line 1", "line 2"]
    assert all("127.0.0.1:1" in line for line in told)


def test_bytes_of_any_kind_go_both_ways(pipe, client):
    raw = bytes(number for number in range(256) if number not in b"\n\"\\")
    ended = pipe(b'SET "\\x00\\xff" "' + raw + b'"\n')
    assert ended.returncode == 0, ended
    assert client.get(b"\x00\xff").value == raw
    printed = pipe(b'GET "\\x00\\xff"\n').stdout
    assert pipe(b"SET copy " + printed).returncode == 0
    assert client.get(b"copy").value == raw
    assert pipe(b"GET copy\n", "--raw").stdout == raw + b"\n"


def test_a_selected_database_is_kept_to_the_end(pipe, client):
    ended = pipe(b"SELECT 3\nSET k three\nSELECT 0\nGET k\nSELECT x\nquit\nSET k late\n")
    assert ended.returncode == 1
    assert ended.stdout.decode() == "OK\nOK\nOK\n(nil)\n"
    assert ended.stderr.decode().startswith("line 5: ")
    assert client.get(b"k", database=3).value == b"three"
    assert not client.get(b"k").found


def test_a_thousand_commands_are_a_thousand_replies(pipe):
    ended = pipe(b"".join(b"INCRBY n 1\n" for _ in range(1_000)))
    assert ended.stdout.decode().splitlines() == [f"(integer) {n}" for n in range(1, 1_001)]


def test_neither_prompt_nor_bar_is_shown_to_a_pipe(pipe, client):
    fill(client, [b"%d" % number for number in range(10_000)])
    ended = pipe(b"SCAN --count 100\n")
    assert len(ended.stdout.splitlines()) == 10_000
    assert ended.stderr == b""


def test_replies_are_json(as_json):
    assert as_json("SET", "k", 'a "b"\n\té') == "OK"
    assert as_json("GET", "k") == 'a "b"\n\té'
    assert as_json("GET", "nothing") is None
    assert as_json("INCRBY", "n", "-9223372036854775808") == -(2**63)
    assert as_json("RPUSH", "l", "a", "b") == 2
    assert as_json("LRANGE", "l", "0", "-1") == ["a", "b"]
    assert as_json("MGET", "k", "nothing") == ['a "b"\n\té', None]
    assert as_json("TYPE", "l") == "list"
    assert as_json("LRANGESTREAM", "l", "0", "-1") == {"values": ["a", "b"]}
    assert as_json("KEYS", "*") == {"keys": ["k", "l", "n"]}
    assert sorted(as_json("SCAN")["keys"]) == ["k", "l", "n"]
    assert as_json("SCAN", "nothing") == {"keys": []}
    assert as_json("STATS")["ringstore_keys"] == 3


def test_json_keeps_bytes_that_are_no_text(as_json, client):
    client.set(b"k", b"\xff\x00\x01")
    encoded = base64.b64encode(b"\xff\x00\x01").decode()
    assert as_json("GET", "k") == {"base64": encoded}


def test_errors_are_json_with_their_reason(as_json):
    as_json("SET", "k", "v")
    error = as_json("LPOP", "k", status=1)["error"]
    assert error["code"] == "FAILED_PRECONDITION"
    assert error["reason"] == "WRONG_TYPE"
    assert as_json("FROB", status=1)["error"]["reason"] == "USAGE"
    items = as_json("MLRANGE", "k", "0", "1", "none", "0", "1", status=1)
    assert items[0]["error"]["reason"] == "WRONG_TYPE" and items[1] == []


def test_a_server_that_is_not_there_is_json_too():
    ended = run("cli", "--server", "127.0.0.1:1", "--json", "GET", "k")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["code"] == "UNAVAILABLE"


def test_pages_of_keys_are_gone_through_with_json(as_json):
    for number in range(5):
        as_json("SET", f"k{number}", "v")
    seen, token = [], []
    for _ in range(10):
        page = as_json("KEYS", "*", "--limit", "2", *token)
        seen += page["keys"]
        if "token" not in page:
            break
        token = ["--token", page["token"]]
    assert sorted(seen) == [f"k{number}" for number in range(5)]


def test_each_line_of_a_pipe_prints_one_json_value(pipe):
    ended = pipe(b"SET k v\nFROB\nSCAN\nGET k\n", "--json")
    assert ended.returncode == 1
    replies = [json.loads(line) for line in ended.stdout.splitlines()]
    assert replies[0] == "OK" and replies[3] == "v"
    assert replies[1]["error"]["reason"] == "USAGE"
    assert replies[2] == {"keys": ["k"]}
    assert ended.stderr == b""


def test_the_cluster_is_shown_as_a_table_and_as_json(served, as_json, client):
    client.set(b"k", b"v")
    told = as_json("cluster")
    shards = [node for node in told["nodes"] if node["role"] == "shard"]
    assert sum(shard["keys"] for shard in shards) == 1
    assert all(int(shard["incarnation"]) > 0 for shard in shards)
    lines = run("cli", "--server", served.address, "cluster").stdout.splitlines()
    header = lines[1].split()
    rows = {line.split()[0]: line for line in lines[2:]}
    assert {node["id"] for node in told["nodes"]} <= set(rows)
    assert {"NODE", "STATE", "SLOTS", "KEYS", "MEMORY", "BYTES"} <= set(header)
    if len(shards) > 1:
        assert "16384  100.0%  1 " in rows["all"]


def test_nothing_is_made_up_of_a_node_that_does_not_reply(cluster):
    cluster.shards["b"].stop()

    def told() -> dict:
        ended = run("cli", "--server", cluster.address, "--json", "cluster")
        return {node["id"]: node for node in json.loads(ended.stdout)["nodes"]}

    eventually(lambda: told()["b"]["state"] == "unreachable", "b is missed")
    assert [told()["b"][name] for name in ("keys", "memory_bytes", "uptime_ms")] == [None] * 3
    assert told()["a"]["keys"] == 0
    table = run("cli", "--server", cluster.address, "cluster").stdout.splitlines()
    head, row = (line for line in table if line.startswith(("NODE ", "b ")))
    shown = dict(zip(head.split(), row.split(), strict=True))
    assert [shown[name] for name in ("UPTIME", "KEYS", "MEMORY", "BYTES")] == ["-"] * 4
