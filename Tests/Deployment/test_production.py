"""docs/PRODUCTION.md does what it says: its secrets, its files and its lines, with the machines it
speaks of as processes of this one, started as the services start them."""

import json
import re
import shlex
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from harness.pages import ROOT, Block, Shell, blocks, disagreements
from harness.polling import eventually
from harness.process import Node, binary
from ringstore.v1 import keystore_pb2, keystore_pb2_grpc

pytestmark = pytest.mark.timeout(400)

PAGE = ROOT / "docs" / "PRODUCTION.md"
UNITS = ROOT / "deploy" / "systemd"
SHARDS = {f"shard-{name}": name for name in "abc"}
ROUTERS = ["router-1", "router-2"]
SECRETS = "/etc/ringstore/secrets"
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
        place = Path(self._root(host) + SECRETS)
        place.mkdir(parents=True)
        own = list((self._private / "certificates" / kind).iterdir())
        for file in [*own, self._private / "users", self._private / "hash-seed"]:
            (place / file.name).write_bytes(file.read_bytes())

    def addressed(self, text: str) -> str:
        """The page's names and ports as those of this machine."""
        for host, node in self.nodes.items():
            port = "50061" if host in SHARDS else "50051"
            text = text.replace(f"{host}.example.org:{port}", f"localhost:{node.port}")
        return text

    def start(self, host: str) -> Node:
        kind, name = ("shard", SHARDS[host]) if host in SHARDS else ("router", host)
        self._bring_secrets(host, kind)
        text = files()[kind].replace("host: 0.0.0.0", "host: 127.0.0.1")
        text = self.addressed(text).replace(SECRETS, self._root(host) + SECRETS)
        (Path(self._root(host)) / f"etc/ringstore/{kind}.yaml").write_text(text)
        unit = "ringstore-shard@.service" if kind == "shard" else "ringstore-router.service"
        (command,) = re.findall(
            r"^ExecStart=/usr/bin/ringstore (.*)$", (UNITS / unit).read_text(), re.MULTILINE
        )
        words = shlex.split(command.replace("%i", name))
        words = [self._root(host) + word if word.startswith("/") else word for word in words]
        self.nodes[host] = Node(*words, environment={"RINGSTORE_PORT": "0"})
        return self.nodes[host]


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


def test_clients_go_on_when_a_router_dies(machines, folder):
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
