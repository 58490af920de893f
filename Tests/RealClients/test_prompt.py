"""The prompt of `ringstore cli` in a terminal: what is typed, shown and remembered."""

import re
import signal
from pathlib import Path

import pytest
from harness.client import Client
from harness.polling import eventually
from harness.terminal import (
    CTRL_A,
    CTRL_C,
    CTRL_D,
    CTRL_R,
    ENTER,
    LEFT,
    RIGHT,
    TAB,
    UP,
    Terminal,
)
from test_scan import fill


class Prompt(Terminal):
    """A terminal with `ringstore cli` at its first prompt."""

    def __init__(self, address: str, home, *arguments: str, **environment: str):
        super().__init__(
            "cli", "--server", address, *arguments, environment={"HOME": str(home)} | environment
        )
        self.address = address
        self.prompt = f"{address}> "
        self.expect(self.prompt)

    def enter(self, line: str) -> None:
        self.type(line + ENTER)

    def reply(self, line: str) -> str:
        """The reply to a line, once the next prompt is there."""
        self.enter(line)
        # The echo ends with the line, and the reply with the prompt.
        self.expect("\n")
        return self.expect(self.prompt).replace("\r\n", "\n")


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def prompt(served, client, home):
    with Prompt(served.address, home) as opened:
        yield opened


def test_replies_are_printed_as_redis_cli_does(prompt):
    assert prompt.reply("SET greeting 'hello there'") == "OK\n"
    assert prompt.reply("get greeting") == '"hello there"\n'
    assert prompt.reply("GET nothing") == "(nil)\n"
    assert prompt.reply("PING") == "PONG\n"
    assert prompt.reply("ping 'still there'") == '"still there"\n'
    assert prompt.reply("INCR n") == "(integer) 1\n"
    assert prompt.reply("DECRBY n 5") == "(integer) -4\n"
    assert prompt.reply("RPUSH l a b") == "(integer) 2\n"
    assert prompt.reply("LRANGE l 0 -1") == '1) "a"\n2) "b"\n'
    assert prompt.reply("").strip() == ""
    assert prompt.reply("GET l").startswith("(error) WRONG_TYPE ")
    assert prompt.reply("FROB").startswith("(error) Unknown command 'FROB'")
    assert prompt.reply('GET "x').startswith("(error) A quote is not closed")


def test_any_bytes_can_be_typed_and_are_shown(prompt, client):
    assert prompt.reply(r'SET "\x00\n\"" "\xff\x00é"') == "OK\n"
    assert client.get(b'\x00\n"').value == b"\xff\x00" + "é".encode()
    assert prompt.reply(r'GET "\x00\n\""') == '"\\xff\\x00\\xc3\\xa9"\n'


def test_a_line_is_edited_with_arrow_keys(prompt, client):
    # Each line only once its prompt is there: what is typed ahead is shown twice.
    prompt.enter("SET key abd" + LEFT + "c" + RIGHT + "e")
    prompt.expect("OK")
    prompt.expect(prompt.prompt)
    assert client.get(b"key").value == b"abcde"
    prompt.enter("key äöü" + LEFT + "\x7f" + CTRL_A + "SET ")
    prompt.expect("OK")
    assert client.get(b"key").value == "äü".encode()


def test_lines_are_remembered_across_sessions(served, client, home):
    with Prompt(served.address, home) as first:
        assert first.reply("SET n 1") == "OK\n"
        assert first.reply("INCRBY n 5") == "(integer) 6\n"
        first.type(CTRL_D)
        assert first.wait() == 0
    with Prompt(served.address, home) as second:
        assert second.reply(UP) == "(integer) 11\n"
        assert second.reply(UP + UP) == "OK\n"
        assert second.reply(CTRL_R + "INCR").endswith("\n(integer) 6\n")
    kept = (home / ".ringstore_history").read_text().splitlines()
    assert kept[:2] == ["SET n 1", "INCRBY n 5"]


def test_the_history_can_be_elsewhere_or_nowhere(served, client, home):
    with Prompt(served.address, home, RINGSTORE_HISTORY=str(home / "kept")) as prompt:
        prompt.reply("SET a 1")
        prompt.reply(" SET secret 1")
    assert (home / "kept").read_text() == "SET a 1\n"
    with Prompt(served.address, home, RINGSTORE_HISTORY="") as prompt:
        prompt.reply("SET b 1")
    assert [path.name for path in home.iterdir()] == ["kept"]


def test_tab_completes_commands_and_their_words(prompt):
    prompt.type("lrangest" + TAB)
    prompt.expect("ream ")
    assert prompt.reply("none 0 -1") == "(empty array)\n"
    prompt.type("de" + TAB)
    prompt.expect("DECR      DECRBY    DEL       DELETE    DESCRIBE")
    prompt.type("l nothing" + ENTER)
    prompt.expect("(integer) 0")
    prompt.enter("scan --ty" + TAB + "li" + TAB)
    prompt.expect("(empty array)")


