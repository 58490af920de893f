"""The manifests of deploy/kubernetes: Kubernetes would take them, and they say what they mean:
every name belongs to an object, every setting is one, what runs may do little, and the numbers fit
together."""

import copy
import os
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml
from harness.process import run as run_program
from manifests import FOLDER, data_of, objects, of_kind, pod_of
from repository import ROOT, run

# The oldest Kubernetes that has all that is used here, and the newest whose schemas are to be had.
VERSIONS = ["1.31", "1.37"]
NODES = {"ringstore-shard": "shard", "ringstore-router": "router"}
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def size(text: object) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w*)", str(text)).groups()
    return int(number) * UNITS.get(unit, 1)


def workload(cluster, name: str) -> dict:
    return (of_kind(cluster, "StatefulSet") | of_kind(cluster, "Deployment"))[name]


def container(cluster, name: str) -> dict:
    (found,) = pod_of(workload(cluster, name))["containers"]
    return found


def settings(cluster, name: str) -> dict:
    (found,) = (
        made["data"] for made in cluster
        if made["kind"] == "ConfigMap" and made["metadata"]["name"].startswith(name + "-")
    )
    (text,) = found.values()
    return yaml.safe_load(text)


def sample(kind: str) -> dict:
    """All settings of that kind of node, with their defaults."""
    return yaml.safe_load((ROOT / "config" / f"{kind}.yaml").read_text())


# --- Kubernetes takes them -----------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one(cluster, secrets, version):
    assert len(cluster) >= 12
    for made in [*cluster, *secrets.values()]:
        kubernetes_validate.validate(made, version, strict=True)


def test_an_object_that_is_none_is_refused(cluster):
    wrong = copy.deepcopy(workload(cluster, "ringstore-shard"))
    wrong["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is missing; Debian's is too old")
@pytest.mark.parametrize("folder", ["cluster", "cert-manager"])
def test_kustomize_makes_the_same_objects(folder):
    made = yaml.safe_load_all(run("kubectl", "kustomize", FOLDER / folder))

    def seen(found):
        return sorted(
            (one["kind"], re.sub(r"-[0-9a-z]{10}$", "", one["metadata"]["name"]))
            for one in found
        )

    assert seen(made) == seen(objects(FOLDER / folder))


# --- every name belongs to an object -------------------------------------------------------------


@pytest.mark.parametrize("name", NODES)
def test_what_is_mounted_is_there(cluster, secrets, name):
    pod = pod_of(workload(cluster, name))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        if "configMap" in volume:
            assert volume["configMap"]["name"] in of_kind(cluster, "ConfigMap")
        else:
            assert volume["secret"]["secretName"] in secrets
    claims = {
        claim["metadata"]["name"]
        for claim in workload(cluster, name)["spec"].get("volumeClaimTemplates", [])
    }
    mounted = [mount["name"] for mount in container(cluster, name)["volumeMounts"]]
    assert sorted(mounted) == sorted({*volumes, *claims})


def files_in(cluster, secrets, name: str) -> set[str]:
    """Every file that the container sees beside those of the image."""
    volumes = {volume["name"]: volume for volume in pod_of(workload(cluster, name))["volumes"]}
    found = set()
    for mount in container(cluster, name)["volumeMounts"]:
        volume = volumes.get(mount["name"], {})
        if "configMap" in volume:
            data = of_kind(cluster, "ConfigMap")[volume["configMap"]["name"]]["data"]
        elif "secret" in volume:
            data = secrets[volume["secret"]["secretName"]]["data"]
        else:
            continue
        found |= {f"{mount['mountPath']}/{key}" for key in data}
    return found


