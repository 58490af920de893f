"""The nodes of deploy/kubernetes as processes of this machine: with the manifests' own arguments,
settings, secrets and probes. Paths and addresses are put in place; all else is theirs."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.polling import eventually
from harness.process import Node, binary, clean_environment
from manifests import data_of, of_kind, pod_of

SECONDS = 60.0


class Pod:
    """A pod of a workload: its files, its environment, its node once it is started."""

    def __init__(self, cluster, secrets, workload: str, name: str, folder):
        made = (of_kind(cluster, "StatefulSet") | of_kind(cluster, "Deployment"))[workload]
        pod = pod_of(made)
        (self.container,) = pod["containers"]
        self.name = name
        self.folder = folder / name
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in self.container["volumeMounts"]:
            place = self._placed_path(mount["mountPath"])
            os.makedirs(place)
            volume = volumes.get(mount["name"], {})
            if "configMap" in volume:
                data = of_kind(cluster, "ConfigMap")[volume["configMap"]["name"]]["data"]
                self._write(place, {key: text.encode() for key, text in data.items()})
            elif "secret" in volume:
                self._write(place, data_of(secrets[volume["secret"]["secretName"]]))
        self.addresses: dict[str, str] = {}

    def _placed_path(self, path: str) -> str:
        return str(self.folder) + path

    def _write(self, place: str, files: dict[str, bytes]) -> None:
        for key, data in files.items():
            with open(f"{place}/{key}", "wb") as file:
                file.write(data)

    def _placed(self, text: str) -> str:
        for path in ("/etc/ringstore/", "/var/lib/ringstore"):
            text = text.replace(path, self._placed_path(path))
        for name, address in self.addresses.items():
            text = text.replace(f"{name}.ringstore-shards:50051", address)
        return text

    def environment(self) -> dict[str, str]:
        """The container's, and where this pod is in place of an address of its own."""
        given = {
            entry["name"]: self._placed(entry["value"]) if "value" in entry else self.name
            for entry in self.container["env"]
        }
        return given | {
            "RINGSTORE_HOST": "127.0.0.1", "RINGSTORE_PORT": "0",
            "RINGSTORE_ADMIN_ADDRESS": "127.0.0.1", "RINGSTORE_ADMIN_PORT": "0",
        }

    def start(self) -> Node:
        config = self._placed_path("/etc/ringstore/config")
        for file in os.listdir(config):
            with open(f"{config}/{file}", "r+") as opened:
                text = self._placed(opened.read())
                opened.seek(0)
                opened.write(text)
                opened.truncate()
        arguments = [self._placed(word) for word in self.container["args"]]
        self.node = Node(*arguments, environment=self.environment())
        return self.node

    def probe(self, which: str) -> subprocess.CompletedProcess:
        """What the kubelet would run."""
        command = [self._placed(word) for word in self.container[which]["exec"]["command"]]
        environment = self.environment() | {"RINGSTORE_SERVER": f"127.0.0.1:{self.node.port}"}
        return subprocess.run(
            [binary(), *command[1:]], env=clean_environment(environment), capture_output=True,
            text=True, timeout=SECONDS, check=False,
        )

    def ready(self) -> bool:
        return self.probe("readinessProbe").returncode == 0

    def alive(self) -> bool:
        return self.probe("livenessProbe").returncode == 0


