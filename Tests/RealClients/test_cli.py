"""`ringstore cli` against every shape of server, printing as redis-cli does."""

import os
import subprocess

import pytest
from harness.cluster import start_shard
from harness.process import RUN_SECONDS, binary, clean_environment, run
from test_scan import fill

UNUSED_ADDRESS = "127.0.0.1:1"


@pytest.fixture
def cli(served, client):
    """cli("SET", "k", "v") gives what was printed; the exit status must be `status`."""

    def command(*words: str, status: int = 0) -> str:
        ended = run("cli", "--server", served.address, *words)
        assert ended.returncode == status, ended
        return ended.stdout if status == 0 else ended.stdout + ended.stderr

    return command


def test_strings(cli):
    assert cli("SET", "k", "v") == "OK\n"
    assert cli("GET", "k") == '"v"\n'
    assert cli("GET", "missing") == "(nil)\n"
    assert cli("SET", "empty", "") == "OK\n"
    assert cli("GET", "empty") == '""\n'
    assert cli("EXISTS", "k") == "(integer) 1\n"
    assert cli("DEL", "k") == "(integer) 1\n"
    assert cli("DEL", "k") == "(integer) 0\n"
    assert cli("INCRBY", "n", "5") == "(integer) 5\n"
    assert cli("INCRBY", "n", "-7") == "(integer) -2\n"


def test_lists(cli):
    assert cli("RPUSH", "l", "a", "b") == "(integer) 2\n"
    assert cli("LPUSH", "l", "z") == "(integer) 3\n"
    assert cli("LRANGE", "l", "0", "-1") == '1) "z"\n2) "a"\n3) "b"\n'
    assert cli("LLEN", "l") == "(integer) 3\n"
    assert cli("TYPE", "l") == "list\n"
    assert cli("LPOP", "l") == '"z"\n'
    assert cli("RPOP", "l") == '"b"\n'
    assert cli("LRANGE", "missing", "0", "-1") == "(empty array)\n"


def test_many_keys(cli):
    assert cli("MSET", "a", "1", "b", "2") == "OK\n"
    assert cli("MGET", "a", "missing", "b") == '1) "1"\n2) (nil)\n3) "2"\n'
    listed = cli("KEYS", "*").splitlines()
    assert [line[:3] for line in listed] == ["1) ", "2) "]
    assert sorted(line[3:] for line in listed) == ['"a"', '"b"']
    assert cli("DBSIZE") == "(integer) 2\n"


def test_commands_in_small_letters_are_the_same(cli):
    assert cli("set", "k", "v") == "OK\n"
    assert cli("get", "k") == '"v"\n'


def test_bytes_that_are_no_text_are_escaped(cli, client):
    client.set(b"k", b'\x00\xff"\\\n')
    assert cli("GET", "k") == '"\\x00\\xff\\"\\\\\\n"\n'


def test_an_error_of_the_server_is_shown_with_status_1(cli):
    cli("RPUSH", "l", "a")
    assert cli("GET", "l", status=1).startswith("(error) ")


def test_what_the_cli_does_not_know_is_said_with_status_1(cli):
    assert "NOSUCH" in cli("NOSUCH", "x", status=1)
    assert cli("GET", status=1)
    assert cli("INCRBY", "k", "many", status=1)


def test_a_server_that_is_not_there_is_said_with_status_1():
    ended = run("cli", "--server", UNUSED_ADDRESS, "GET", "k")
    assert ended.returncode == 1
    assert UNUSED_ADDRESS in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("plan",), ("hotkeys",), ("bigkeys",), ("snapshot",), ("digest",), ("backup", "new"),
        ("accept-loss", "a", "--yes"), ("top",), ("clients",), ("kill", "1"), ("loglevel",),
        ("slowlog",), ("config",), ("drain",),
    ],
)
def test_a_server_that_is_not_there_is_named_by_admin(words, tmp_path):
    folder = [str(tmp_path / word) if word == "new" else word for word in words]
    ended = run("admin", *folder, "--server", "127.0.0.1:1", "--timeout", "5")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "127.0.0.1:1 can't be reached: " in ended.stderr, ended.stderr


def test_ranges_of_many_lists(cli):
    cli("RPUSH", "l", "a", "b")
    cli("RPUSH", "m", "c")
    printed = cli("MLRANGE", "l", "0", "-1", "missing", "0", "-1", "m", "0", "0")
    assert [word for word in ('"a"', '"b"', '"c"') if word in printed] == ['"a"', '"b"', '"c"']
    assert "(empty array)" in printed
    assert cli("MLRANGE", "l", "0", status=1)