@pytest.mark.parametrize("name", NODES)
def test_files_that_are_named_are_there(cluster, secrets, name):
    there = files_in(cluster, secrets, name)
    node = container(cluster, name)
    words = [*node["args"], *(entry.get("value", "") for entry in node["env"])]
    words += [word for probe in ("readinessProbe", "livenessProbe")
              for word in node[probe]["exec"]["command"]]
    words += [str(value) for value in settings(cluster, name).values()]
    named = {word for text in words for word in re.findall(r"/etc/ringstore/[\w./-]+", text)}
    assert len(named) > 5
    assert named <= there


def test_routers_and_shards_have_a_budget_each(cluster):
    budgets = of_kind(cluster, "PodDisruptionBudget")
    chosen = {
        name: one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for name, one in budgets.items()
    }
    assert chosen == {"ringstore-shard": "shard", "ringstore-router": "router"}
    assert budgets["ringstore-shard"]["spec"]["maxUnavailable"] == 1
    assert budgets["ringstore-router"]["spec"]["minAvailable"] == 1


def test_services_and_budgets_and_policies_find_their_pods(cluster):
    selectors = [one["spec"]["selector"] for one in of_kind(cluster, "Service").values()]
    selectors += [
        one["spec"]["selector"]["matchLabels"]
        for one in of_kind(cluster, "PodDisruptionBudget").values()
    ]
    for policy in of_kind(cluster, "NetworkPolicy").values():
        selectors.append(policy["spec"]["podSelector"].get("matchLabels", {}))
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            peers = rule.get("from", []) + rule.get("to", [])
            selectors += [
                peer["podSelector"]["matchLabels"] for peer in peers
                if "podSelector" in peer and "namespaceSelector" not in peer
            ]
    labels = [
        workload(cluster, name)["spec"]["template"]["metadata"]["labels"] for name in NODES
    ]
    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels), selector
    for name in NODES:
        spec = workload(cluster, name)["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"][
            "labels"].items()
        for constraint in spec["template"]["spec"]["topologySpreadConstraints"]:
            assert constraint["labelSelector"]["matchLabels"] in labels


def test_ports_that_are_named_are_the_nodes_own(cluster):
    for name in NODES:
        ports = {port["name"]: port["containerPort"] for port in container(cluster, name)["ports"]}
        own = settings(cluster, name)
        assert ports == {"grpc": own["port"], "admin": own["admin_port"]}
    named = [
        port["targetPort"] for one in of_kind(cluster, "Service").values()
        for port in one["spec"]["ports"]
    ]
    policies = of_kind(cluster, "NetworkPolicy").values()
    named += [
        port["port"] for policy in policies for way in ("ingress", "egress")
        for rule in policy["spec"].get(way, []) for port in rule["ports"] if port["port"] != 53
    ]
    assert set(named) == set(ports)