def test_ctrl_c_throws_a_line_away(prompt):
    prompt.type("SET key lost" + CTRL_C)
    prompt.expect("^C")
    prompt.expect(prompt.prompt)
    prompt.type(CTRL_C)
    prompt.expect("^C")
    prompt.expect(prompt.prompt)
    assert prompt.reply("GET key") == "(nil)\n"


def test_ctrl_c_is_read_in_its_turn(prompt, client):
    # Each in one piece, as a script or a paste types it.
    for number in range(20):
        prompt.type(f"SET lost {number}" + CTRL_C + f"SET kept {number}" + ENTER)
        prompt.expect("^C")
        prompt.expect("OK\r\n")
        prompt.expect(prompt.prompt)
        assert client.get(b"kept").value == b"%d" % number
    assert not client.get(b"lost").found
    prompt.type("half a line" + CTRL_C + CTRL_D)
    assert prompt.wait() == 0


def test_ctrl_c_stops_a_reply_that_fills_the_screen(served, client, home):
    fill(client, [b"key-%06d" % number for number in range(50_000)])
    with Prompt(served.address, home) as prompt:
        prompt.enter("KEYS *")
        prompt.expect("key-")
        prompt.type(CTRL_C)
        prompt.expect("Stopped.")
        prompt.expect(prompt.prompt)
        assert prompt.reply("GET nothing") == "(nil)\n"


@pytest.mark.parametrize("command", ["SCAN", "KEYS *", "DBSIZE"])
def test_ctrl_c_stops_a_running_command(cluster, home, command):
    with Prompt(cluster.address, home) as prompt:
        assert prompt.reply("SET key value") == "OK\n"
        stuck = cluster.shards["b"]
        stuck.pause()
        prompt.enter(command)
        prompt.expect("\n")
        eventually(prompt.edits_by_line, "the command runs")
        prompt.type(CTRL_C)
        prompt.expect("Stopped.")
        prompt.expect(prompt.prompt)
        stuck.resume()
        assert prompt.reply("GET key") == '"value"\n'


def test_the_prompt_shows_the_database(prompt, client):
    zero = prompt.prompt
    prompt.prompt = f"{prompt.address}[3]> "
    assert prompt.reply("SELECT 3") == "OK\n"
    assert prompt.reply("SET key three") == "OK\n"
    assert client.get(b"key", database=3).value == b"three"
    assert prompt.reply("SELECT 999").startswith("(error) NO_SUCH_DATABASE ")
    prompt.prompt = zero
    assert prompt.reply("SELECT 0") == "OK\n"
    assert prompt.reply("GET key") == "(nil)\n"


def test_a_server_that_restarts_is_found_again(cluster, home):
    with Prompt(cluster.address, home) as prompt:
        connected = prompt.prompt
        assert prompt.reply("SET key value") == "OK\n"
        cluster.router.stop()
        prompt.prompt = f"{prompt.address} (not connected)> "
        for _ in range(2):
            assert prompt.reply("GET key").startswith("Could not connect to ringstore at ")
        cluster.router.restart()
        # The new router serves before its links are there.
        with Client(cluster.address) as client:
            eventually(lambda: client.get(b"key").value == b"value", "the shards are linked")
        prompt.prompt = connected
        assert prompt.reply("GET key") == '"value"\n'


def test_a_server_that_is_not_there_is_said_at_the_beginning(home):
    with Terminal("cli", "--server", "127.0.0.1:1", environment={"HOME": str(home)}) as terminal:
        terminal.expect("Could not connect to ringstore at 127.0.0.1:1")
        terminal.expect("127.0.0.1:1 (not connected)> ")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0


def test_help_tells_about_commands(prompt):
    listed = prompt.reply("help")
    assert "\nSCAN [pattern" in listed and "\nSELECT database" in listed
    assert prompt.reply("help get").startswith("GET key\n  Reads the value of a key.\n")
    assert prompt.reply("help frob").startswith("(error) There is no command 'frob'")


def test_the_cluster_is_a_table(prompt):
    lines = prompt.reply("cluster").splitlines()
    assert lines[0].startswith("cluster ")
    assert lines[1].split()[0] == "NODE"
    assert {"SLOTS", "KEYS", "MEMORY"} <= set(lines[1].split())


@pytest.mark.parametrize("columns", [56, 80, 120])
def test_tables_and_lists_fit_the_terminal(cluster, home, columns):
    with Prompt(cluster.address, home) as prompt:
        prompt.resize(40, columns)
        for command in "cluster", "help":
            lines = prompt.reply(command).splitlines()
            assert max(map(len, lines)) <= columns
        prompt.type(TAB)
        prompt.expect("\n")
        assert max(map(len, prompt.expect(prompt.prompt).splitlines())) <= columns
        heads = next(
            line.split() for line in prompt.reply("cluster").splitlines() if "NODE" in line
        )
        assert {"NODE", "STATE", "SLOTS", "KEYS", "MEMORY"} <= set(heads)
        assert ("BYTES" in heads) == (columns > 110)