@pytest.fixture(scope="module")
def pods(cluster, secrets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pods")
    replicas = of_kind(cluster, "StatefulSet")["ringstore-shard"]["spec"]["replicas"]
    shards = [
        Pod(cluster, secrets, "ringstore-shard", f"ringstore-shard-{number}", folder)
        for number in range(replicas)
    ]
    router = Pod(cluster, secrets, "ringstore-router", "router", folder)
    with ExitStack() as started:
        for shard in shards:
            started.callback(shard.start().stop)
            router.addresses[shard.name] = f"localhost:{shard.node.port}"
        started.callback(router.start().stop)
        yield {pod.name: pod for pod in [router, *shards]}


def cli(pods, private, user: str | None, *command: str) -> subprocess.CompletedProcess:
    """A client outside the pods, as a user with a token."""
    words = ["--server", f"localhost:{pods['router'].node.port}"]
    words += ["--tls-ca", str(private / "certificates" / "client" / "ca.pem")]
    if user:
        words += ["--token-file", str(private / "tokens" / user)]
    return subprocess.run(
        [binary(), "cli", *words, *command], env=clean_environment(), capture_output=True,
        text=True, timeout=SECONDS, check=False,
    )


def test_every_pod_is_ready_and_alive(pods):
    for pod in pods.values():
        eventually(pod.ready, f"{pod.name} ready", SECONDS)
        assert pod.alive()


def test_users_may_what_the_file_says_and_no_more(pods, private):
    eventually(pods["router"].ready, "router ready", SECONDS)
    for number in range(30):
        assert cli(pods, private, "app", "SET", f"key-{number}", "value").stdout == "OK\n"
    refused = {
        (None, "GET", "key-1"): "UNAUTHENTICATED",
        ("app", "STATS"): "",
        ("app", "RESET"): "PERMISSION_DENIED",
        ("app", "SHUTDOWN"): "PERMISSION_DENIED",
        ("probe", "GET", "key-1"): "PERMISSION_DENIED",
        ("probe", "SET", "probe", "x"): "PERMISSION_DENIED",
        ("operator", "GET", "key-1"): "",
    }
    for (user, *command), reason in refused.items():
        ended = cli(pods, private, user, *command)
        said = ended.stdout + ended.stderr
        assert reason in said and (ended.returncode != 0) == bool(reason), (user, command, said)


def test_the_shards_serve_no_one_without_a_certificate(pods):
    shard = pods["ringstore-shard-1"]
    address = f"localhost:{shard.node.port}"
    ended = subprocess.run(
        [binary(), "health", "--server", address, "--tls-ca",
         shard.environment()["RINGSTORE_CLIENT_TLS_CA"], "--token-file",
         f"{shard.folder}/etc/ringstore/secrets/probe-token"],
        env=clean_environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )
    assert ended.returncode == 1


def test_a_router_that_reaches_no_shard_is_alive_and_not_ready(cluster, secrets, tmp_path):
    router = Pod(cluster, secrets, "ringstore-router", "lonely", tmp_path)
    unreachable = {f"ringstore-shard-{n}": f"127.0.0.1:{n + 1}" for n in range(3)}
    router.addresses = unreachable
    node = router.start()
    try:
        eventually(router.alive, "router alive", SECONDS)
        assert not router.ready()
    finally:
        node.stop()


def expire(certificate: Path, key: Path, authority: Path, folder: Path) -> None:
    """The same certificate, which ended a day ago."""
    request = folder / "request.pem"
    copied = ["-copy_extensions", "copyall"]
    signed = ["-CA", authority / "certificate.pem", "-CAkey", authority / "key.pem"]
    for words in (
        ["-x509toreq", "-in", certificate, "-signkey", key, *copied, "-out", request],
        ["-req", "-in", request, *signed, "-days", "-1", *copied, "-out", certificate],
    ):
        subprocess.run(["openssl", "x509", *words], check=True, capture_output=True)


def test_no_credential_of_the_probe_makes_a_node_dead(pods, private, tmp_path):
    """Otherwise a wrong token or an expired certificate would have every pod killed."""
    for pod in pods.values():
        eventually(pod.alive, f"{pod.name} alive", SECONDS)
        secrets, tls = (pod._placed_path(f"/etc/ringstore/{name}") for name in ("secrets", "tls"))
        token, certificate = Path(secrets, "probe-token"), Path(tls, "tls.crt")
        authority = Path(tls, "ca.crt")
        kept = {path: path.read_bytes() for path in (token, certificate, authority)}
        try:
            token.write_text("probe.rst_" + "0" * 64)
            assert pod.alive()
            expire(certificate, Path(tls, "tls.key"), private / "certificates" / "ca", tmp_path)
            assert pod.alive()
            authority.write_text("no certificate")
            assert pod.alive()
        finally:
            for path, data in kept.items():
                path.write_bytes(data)


def test_a_node_that_stands_still_is_not_alive(pods):
    pod = pods["ringstore-shard-0"]
    eventually(pod.alive, "the shard alive", SECONDS)
    pod.node.pause()
    try:
        assert not pod.alive()
    finally:
        pod.node.resume()


def test_a_shard_that_comes_back_has_its_keys_and_its_id(pods, private):
    eventually(pods["router"].ready, "router ready", SECONDS)
    cli(pods, private, "app", "SET", "kept", "yes")
    for shard in [pod for pod in pods.values() if pod.name != "router"]:
        port = shard.node.port
        shard.node.kill()
        shard.node._environment["RINGSTORE_PORT"] = str(port)
        shard.node._start()
        eventually(shard.ready, f"{shard.name} ready", SECONDS)

    def served() -> bool:
        return cli(pods, private, "app", "GET", "kept").stdout == '"yes"\n'

    eventually(served, "the key served again", SECONDS)