def test_the_routers_list_names_every_shard_by_its_pod(cluster):
    spec = workload(cluster, "ringstore-shard")["spec"]
    service = of_kind(cluster, "Service")[spec["serviceName"]]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    port = settings(cluster, "ringstore-shard")["port"]
    pods = [f"ringstore-shard-{number}" for number in range(spec["replicas"])]
    assert settings(cluster, "ringstore-router")["shards"] == [
        f"{pod}={pod}.{spec['serviceName']}:{port}" for pod in pods
    ]
    (named,) = (
        entry for entry in container(cluster, "ringstore-shard")["env"]
        if entry["name"] == "RINGSTORE_ID"
    )
    assert named["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


# --- every setting is one ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), NODES.items())
def test_settings_flags_and_variables_are_known(cluster, program, name, kind):
    help_text = run_program(kind, "--help").stdout
    client_text = run_program("health", "--help").stdout
    node = container(cluster, name)
    assert node["args"][0] == kind
    for flag in [word for word in node["args"] if word.startswith("--")]:
        assert f"{flag} <" in help_text
    for key in settings(cluster, name):
        assert f"--{key.replace('_', '-').replace('shards', 'shard')} " in help_text, key
    for entry in node["env"]:
        word = entry["name"].removeprefix("RINGSTORE_").lower().replace("_", "-")
        flag, text = (
            (word.removeprefix("client-"), client_text) if word.startswith("client-")
            else (word, help_text)
        )
        assert f"--{flag} <" in text, entry["name"]


@pytest.mark.parametrize("folder", ["cluster", "cert-manager"])
def test_the_certificates_names_are_those_that_are_connected_to(cluster, folder, private):
    shards = [settings(cluster, "ringstore-router")["shard_tls_server_name"]]
    clients = ["ringstore.ringstore.svc.cluster.local", "ringstore-routers.ringstore"]
    for owner, names in {"shard": [*shards, "localhost"], "router": clients}.items():
        if folder == "cluster":
            file = private / "certificates" / owner / "certificate.pem"
            for name in names:
                said = run("openssl", "x509", "-in", file, "-noout", "-checkhost", name)
                assert "does match" in said
            text = run("openssl", "x509", "-in", file, "-noout", "-ext", "subjectAltName")
            assert f"spiffe://ringstore/{owner}" in text and "127.0.0.1" in text
        else:
            made = of_kind(objects(FOLDER / folder), "Certificate")[f"ringstore-{owner}"]["spec"]
            given = made["dnsNames"]
            for name in names:
                assert name in given
            assert made["uris"] == [f"spiffe://ringstore/{owner}"]
            assert made["ipAddresses"] == ["127.0.0.1"]
            assert made["secretName"] == f"ringstore-{owner}-tls"


def test_cert_managers_objects_refer_to_each_other():
    made = objects(FOLDER / "cert-manager")
    secrets = {one["spec"]["secretName"] for one in of_kind(made, "Certificate").values()}
    issuers = of_kind(made, "Issuer")
    for one in of_kind(made, "Certificate").values():
        assert one["spec"]["issuerRef"]["name"] in issuers
    for one in issuers.values():
        assert "selfSigned" in one["spec"] or one["spec"]["ca"]["secretName"] in secrets


# --- the nodes may do little ---------------------------------------------------------------------


def test_the_image_and_its_user_are_those_of_the_dockerfile(cluster):
    dockerfile = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+):\1$", dockerfile, re.MULTILINE)
    assert 'ENTRYPOINT ["ringstore"]' in dockerfile
    for name in NODES:
        security = pod_of(workload(cluster, name))["securityContext"]
        assert {str(security[key]) for key in ("runAsUser", "runAsGroup", "fsGroup")} == {user}
        assert container(cluster, name)["image"].endswith("/ringstore:0.1.0")
        assert "command" not in container(cluster, name)


def test_the_images_version_is_the_programs(cluster, program):
    version = run_program("--version").stdout.strip()
    for name in NODES:
        assert container(cluster, name)["image"].rpartition(":")[2] == version


