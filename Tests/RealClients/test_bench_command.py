"""`ringstore bench`, as a user runs it: short loads of every protocol on a real cluster, what it
says of them, and what it says where there is nothing to load, or wrong replies. RESP has its own
tests, against a redis-server: test_bench_resp.py."""

import json
import signal
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import start_local
from harness.polling import eventually
from harness.process import RUN_SECONDS, Node, begin, run
from harness.terminal import CTRL_C, Terminal

PROTOCOLS = ("unary", "pipeline", "line")
KINDS = {"get", "set", "incr", "lpush", "lpop"}
FEW = ("--connections", "4", "--keys", "100")


@pytest.fixture(scope="module")
def running() -> Iterator[Node]:
    started = start_local(2)
    yield started
    started.stop()


@pytest.fixture
def node(running: Node) -> Node:
    """A cluster without keys."""
    with Client(running.address) as client:
        client.reset(all_databases=True)
    return running


def server(node: Node, protocol: str, host: str = "127.0.0.1") -> tuple[str, ...]:
    port = node.line_port if protocol == "line" else node.port
    return ("--protocol", protocol, "--server", f"{host}:{port}")


def bench(*arguments: str, environment: dict[str, str] | None = None):
    return run("bench", *arguments, environment=environment)


def result(ended) -> dict:
    """The one result on stdout."""
    report = json.loads(ended.stdout)
    assert (report["schema"], report["version"]) == ("ringstore-bench", 1)
    return report


def test_the_page_names_every_member_of_a_result(node: Node):
    ended = bench(*server(node, "unary"), *FEW, "--calls", "50", "--rate", "1000", "--json")
    page = (Path(__file__).parents[2] / "docs" / "LOAD.md").read_text()

    def names(value: object) -> Iterator[str]:
        for one in value.values() if isinstance(value, dict) else value:
            if isinstance(one, dict | list):
                yield from names(one)
        if isinstance(value, dict):
            yield from value

    missing = {name for name in names(result(ended)) if f"`{name}`" not in page}
    assert missing == set()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("sizes", ["64", "0-2000"])
def test_every_call_is_made_and_right(node: Node, protocol: str, sizes: str, tmp_path: Path):
    with Client(node.address) as client:
        client.set(b"other", b"stays")
    file = tmp_path / "result.json"
    ended = bench(
        *server(node, protocol),
        *FEW,
        *("--calls", "3000", "--mix", "get=50,set=20,incr=10,lpush=10,lpop=10"),
        *("--value-bytes", sizes, "--threads", "2", "--distribution", "zipf"),
        *("--fill", "--clean", "--json", str(file)),
    )
    assert ended.returncode == 0, ended.stderr
    assert "failed calls: 0" in ended.stdout and "\nDeleted " in ended.stdout
    report = json.loads(file.read_text())
    (measured,) = report["runs"]
    assert (measured["calls"], measured["failed"], measured["failures"]) == (3000, 0, [])
    kinds = {kind["name"]: kind for kind in measured["kinds"]}
    assert set(kinds) == KINDS
    assert sum(kind["calls"] for kind in kinds.values()) == 3000
    assert kinds["get"]["found"] == kinds["get"]["calls"]
    latency = measured["latency"]
    assert 0 < latency["p50Micros"] <= latency["p99Micros"] <= latency["maxMicros"]
    assert report["settings"]["protocol"] == protocol and report["settings"]["filled"]
    assert not report["wasInterrupted"]
    with Client(node.address) as client:
        assert client.keys(glob=b"*") == [b"other"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_counters_and_lists_hold_what_was_done(node: Node, protocol: str):
    """Each call that the result counts was executed once."""
    ended = bench(
        *server(node, protocol),
        *("--connections", "3", "--keys", "1", "--calls", "500"),
        *("--mix", "incr=50,lpush=50", "--json"),
    )
    assert ended.returncode == 0, ended.stderr
    counts = {kind["name"]: kind["calls"] for kind in result(ended)["runs"][0]["kinds"]}
    assert sum(counts.values()) == 500
    with Client(node.address) as client:
        assert int(client.get(b"bench:i:000000000000").value) == counts["incr"]
        assert client.llen(b"bench:l:000000000000") == counts["lpush"]
    assert "remain in database 0; --clean deletes them" in ended.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_database_is_kept_to(node: Node, protocol: str):
    ended = bench(
        *server(node, protocol), *FEW, "--calls", "200", "--mix", "set=1", "--database", "3"
    )
    assert ended.returncode == 0, ended.stderr
    with Client(node.address) as client:
        assert client.size(database=3) > 0 and client.size() == 0
    refused = bench(*server(node, protocol), *FEW, "--calls", "200", "--database", "99")
    assert refused.returncode == 1 and "There is no database 99" in refused.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rates_make_a_run_each_and_a_picture(node: Node, protocol: str, tmp_path: Path):
    picture = tmp_path / "load.svg"
    ended = bench(
        *server(node, protocol),
        *FEW,
        *("--rate", "200,400", "--rate", "800", "--calls", "100", "--spacing", "even"),
        *("--plot", str(picture), "--json"),
    )
    assert ended.returncode == 0, ended.stderr
    runs = result(ended)["runs"]
    assert [one["rateWanted"] for one in runs] == [200, 400, 800]
    assert [one["calls"] + one["failed"] for one in runs] == [100] * 3
    assert all("lagP99Micros" in one["generator"] for one in runs)
    drawn = ET.parse(picture).getroot()
    circles = drawn.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3 * 4


def test_two_results_are_compared(node: Node, tmp_path: Path):
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        arguments = (*server(node, "unary"), *FEW, "--calls", "200", "--json", str(file))
        assert bench(*arguments).returncode == 0
    ended = bench("--compare", *map(str, files))
    assert ended.returncode == 0, ended.stderr
    assert "B / A" in ended.stdout and "p99, ms" in ended.stdout
    # It has no such form, and says so.
    refused = bench("--compare", *map(str, files), "--json")
    assert (refused.returncode, refused.stdout) == (64, "") and "--json" in refused.stderr
    same = bench("--compare", str(files[0]), str(files[0]))
    assert "1.00" in same.stdout and "settings differ" not in same.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--connections", "0"),
        ("--in-flight", "x"),
        ("--batch", "2"),
        ("--protocol", "carrier-pigeon"),
        ("--rate", "0"),
        ("--rate", "-5"),
        ("--duration", "0"),
        ("--duration", "-1"),
        ("--mix", "frob=1"),
        ("--distribution", "zipf:0"),
        ("--value-bytes", "9-1"),
        ("--keys", "0"),
        ("--seed", "-1"),
        ("--plot", "/dev/null"),
        ("--json", "/no/such/folder/file"),
        ("--compare", "one"),
        ("--compare", "/no/such/file", "/no/such/file"),
        ("--compare", "/dev/null", "/dev/null"),
        ("--server", "nowhere"),
        ("--token-file", "/no/such/file"),
        ("more",),
    ],
)
def test_wrong_usage_says_so(arguments):
    ended = bench(*arguments)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith("ringstore bench: ")