def test_lists_in_chunks(cli, client):
    for begin in range(0, 30_000, 10_000):
        client.rpush(b"l", *(b"%d" % number for number in range(begin, begin + 10_000)))
    printed = cli("LRANGESTREAM", "l", "0", "-1").splitlines()
    assert [line.rpartition('"')[0].rpartition('"')[2] for line in printed] == [
        f"{number}" for number in range(30_000)
    ]
    assert cli("LRANGESTREAM", "missing", "0", "-1") == "(empty array)\n"


def names(printed: str) -> list[str]:
    return sorted(line.rpartition('"')[0].rpartition('"')[2] for line in printed.splitlines())


def test_scans(cli):
    cli("MSET", "user:1", "a", "user:2", "b", "other", "c")
    cli("RPUSH", "user:list", "a")
    assert names(cli("SCAN")) == ["other", "user:1", "user:2", "user:list"]
    assert names(cli("SCAN", "user:?")) == ["user:1", "user:2"]
    assert names(cli("SCAN", "--regex", r"user:\d")) == ["user:1", "user:2"]
    assert names(cli("SCAN", "--prefix", "o")) == ["other"]
    assert names(cli("SCAN", "--type", "list", "--count", "1")) == ["user:list"]
    assert cli("SCAN", "nothing*") == "(empty array)\n"
    assert "BAD_PATTERN" in cli("SCAN", "--regex", "(", status=1)
    assert cli("SCAN", "--count", "many", status=1)


def test_pages_of_keys(served, cli):
    for number in range(10):
        cli("SET", f"key-{number}", "v")
    seen, token = [], []
    for _ in range(20):
        ended = run("cli", "--server", served.address, "KEYS", "*", "--limit", "3", *token)
        assert ended.returncode == 0, ended
        seen += names(ended.stdout) if "(empty array)" not in ended.stdout else []
        if "--token " not in ended.stderr:
            break
        token = ["--token", ended.stderr.rpartition("--token ")[2].strip()]
    assert sorted(seen) == [f"key-{number}" for number in range(10)]


def test_statistics(cli):
    cli("SET", "k", "v")
    printed = cli("STATS")
    assert any("ringstore_keys" in line and "1" in line for line in printed.splitlines())


def test_the_help_lists_every_command(cli):
    printed = cli("HELP")
    commands = ("SET GET SCAN LRANGESTREAM MLRANGE STATS SHUTDOWN KEYS RESET DESCRIBE").split()
    assert all(f"\n{name}" in "\n" + printed for name in commands)


