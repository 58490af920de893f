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