@pytest.mark.parametrize("name", NODES)
def test_a_pod_keeps_to_the_restricted_standard(cluster, name):
    pod = pod_of(workload(cluster, name))
    node = container(cluster, name)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert node["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in pod["volumes"]:
        assert set(volume) & {"configMap", "secret"}, volume
        if "secret" in volume:
            # The group's, which is fsGroup, and no other's.
            assert volume["secret"]["defaultMode"] == 0o440
    for mount in node["volumeMounts"]:
        assert mount.get("readOnly") or mount["name"] == "data"
    (space,) = of_kind(cluster, "Namespace").values()
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_routers_reach_shards(cluster):
    policies = of_kind(cluster, "NetworkPolicy")
    nothing = policies["ringstore-nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = policies["ringstore-shard"]["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer == {
        "podSelector": {
            "matchLabels": workload(cluster, "ringstore-router")["spec"]["template"]["metadata"][
                "labels"]
        }
    }
    assert "egress" not in policies["ringstore-shard"]["spec"]
    (metrics,) = policies["ringstore-metrics"]["spec"]["ingress"]
    assert metrics["ports"] == [{"port": "admin"}]


def test_probes_ask_whether_nodes_live_and_whether_they_serve(cluster):
    """A node that replies is alive, in every state and whatever the probe's credentials are."""
    for name in NODES:
        node = container(cluster, name)
        assert node["readinessProbe"]["exec"]["command"][:2] == ["ringstore", "health"]
        assert node["livenessProbe"]["exec"]["command"] == ["ringstore", "health", "--alive"]
        assert "startupProbe" not in node
        for probe in (node["readinessProbe"], node["livenessProbe"]):
            # `health` gives up after 5 seconds.
            assert probe["timeoutSeconds"] >= 10
    patience = container(cluster, "ringstore-shard")["livenessProbe"]
    assert patience["periodSeconds"] * patience["failureThreshold"] >= 120


# --- the numbers fit together --------------------------------------------------------------------


@pytest.mark.parametrize("name", NODES)
def test_a_pod_has_the_time_to_drain(cluster, name):
    pause = container(cluster, name).get("lifecycle", {}).get("preStop", {})
    seconds = int(pause["exec"]["command"][1]) if pause else 0
    drain = settings(cluster, name)["drain_seconds"]
    assert pod_of(workload(cluster, name))["terminationGracePeriodSeconds"] >= seconds + drain + 10


def test_a_shards_memory_fits_into_its_limit(cluster):
    own = sample("shard") | settings(cluster, "ringstore-shard")
    needed = 2 * size(own["max_memory"]) + 64 * 2**20 + sum(
        size(own[key])
        for key in ("client_memory_bytes", "reply_memory_bytes", "max_pinned_bytes")
    )
    limits = container(cluster, "ringstore-shard")["resources"]
    assert size(limits["limits"]["memory"]) >= needed
    assert limits["requests"]["memory"] == limits["limits"]["memory"]
    (claim,) = workload(cluster, "ringstore-shard")["spec"]["volumeClaimTemplates"]
    room = size(claim["spec"]["resources"]["requests"]["storage"])
    assert room >= 4 * size(own["max_memory"]) + 256 * 2**20


def test_a_routers_memory_fits_into_its_limit(cluster):
    own = sample("router") | settings(cluster, "ringstore-router")
    needed = size(own["client_memory_bytes"]) + own["threads"] * (
        size(own["reply_memory_bytes"]) + size(own["large_reply_memory_bytes"])
        + len(own["shards"]) * size(own["max_bytes_per_shard"])
    )
    limits = container(cluster, "ringstore-router")["resources"]
    assert size(limits["limits"]["memory"]) >= needed
    assert int(limits["requests"]["cpu"]) >= own["threads"]


# --- the script that makes the secrets -----------------------------------------------------------


def test_the_secrets_are_made_once(private, secrets, program):
    run(FOLDER / "secrets", private, environment=os.environ | {"RINGSTORE": program})
    again = {
        one["metadata"]["name"]: one
        for one in yaml.safe_load_all((private / "secrets.yaml").read_text())
    }
    assert again == secrets
    assert (private / "secrets.yaml").stat().st_mode & 0o077 == 0


def test_tokens_are_in_the_folder_and_not_in_the_cluster(private, secrets):
    nodes = data_of(secrets["ringstore-nodes"])
    assert nodes["probe-token"].decode() == (private / "tokens" / "probe").read_text()
    for user in ("app", "operator"):
        token = (private / "tokens" / user).read_text().strip()
        assert token.startswith(f"{user}.rst_")
        assert token.encode() not in b"".join(nodes.values())
    assert re.fullmatch(rb"[0-9a-f]{32}\n", nodes["hash-seed"])


@pytest.mark.parametrize("words", [(), ("--namespace", "No"), ("--nothing", "x"), ("a", "b")])
def test_a_wrong_line_makes_nothing(words, tmp_path):
    ended = subprocess.run(
        [FOLDER / "secrets", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and "--help" in ended.stderr or "not 'No'" in ended.stderr
    assert list(tmp_path.iterdir()) == []
