"""docs/PRODUCTION.md does what it says: its secrets, its files and its lines, with the machines it
speaks of as processes of this one, started as the services start them."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from harness.pages import ROOT, Block, Shell, blocks, disagreements
from harness.polling import eventually
from harness.process import Node, binary, clean_environment
from prometheus import Prometheus
from promql import asked
from ringstore.v1 import keystore_pb2, keystore_pb2_grpc
from test_alerts import ALERTS
from test_board import EXPRESSIONS, placed

pytestmark = pytest.mark.timeout(400)

PAGE = ROOT / "docs" / "PRODUCTION.md"
UNITS = ROOT / "deploy" / "systemd"
SHARDS = {f"shard-{name}": name for name in "abc"}
ROUTERS = ["router-1", "router-2"]
SECRETS = "/etc/ringstore/secrets"
# As deploy/debian/ringstore.tmpfiles has it.
SECRETS_MODE = 0o2750
SECONDS = 60.0


def files() -> dict[str, str]:
    """The configuration files that the page shows, by the kind of node."""
    router, shard = None, None
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if "shards:" in text:
            router = text
        else:
            shard = text
    return {"router": router, "shard": shard}


class Machines:
    """Each has its own /etc/ringstore and /var/lib/ringstore below `folder`."""

    def __init__(self, folder: Path, private: Path):
        self._folder = folder
        self._private = private
        self.nodes: dict[str, Node] = {}

    def _root(self, host: str) -> str:
        return str(self._folder / host)

    def _bring_secrets(self, host: str, kind: str) -> None:
        """By the page's own lines, into a folder as the package makes it."""
        place = Path(self._root(host) + SECRETS)
        place.mkdir(parents=True)
        place.chmod(SECRETS_MODE)
        (copy,) = re.findall(r"^  tar --create (?:.*\\\n|.*\|\n)*.*$", PAGE.read_text(), re.MULTILINE)
        (modes,) = re.findall(r"sudo sh -c '(chmod [^']*)'", PAGE.read_text())
        lines = f"{copy}\n{modes}".replace("ssh $host.example.org sudo ", "")
        lines = lines.replace("private/", f"{self._private}/").replace(SECRETS, str(place))
        subprocess.run(
            ["bash", "-euc", "set -o pipefail; umask 022\n" + lines],
            env=os.environ | {"kind": kind}, timeout=SECONDS, check=True,
        )
        # The group `ringstore` has to be able to enter it, and the files have to be the group's.
        assert stat.S_IMODE(place.stat().st_mode) == SECRETS_MODE
        for file in place.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o640, file

    def addressed(self, text: str) -> str:
        """The page's names and ports as those of this machine."""
        for host, node in self.nodes.items():
            port = "50061" if host in SHARDS else "50051"
            text = text.replace(f"{host}.example.org:{port}", f"localhost:{node.port}")
            text = text.replace(f"{host}.example.org:9464", f"localhost:{node.admin_port}")
        return text

    def start(self, host: str) -> Node:
        kind, name = ("shard", SHARDS[host]) if host in SHARDS else ("router", host)
        self._bring_secrets(host, kind)
        text = files()[kind].replace("0.0.0.0", "127.0.0.1")
        text = self.addressed(text).replace(SECRETS, self._root(host) + SECRETS)
        (Path(self._root(host)) / f"etc/ringstore/{kind}.yaml").write_text(text)
        unit = "ringstore-shard@.service" if kind == "shard" else "ringstore-router.service"
        (command,) = re.findall(
            r"^ExecStart=/usr/bin/ringstore (.*)$", (UNITS / unit).read_text(), re.MULTILINE
        )
        words = shlex.split(command.replace("%i", name))
        words = [self._root(host) + word if word.startswith("/") else word for word in words]
        self.nodes[host] = Node(
            *words, environment={"RINGSTORE_PORT": "0", "RINGSTORE_ADMIN_PORT": "0"}
        )
        return self.nodes[host]


def cli(machines: Machines, folder: Path, *command: str) -> subprocess.CompletedProcess:
    """A command of the user `app`, by the second router."""
    private = folder / "private"
    return subprocess.run(
        [
            binary(), "cli", "--server", f"localhost:{machines.nodes[ROUTERS[1]].port}",
            "--tls-ca", private / "certificates" / "client" / "ca.pem",
            "--token-file", private / "app.token", *command,
        ],
        env=clean_environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )


class Reader(Shell):
    """Who copies the page's lines, with secrets below a folder of this run."""

    def __init__(self, machines: Machines | None, folder: Path):
        super().__init__(50051, None, folder)
        self._machines = machines
        self._private = folder / "private"

    def placed(self, text: str) -> str:
        text = text.replace(".build-try", str(self._folder / "try"))
        text = re.sub(r"\bprivate\b", str(self._private), text)
        if self._machines:
            text = text.replace("ringstore.example.org:50051", "router-2.example.org:50051")
            text = self._machines.addressed(text)
        return text

    def environment(self) -> dict[str, str]:
        own = super().environment()
        return own | {"PATH": f"{Path(binary()).parent}:{own['PATH']}"}


