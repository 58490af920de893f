"""`ringstore cli` against every shape of server, printing as redis-cli does."""

import pytest
from harness.process import run

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


def test_an_unknown_option_is_not_taken_for_a_command(cli):
    told = cli("--frob", "GET", "k", status=1)
    assert told == "ringstore cli: Unknown option '--frob'; see 'ringstore cli --help'.\n"
