"""Flags, configuration files and environment: what is wrong is said in one sentence, status 64."""

import re
import socket
from pathlib import Path

import pytest
from harness.client import Client
from harness.process import Node, run

BAD_CONFIGURATION = 64
SHARD = ("shard", "--id", "a", "--host", "127.0.0.1", "--port", "0")


def refusal(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Runs a node that must refuse to start; gives its sentence."""
    ended = run(*arguments, environment=environment)
    assert ended.returncode == BAD_CONFIGURATION, ended
    assert "Server started" not in ended.stdout
    assert "Fatal error" not in ended.stderr
    sentence = ended.stderr.strip().splitlines()
    assert sentence, "nothing said"
    return ended.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*SHARD, "--no-such-flag"), "no-such-flag"),
        (("shard", "--id", "a", "--port", "70000"), "70000"),
        (("shard", "--id", "a", "--port", "x"), "x"),
        (("shard", "--id", "a", "--port", "0", "--line-port", "70000"), "--line-port"),
        (("shard", "--id", "a", "--port", "0", "--line-port", "none"), "off, not 'none'"),
        (("shard", "--id", "", "--port", "0"), "id"),
        (("router", "--port", "0"), "shard"),
        (("router", "--port", "0", "--shard", "a"), "a"),
        (("router", "--port", "0", "--shard", "a=127.0.0.1"), "'127.0.0.1'"),
        (("router", "--port", "0", "--shard", "a=127.0.0.1:x"), "'127.0.0.1:x'"),
        (("router", "--port", "0", "--shard", "a=127.0.0.1:1,weight=0"), "weight"),
        (("router", "--port", "0", "--shard", "a=127.0.0.1:1,weight=-1"), "weight"),
        (("router", "--port", "0", "--shard", "a=127.0.0.1:1,colour=red"), "colour"),
        (
            ("router", "--port", "0", "--shard", "a=127.0.0.1:1", "--shard", "a=127.0.0.1:2"),
            "a",
        ),
        (("router", "--port", "0", "--shard", "a=127.0.0.1:1", "--threads", "0"), "threads"),
        (("local", "--shards", "0", "--port", "0"), "shards"),
        (("shard", "--config", "/no/such/file.yaml", "--port", "0"), "/no/such/file.yaml"),
    ],
)
def test_a_bad_flag_is_named(arguments, named):
    assert named in refusal(*arguments)


def test_an_unknown_key_in_a_file_is_named(tmp_path):
    file = tmp_path / "shard.yaml"
    file.write_text("id: a\nport: 0\ncolour: red\n")
    assert "colour" in refusal("shard", "--config", str(file))


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    file = tmp_path / "shard.yaml"
    file.write_text("id: [a\nport: {")
    assert str(file) in refusal("shard", "--config", str(file))


@pytest.mark.parametrize("kind", ["shard", "router", "local"])
def test_a_number_may_look_like_a_flag(kind):
    told = run(kind, "--help").stdout
    texts = re.split(r"^  (?=-)", told, flags=re.MULTILINE)[1:]
    options = [(re.match(r"(--[a-z-]+) <", text), text) for text in texts]
    numbers = [found[1] for found, text in options
               if found and re.search(r"\(default:\s+\d+\)", text)]
    assert len(numbers) > 8
    needed = {"shard": ("--id", "a"), "router": ("--shard", "a=127.0.0.1:1"), "local": ()}[kind]
    for option in numbers:
        told = refusal(kind, *needed, option, "-1")
        assert re.search(rf"{option} must be a ((whole )?number|size) from ", told), told


def log_of_start(**environment: str) -> str:
    """The log of a shard that starts with these variables, serves and stops."""
    node = Node(*SHARD, environment=environment)
    with Client(node.address) as client:
        assert client.describe().nodes[0].id == "a"
    assert node.stop() == 0
    return node.log()


def test_an_unknown_variable_is_a_warning():
    told = log_of_start(RINGSTORE_COLOUR="red", RINGSTORE_DRAIN_SECOND="1", RINGSTORE_IMAGE="x")
    warnings = [line for line in told.splitlines() if " warning " in line]
    assert len(warnings) == 2
    assert "the environment variable RINGSTORE_COLOUR is not a setting" in warnings[0]
    assert warnings[1].endswith("; did you mean RINGSTORE_DRAIN_SECONDS?")


def test_variables_of_an_orchestrators_service_are_passed_over():
    told = log_of_start(
        RINGSTORE_SERVICE_HOST="10.0.0.1",
        RINGSTORE_SERVICE_PORT="50051",
        RINGSTORE_PORT="tcp://10.0.0.1:50051",
        RINGSTORE_PORT_50051_TCP="tcp://10.0.0.1:50051",
        RINGSTORE_PORT_50051_TCP_ADDR="10.0.0.1",
    )
    warnings = [line for line in told.splitlines() if " warning " in line]
    assert len(warnings) == 1
    assert "RINGSTORE_PORT is 'tcp://10.0.0.1:50051', as orchestrators set it" in warnings[0]


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run("shard", "--id", "a", "--host", "127.0.0.1", "--port", port)
    assert ended.returncode != 0
    assert port in ended.stderr
    assert "Server started" not in ended.stdout
    assert "Fatal error" not in ended.stderr


def test_a_taken_port_of_the_line_protocol_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for node in (SHARD, ("local", "--port", "0")):
            ended = run(*node, "--line-port", port)
            assert ended.returncode == 1
            assert f"the line protocol: port {port} of 127.0.0.1 is in use" in ended.stderr
            assert "--line-port" in ended.stderr
            assert "Server started" not in ended.stdout


def test_the_two_protocols_can_not_share_a_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for node in (SHARD[:-2], ("local",), ("router", "--shard", "a=127.0.0.1:1")):
        told = refusal(*node, "--port", port, "--line-port", port)
        assert told == (
            f"ringstore {node[0]}: the line protocol and gRPC can't share port {port}; "
            "--line-port names another.\n"
        )


def test_local_looks_at_its_ports_before_it_starts_shards():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for ports in (("--port", port), ("--port", "0", "--line-port", port)):
            ended = run("local", *ports, "--log-level", "trace")
            assert ended.returncode == 1
            assert f"port {port} of 127.0.0.1 is in use" in ended.stderr
            assert "shard" not in ended.stderr


def test_the_line_protocol_can_be_turned_off(tmp_path):
    file = tmp_path / "shard.yaml"
    file.write_text("id: a\nhost: 127.0.0.1\nport: 0\nline_port: off\n")
    for arguments in (("--line-port", "off"), ("--line-port=off", "--config", str(file))):
        node = Node(*SHARD, *arguments)
        assert node.line_port is None
        assert node.stop() == 0
    ended = Node("shard", "--config", str(file), "--line-port=0")
    assert ended.line_port
    assert ended.stop() == 0


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path):
    file = tmp_path / "shard.yaml"
    file.write_text("id: from-file\nhost: 127.0.0.1\nport: 0\n")

    def started_id(*flags: str, **environment: str) -> str:
        node = Node("shard", "--config", str(file), *flags, environment=environment)
        try:
            with Client(node.address) as client:
                return client.describe().nodes[0].id
        finally:
            node.stop()

    assert started_id() == "from-file"
    assert started_id(RINGSTORE_ID="from-environment") == "from-environment"
    assert started_id("--id", "from-flag", RINGSTORE_ID="from-environment") == "from-flag"


def test_port_0_picks_a_port_of_its_own_each_time():
    first, second = Node(*SHARD), Node(*SHARD)
    assert 0 < first.port != second.port > 0
    assert first.stop() == second.stop() == 0


def test_help_is_not_an_error():
    for command in ((), ("shard",), ("router",), ("local",), ("cli",)):
        ended = run(*command, "--help")
        assert ended.returncode == 0
        assert "USAGE" in ended.stdout.upper()


def test_the_help_of_a_node_tells_of_its_variables_and_its_port():
    for kind, port in (("shard", 50061), ("router", 50051), ("local", 50051)):
        told = " ".join(run(kind, "--help").stdout.split())
        assert "(--line-port)" in told and "(RINGSTORE_LINE_PORT)" in told and "(line_port)" in told
        assert f"0 picks a free one. (default: {port})" in told
        assert "(default: ringstore)" in told
        assert told.count("(required)") == (0 if kind == "local" else 1)


def settings(kind: str) -> dict[str, str]:
    lines = (SAMPLES / f"{kind}.yaml").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if re.match(r"\w+: ", line))


def test_the_samples_of_a_router_and_a_shard_can_run_on_one_machine():
    ports = [
        samples[name]
        for samples in (settings("router"), settings("shard"))
        for name in ("port", "line_port")
        if samples[name] != "off"
    ]
    assert len(ports) == len(set(ports)) == 3


SAMPLES = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("kind", ["shard", "local", "router"])
def test_the_sample_configurations_start_a_node(kind):
    node = Node(kind, "--config", str(SAMPLES / f"{kind}.yaml"), "--port", "0")
    assert node.stop() == 0