@pytest.fixture(scope="module")
def page() -> list[Block]:
    return [block for block in blocks(PAGE) if block.expected is not None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("production")


@pytest.fixture(scope="module")
def machines(page, folder):
    first, *_ = page
    assert "deploy/certificates" in first.commands
    wrong = disagreements([first], Reader(None, folder))
    assert not wrong, wrong
    made = Machines(folder / "machines", folder / "private")
    with ExitStack() as started:
        for host in [*SHARDS, *ROUTERS]:
            started.callback(made.start(host).stop)
        yield made


def test_its_lines_print_what_the_page_says(machines, page, folder):
    wrong = disagreements(page[1:], Reader(machines, folder))
    assert not wrong, wrong


def test_the_packages_own_files_are_like_the_pages():
    """What the page sets is offered, or set, in the files that the package installs."""
    for kind, text in files().items():
        packaged = (ROOT / "deploy" / "debian" / "etc" / f"{kind}.yaml").read_text()
        offered = set(re.findall(r"^(?:# )?([a-z_]+):", packaged, re.MULTILINE))
        assert set(re.findall(r"^([a-z_]+):", text, re.MULTILINE)) <= offered


@pytest.fixture(scope="module")
def prometheus(machines, folder):
    """With the example of deploy/prometheus, and the files that the page gives it."""
    place = folder / "prometheus"
    shutil.copytree(ROOT / "deploy" / "prometheus", place)
    shutil.copytree(folder / "private" / "certificates" / "client", place / "secrets")
    shutil.copy(folder / "private" / "probe.token", place / "secrets" / "token")
    config = place / "prometheus.yaml"
    config.write_text(machines.addressed(config.read_text()).replace("15s", "1s"))
    with Prometheus(config, place) as running:
        yield running


def expressions() -> list[str]:
    return [rule["expr"] for rule in ALERTS.values()] + [placed(text) for _, text in EXPRESSIONS]


def test_prometheus_understands_every_node_and_every_expression(machines, folder, prometheus):
    # An error, so that errors are counted too.
    ended = cli(machines, folder, "LPUSH", "greeting", "x")
    assert "WRONG_TYPE" in ended.stdout
    nodes = [*SHARDS, *ROUTERS]

    def all_up() -> bool:
        return len(prometheus.query('up{job="ringstore"} == 1')) == len(nodes)

    eventually(all_up, "every node scraped", SECONDS)
    named = {name for text in expressions() for name, _ in asked(text).series}

    def missing() -> set[str]:
        return named - set(prometheus.ask("label/__name__/values"))

    eventually(lambda: not missing(), "every metric that is asked for", SECONDS)
    for text in expressions():
        prometheus.query(text)


def test_a_cluster_that_is_well_sets_no_alert_off(prometheus):
    def evaluated() -> bool:
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == len(ALERTS)
        assert not [rule for rule in rules if rule["health"] == "err"]
        return all(rule["health"] == "ok" for rule in rules)

    eventually(evaluated, "every rule evaluated", SECONDS)
    alerts = prometheus.ask("alerts")["alerts"]
    assert [alert for alert in alerts if alert["state"] == "firing"] == []


def test_clients_continue_when_a_router_dies(machines, folder):
    """With gRPC's own round_robin over all routers, as the page's client has it."""
    private = folder / "private"
    token = (private / "app.token").read_text().strip()
    addresses = ",".join(f"127.0.0.1:{machines.nodes[name].port}" for name in ROUTERS)
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials((private / "certificates/client/ca.pem").read_bytes()),
        grpc.access_token_call_credentials(token),
    )
    policy = {"loadBalancingConfig": [{"round_robin": {}}]}
    options = [
        ("grpc.service_config", json.dumps(policy)),
        ("grpc.ssl_target_name_override", "ringstore.example.org"),
    ]
    with grpc.secure_channel(f"ipv4:{addresses}", credentials, options) as channel:
        store = keystore_pb2_grpc.KeyStoreStub(channel)

        def write(number: int) -> bool:
            pair = keystore_pb2.KeyValue(key=b"failover", value=b"%d" % number)
            try:
                store.Set(pair, timeout=SECONDS, wait_for_ready=True)
                return True
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                return False

        for number in range(20):
            eventually(lambda number=number: write(number), "a write", SECONDS)
        machines.nodes[ROUTERS[0]].kill()
        eventually(lambda: write(20), "a write after the router's death", SECONDS)
        # From then on the other has all of them.
        for number in range(20):
            assert write(number)
        assert store.Get(keystore_pb2.Key(key=b"failover"), timeout=SECONDS).value == b"19"


def test_the_page_runs_what_it_can(page):
    assert len(page) >= 6