@pytest.mark.parametrize("protocol", (*PROTOCOLS, "resp"))
def test_a_port_without_a_server_is_reported(protocol: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        ended = bench("--protocol", protocol, "--server", address, "--threads", "2")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"ringstore bench: {address} can't be reached: connect failed: connection refused\n"
    )


def test_the_port_of_another_protocol_is_said(node: Node):
    wrong = f"127.0.0.1:{node.line_port}", f"127.0.0.1:{node.port}"
    for protocol, address in (("unary", wrong[0]), ("pipeline", wrong[0]), ("line", wrong[1])):
        ended = bench("--protocol", protocol, "--server", address, "--calls", "10")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "closed the connection" in ended.stderr
        assert "check the port" in ended.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrong_values_are_found(node: Node, protocol: str):
    with Client(node.address) as client:
        for key in range(100):
            client.set(b"bench:s:%012d" % key, b"wrong")
    ended = bench(*server(node, protocol), *FEW, "--calls", "300", "--mix", "get=1", "--json")
    assert ended.returncode == 1
    assert "300 replies were wrong" in ended.stderr and "has 5 bytes" in ended.stderr
    (measured,) = result(ended)["runs"]
    assert (measured["calls"], measured["failed"]) == (0, 300)
    assert [failure["code"] for failure in measured["failures"]] == ["WRONG_REPLY"]
    assert "latency" not in measured


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refused_calls_are_counted_by_reason(node: Node, protocol: str):
    """Lists where strings should be: every Get is refused, and no Set."""
    with Client(node.address) as client:
        for key in range(100):
            client.rpush(b"bench:s:%012d" % key, b"x")
    arguments = (*server(node, protocol), *FEW, "--calls", "300", "--json")
    ended = bench(*arguments, "--mix", "get=1")
    assert ended.returncode == 1
    assert "FAILED_PRECONDITION WRONG_TYPE" in ended.stderr
    with Client(node.address) as client:
        client.delete(b"bench:s:000000000000")
    ended = bench(*arguments, "--mix", "get=1")
    (measured,) = result(ended)["runs"]
    (failure,) = measured["failures"]
    assert (failure["code"], failure["reason"]) == ("FAILED_PRECONDITION", "WRONG_TYPE")
    assert failure["count"] == measured["failed"] > 200
    assert measured["calls"] + measured["failed"] == 300