def test_a_scan_shows_how_far_it_is_and_leaves_nothing_behind(served, client, home):
    with Client(served.address) as filler:
        fill(filler, [b"%d" % number for number in range(20_000)])
    with Prompt(served.address, home) as prompt:
        prompt.enter("SCAN --count 100")
        prompt.expect(" of 16384 slots, ")
        rest = prompt.expect(prompt.prompt)
        assert rest.rstrip().endswith('"') or rest.endswith("\x1b[K")


README = Path(__file__).parents[2] / "README.md"
SHOWN = "127.0.0.1:50051"


def readme_session() -> list[tuple[str, str, str]]:
    """The session that the README shows: prompt, line and the reply to the line."""
    text = README.read_text()
    block = text[text.index(f"```\n{SHOWN}> ") + 4 :].partition("```")[0]
    parts = re.split(rf"^({re.escape(SHOWN)}\S*> )(.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::3], parts[2::3], parts[3::3]))


def test_the_session_in_the_readme_is_what_one_sees(prompt):
    session = readme_session()
    assert session[-1][1] == "quit"
    for (_, line, reply), (following, _, _) in zip(session, session[1:]):
        prompt.prompt = following.replace(SHOWN, prompt.address)
        assert prompt.reply(line) == reply
    prompt.enter("quit")
    assert prompt.wait() == 0


def test_json_is_for_the_prompt_as_well(served, client, home):
    with Prompt(served.address, home, "--json") as prompt:
        assert prompt.reply("SET k 1") == '"OK"\n'
        assert prompt.reply("GET nothing") == "null\n"
        assert prompt.reply("FROB").startswith('{"error":{')


@pytest.mark.parametrize("last", [CTRL_D, "quit" + ENTER, "EXIT" + ENTER])
def test_the_end_leaves_the_terminal_as_it_was(prompt, last):
    eventually(lambda: not prompt.edits_by_line(), "the line is edited")
    prompt.type(last)
    assert prompt.wait() == 0
    assert prompt.edits_by_line()


def test_sigterm_leaves_the_terminal_as_it_was(prompt):
    eventually(lambda: not prompt.edits_by_line(), "the line is edited")
    prompt.type("SET half a li")
    prompt.expect("half a li")
    prompt.send_signal(signal.SIGTERM)
    assert prompt.wait() == 0
    assert prompt.edits_by_line()


def test_a_terminal_may_change_its_size(prompt):
    prompt.type("GET nothing")
    prompt.expect("GET nothing")
    prompt.resize(20, 40)
    before = prompt.expect("GET nothing")
    # The line that was there is erased, not left in front of the new one.
    assert before.replace("\x1b[K", "").endswith("\r\x1b[J" + prompt.prompt)
    assert prompt.reply("") == "(nil)\n"


def test_a_line_of_several_rows_is_drawn_once_after_a_resize(prompt):
    text = "GET " + "".join(f"{number:04}" for number in range(20))
    prompt.type(text)
    prompt.expect(text[-20:])
    prompt.resize(20, 40)
    rows = len(prompt.prompt + text) // 40
    before = prompt.expect(prompt.prompt)
    assert before.endswith(f"\r\x1b[{rows}A\x1b[J")


def test_a_shutdown_must_be_confirmed(prompt, client):
    for line, question in (
        ("SHUTDOWN", "SHUTDOWN stops this node."),
        ("shutdown cluster", "SHUTDOWN CLUSTER stops every shard, and then this node."),
    ):
        prompt.enter(line)
        prompt.expect(question)
        prompt.expect("Type yes to continue: ")
        assert prompt.reply("no").endswith("Nothing was done.\n")
        client.set(b"k", b"v")


def test_a_reset_must_be_confirmed(prompt, client):
    client.set(b"k", b"v")
    prompt.enter("RESET")
    prompt.expect("RESET removes every key of database 0, permanently.")
    prompt.expect(" RESET --yes doesn't ask.\r\n")
    prompt.expect("Type yes to continue: ")
    assert prompt.reply("no").endswith("Nothing was done.\n")
    assert client.get(b"k").found
    prompt.enter("reset all")
    prompt.expect("every key of all databases")
    prompt.expect("Type yes to continue: ")
    prompt.type(CTRL_C)
    prompt.expect("Nothing was done.")
    prompt.expect(prompt.prompt)
    assert client.get(b"k").found
    prompt.enter("RESET")
    prompt.expect("Type yes to continue: ")
    assert prompt.reply("yes") == "(integer) 1\n"
    client.set(b"k", b"v")
    assert prompt.reply("RESET --yes") == "(integer) 1\n"