@pytest.mark.parametrize(
    "words",
    [
        ("PING",), ("GET", "k"), ("SET", "k", "v"), ("KEYS", "*"), ("SCAN",), ("MGET", "k"),
        ("LRANGE", "l", "0", "-1"), ("LRANGESTREAM", "l", "0", "-1"), ("CLUSTER",), ("STATS",),
        ("DBSIZE",), ("HELP",), ("HELP", "get"), ("GET", "l"),
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
@pytest.mark.parametrize("form", [(), ("--raw",), ("--json",)], ids=["text", "raw", "json"])
def test_output_that_can_not_be_written_is_an_error(served, client, words, form):
    client.set(b"k", b"v")
    client.rpush(b"l", b"a", b"b")
    status, told = into_full("cli", "--server", served.address, *form, *words)
    assert (status, told) == (1, f"ringstore cli: {FULL}")


def test_output_that_can_not_be_written_is_an_error_of_a_pipe(served, client):
    status, told = into_full("cli", "--server", served.address, typed="SET k v\nSET k w\n")
    assert (status, told) == (1, f"ringstore cli: {FULL}")
    assert client.get(b"k").value == b"v", "a command ran whose output is lost"


def test_output_that_can_not_be_written_is_an_error_of_the_others(served):
    assert into_full("health", "--server", served.address) == (1, f"ringstore health: {FULL}")
    assert into_full("shard", "--help") == (1, f"ringstore shard: {FULL}")
    assert into_full("cli", "--help") == (1, f"ringstore cli: {FULL}")
    assert into_full("--version") == (1, f"ringstore: {FULL}")


@pytest.mark.parametrize(
    "words",
    [
        ("digest",), ("digest", "--json"), ("hotkeys",), ("bigkeys",), ("clients",), ("loglevel",),
        ("top", "--count", "1"), ("top", "--count", "1", "--json"), ("--help",),
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_output_that_can_not_be_written_is_an_error_of_admin(served, client, words):
    client.set(b"k", b"v")
    asked = () if words == ("--help",) else ("--server", served.address)
    assert into_full("admin", *words, *asked) == (1, f"ringstore admin: {FULL}")


def test_output_that_can_not_be_written_is_an_error_of_tools(served, tmp_path):
    assert into_full("admin", "token", "name") == (1, f"ringstore admin: {FULL}")
    node = start_shard("a", "--data-dir", str(tmp_path))
    assert node.stop() == 0
    for command in ("show", "stat", "verify"):
        assert into_full("log", command, str(tmp_path)) == (1, f"ringstore log: {FULL}")
    bench = ("--server", served.address, "--calls", "50")
    status, told = into_full("bench", *bench)
    assert (status, told.splitlines(keepends=True)[-1]) == (1, f"ringstore bench: {FULL}")


FULL = "the output could not be written: No space left on device.\n"


def into_full(*arguments: str, typed: str = "") -> tuple[int, str]:
    """Status and stderr of the program, whose stdout is a device that is always full."""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [binary(), *arguments],
            input=typed.encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            timeout=RUN_SECONDS,
            check=False,
        )
    return ended.returncode, ended.stderr.decode()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_table_that_comes_again_and_again_ends_with_its_output(served, form):
    command = ["admin", "top", "--server", served.address, "--interval", "0.1", *form]
    assert into_full(*command) == (1, f"ringstore admin: {FULL}")


def test_a_stdout_that_is_closed_is_an_error(served):
    command = 'exec "$0" cli --server "$1" PING >&-'
    ended = subprocess.run(
        ["sh", "-c", command, binary(), served.address],
        stderr=subprocess.PIPE,
        env=clean_environment(),
        timeout=RUN_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert b"the output could not be written: Bad file descriptor." in ended.stderr


def test_a_reader_that_goes_is_no_error(served, client):
    fill(client, [b"key-%06d" % number for number in range(20_000)])
    reading, writing = os.pipe()
    os.close(reading)
    for words in (("SCAN",), ("KEYS", "*"), ("PING",), ("--json", "SCAN")):
        ended = subprocess.run(
            [binary(), "cli", "--server", served.address, *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            timeout=RUN_SECONDS,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
    os.close(writing)


def test_a_stdout_that_does_not_wait_gets_all_of_it(served, client):
    """Another process that shares a pipe may have made it non-blocking."""
    fill(client, [b"key-%06d" % number for number in range(20_000)])
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    asked = subprocess.Popen(
        [binary(), "cli", "--server", served.address, "KEYS", "*"],
        stdout=writing,
        env=clean_environment(),
    )
    os.close(writing)
    with open(reading, "rb") as output:
        assert output.read().count(b"\n") == 20_000
    assert asked.wait(RUN_SECONDS) == 0


def test_the_server_of_the_environment_is_called(served, client):
    client.set(b"k", b"v")
    port = served.address.rpartition(":")[2]
    for environment in ({"RINGSTORE_SERVER": served.address}, {"RINGSTORE_PORT": port}):
        ended = run("cli", "GET", "k", environment=environment)
        assert (ended.returncode, ended.stdout) == (0, '"v"\n')
        assert run("health", environment=environment).returncode == 0
    wrong = run("cli", "GET", "k", environment={"RINGSTORE_SERVER": "x"})
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("ringstore cli: RINGSTORE_SERVER must be HOST:PORT")


def test_an_integer_has_one_form_everywhere(cli, served):
    """As an argument of a command and as a value."""
    for text in ("05", "-0", "+5"):
        assert "must be a 64-bit integer" in cli("INCRBY", "n", text, status=1)
        cli("SET", "n", text)
        assert "NOT_AN_INTEGER" in cli("INCRBY", "n", "1", status=1)


def test_a_reset_without_a_terminal_needs_no_confirmation(cli):
    cli("SET", "k", "v")
    assert cli("RESET") == "(integer) 1\n"
    assert cli("RESET", "ALL", "--yes") == "(integer) 0\n"


def test_a_cursor_gets_the_usage_of_a_scan(cli):
    assert "SCAN takes no cursor" in cli("SCAN", "0", status=1)


def test_an_unknown_option_is_not_taken_for_a_command(cli):
    told = cli("--frob", "GET", "k", status=1)
    assert told == "ringstore cli: Unknown option '--frob'; see 'ringstore cli --help'.\n"