@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        yield made


@pytest.fixture(scope="module")
def guarded(certificates, tmp_path_factory) -> Iterator[tuple[Node, str]]:
    """A node with TLS and a user, and the user's token."""
    made = json.loads(run("admin", "token", "loader", "--json").stdout)
    users = tmp_path_factory.mktemp("users") / "users.conf"
    entry = ("user loader", "may read write", "keys prefix bench:", "databases all")
    users.write_text("\n".join((*entry, made["users_file_line"])) + "\n")
    started = start_local(2, *certificates.server("router"), "--users", str(users))
    yield started, made["token"]
    started.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_and_tokens_are_those_of_the_other_commands(
    guarded, certificates, protocol: str, tmp_path: Path
):
    node, token = guarded
    secret = tmp_path / "token"
    secret.write_text(token + "\n")
    at = (*server(node, protocol, "localhost"), *FEW, "--calls", "300", "--fill", "--clean")
    flags = ("--tls-ca", certificates.authority)
    ended = bench(*at, *flags, "--token-file", str(secret), "--json")
    assert ended.returncode == 0, ended.stderr
    report = result(ended)
    assert report["settings"]["encrypted"] and report["runs"][0]["calls"] == 300
    variables = {"RINGSTORE_CLIENT_TLS_CA": certificates.authority, "RINGSTORE_TOKEN": token}
    assert bench(*at, environment=variables).returncode == 0
    for wrong, sentence in (
        (flags, "UNAUTHENTICATED"),
        (("--tls",), "the peer's certificate is not of the certificate authority"),
        ((*flags, "--tls-server-name", "elsewhere"), "certificate is for another name"),
        (("--tls-ca", "/missing.pem"), "/missing.pem can't be read"),
        ((), "closed"),
    ):
        refused = bench(*at, *wrong)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert sentence in refused.stderr, refused.stderr


def has_counted(client: Client) -> bool:
    """Whether calls that count were made: the warm-up is over."""
    return client.size() > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("rate", [(), ("--rate", "500,600")], ids=["closed", "open"])
def test_an_interrupt_ends_the_load_and_its_result_is_there(node: Node, protocol: str, rate):
    arguments = (*server(node, protocol), *FEW, *rate, "--duration", "600", "--warm-up", "0")
    started = begin("bench", *arguments, "--mix", "set=1", "--json", "--clean")
    with Client(node.address) as client:
        eventually(lambda: has_counted(client), "calls are made")
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=RUN_SECONDS)
        assert started.returncode == 0, err
        report = json.loads(out)
        assert report["wasInterrupted"] and len(report["runs"]) == 1
        assert report["runs"][0]["calls"] > 0 and report["runs"][0]["failed"] == 0
        assert "Deleted " in err and client.size() == 0


def test_a_terminal_sees_how_far_it_is(node: Node):
    arguments = (*server(node, "unary"), *FEW, "--duration", "600")
    with Terminal("bench", *arguments, environment={}) as terminal:
        terminal.expect("warming up")
        terminal.expect("as fast as possible: ")
        terminal.expect("p99 ")
        terminal.type(CTRL_C)
        terminal.expect("failed calls: 0")
        terminal.expect("Interrupted before its end.")
        assert terminal.wait() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_servers_that_go_away_are_reported(protocol: str):
    gone = start_local(1)
    arguments = (*server(gone, protocol), *FEW, "--duration", "600", "--warm-up", "0")
    started = begin("bench", *arguments, "--mix", "set=1", "--timeout", "0.5", "--json")
    with Client(gone.address) as client:
        eventually(lambda: has_counted(client), "calls are made")
    gone.kill()
    out, err = started.communicate(timeout=RUN_SECONDS)
    (measured,) = json.loads(out)["runs"]
    assert started.returncode == 0, err
    assert measured["calls"] > 0 and measured["connectionsLost"] >= 4
    assert {failure["code"] for failure in measured["failures"]} == {"UNAVAILABLE"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_servers_that_stand_still_are_reported(protocol: str):
    still = start_local(1)
    arguments = (*server(still, protocol), *FEW, "--duration", "600", "--warm-up", "0")
    started = begin("bench", *arguments, "--mix", "set=1", "--timeout", "0.5", "--json")
    with Client(still.address) as client:
        eventually(lambda: has_counted(client), "calls are made")
    still.pause()
    out, err = started.communicate(timeout=RUN_SECONDS)
    still.kill()
    (measured,) = json.loads(out)["runs"]
    assert started.returncode == 0, err
    assert measured["calls"] > 0
    assert "NO_REPLY" in {failure["reason"] for failure in measured["failures"]}
