"""The admin port, as Prometheus, probes, operators and attackers meet it."""

import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest
from harness.certificates import Certificates
from harness.client import Client
from harness.cluster import start_local, start_router, start_shard
from harness.lines import Lines
from harness.metrics import catalogue, check_histograms, get, page, parse, scrape, trusting
from harness.polling import eventually
from harness.process import run
from ringstore.v1 import keystore_pb2 as pb

ADMIN = ("--admin-port", "0")
OPEN_METRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1"

# They have a series once something was counted.
COUNTED_LATER = {
    "ringstore_calls_total",
    "ringstore_call_duration_seconds",
    "ringstore_call_errors_total",
    "ringstore_slices_total",
    "ringstore_admin_requests_total",
}
OF_USERS = {"ringstore_access_refused_total", "ringstore_users_reloads_total"}
OF_TLS = {
    "ringstore_tls_certificate_not_after_timestamp_seconds",
    "ringstore_tls_reloads_total",
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A router and a shard that keeps its data, with admin ports and calls of all kinds."""
    folder = tmp_path_factory.mktemp("admin-port")
    shard = start_shard("a", *ADMIN, "--data-dir", str(folder / "a"), "--fsync", "always")
    router = start_router({"a": shard}, *ADMIN)
    try:
        with Client(router.address) as client:
            client.set(b"string", b"x" * 100)
            client.get(b"string")
            client.get(b"nothing")
            keys = [pb.Key(key=key) for key in (b"string", b"nothing")]
            client.stub.MGet(pb.MGetRequest(keys=keys), timeout=30)
            client.keys(glob=b"*")
            with Lines(router.line_port) as lines:
                lines.ask(b"LPUSH", b"string", b"a")
        yield router, shard
    finally:
        router.stop()
        shard.stop()


# What is served, and the catalogue


def differences(families, kinds, without=frozenset()):
    """How a scrape of nodes of some kinds differs from the catalogue."""
    known = catalogue()
    assert len(known) > 60
    found = []
    for name, family in families.items():
        row = known.get(name)
        if row is None:
            found.append(f"{name} is served and not in the catalogue")
            continue
        if row.type != family.type:
            found.append(f"{name} is a {family.type}, not a {row.type}")
        own = {"node", "role"} if "P" not in row.of else set()
        if family.labels - {"le"} != row.labels | own:
            found.append(f"{name} has the labels {family.labels}, not {row.labels | own}")
        if not row.of & kinds:
            found.append(f"{name} is served by {kinds}, and belongs to {row.of}")
    for name, row in known.items():
        if row.of & kinds and name not in families and name not in without:
            found.append(f"{name} is in the catalogue and not served by {kinds}")
    return found


def test_nodes_serve_what_the_catalogue_says(nodes):
    router, shard = nodes
    requests = "ringstore_admin_requests_total"
    for node in nodes:
        # Scrapes that come close together get the same figures.
        eventually(lambda port=node.admin_port: requests in scrape(port), "a request counted", 30)
    off = OF_USERS | OF_TLS
    assert differences(scrape(router.admin_port), {"R", "P"}, off) == []
    assert differences(scrape(shard.admin_port), {"S", "D", "P"}, off) == []


def test_a_shard_in_memory_and_a_local_cluster_serve_their_part():
    shard = start_shard("b", *ADMIN)
    local = start_local(2, *ADMIN)
    try:
        without = OF_USERS | OF_TLS | COUNTED_LATER
        assert differences(scrape(shard.admin_port), {"S", "P"}, without) == []
        families = scrape(local.admin_port)
        assert differences(families, {"R", "S", "P"}, without) == []
        ready = families["ringstore_node_ready"]
        assert {dict(labels)["node"] for _, labels in ready.samples} == {"router", "s1", "s2"}
        assert families["ringstore_slots_owned"].value() == 16384
    finally:
        local.stop()
        shard.stop()


def test_a_metric_that_is_missing_or_made_up_is_reported(nodes):
    families = scrape(nodes[1].admin_port)
    del families["ringstore_keys"]
    families["ringstore_views"].type = "counter"
    families["ringstore_novel"] = families["ringstore_views"]
    found = "\n".join(differences(families, {"S", "D", "P"}, OF_USERS | OF_TLS))
    assert "ringstore_keys is in the catalogue and not served" in found
    assert "ringstore_views is a counter" in found
    assert "ringstore_novel is served and not in the catalogue" in found


@pytest.mark.parametrize("accept", ["", "text/plain", "*/*", OPEN_METRICS])
def test_a_scrape_is_well_formed_in_both_texts(nodes, accept):
    for node in nodes:
        status, headers, text = get(node.admin_port, "/metrics", headers={"Accept": accept})
        assert status == 200
        is_open = accept == OPEN_METRICS
        assert headers["content-type"].startswith(
            "application/openmetrics-text; version=1.0.0"
            if is_open
            else "text/plain; version=0.0.4"
        )
        families = parse(text, is_open)
        assert check_histograms(families) >= 2
        assert all(family.type and family.help for family in families.values())
        if is_open:
            units = {family.unit for family in families.values()}
            assert units >= {"seconds", "bytes"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing(nodes):
    for node in nodes:
        _, _, text = get(node.admin_port, "/metrics")
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# What the figures say


def test_calls_are_counted_by_router_and_shard_with_their_time_and_outcome(nodes):
    router, shard = nodes
    for node in nodes:
        families = scrape(node.admin_port)
        assert families["ringstore_calls_total"].value(command="set") == 1
        # Of the three gets on the router one is a part of an MGET's.
        durations = families["ringstore_call_duration_seconds"]
        name = "ringstore_call_duration_seconds_count"
        count = {
            (dict(labels)["command"], dict(labels)["outcome"]): value
            for (own, labels), value in durations.samples.items()
            if own == name
        }
        assert count[("set", "ok")] == 1
        assert count[("get", "ok")] >= 2
        assert count[("lpush", "error")] == 1
        errors = families["ringstore_call_errors_total"]
        assert errors.value(reason="WRONG_TYPE", code="FAILED_PRECONDITION") == 1
    assert scrape(router.admin_port)["ringstore_calls_total"].value(command="mget") == 1
    assert scrape(shard.admin_port)["ringstore_slices_total"].value(part="keys") >= 1


def test_the_log_and_the_gate_of_a_shard_that_syncs_always(nodes):
    families = scrape(nodes[1].admin_port)
    assert families["ringstore_keys"].value() == 1
    assert families["ringstore_log_batches_total"].value(way="queued") >= 1
    assert families["ringstore_log_appended_bytes_total"].value() > 100
    assert families["ringstore_log_segments"].value() >= 1
    free = families["ringstore_log_disk_free_bytes"].value()
    assert 0 < free < families["ringstore_log_disk_size_bytes"].value()
    assert families["ringstore_log_files_bytes"].value() > 100
    # There was no backup.
    assert families["ringstore_backup_last_completed_timestamp_seconds"].value() == 0
    for name in ("ringstore_log_sync_duration_seconds", "ringstore_gate_wait_seconds"):
        samples = families[name].samples
        assert sum(v for (own, _), v in samples.items() if own == name + "_count") >= 1, name


def test_bytes_connections_and_links_are_counted(nodes):
    router, shard = nodes
    families = scrape(router.admin_port)
    assert families["ringstore_network_bytes_total"].value(port="grpc", direction="received") > 100
    assert families["ringstore_network_bytes_total"].value(port="line", direction="sent") > 10
    assert families["ringstore_link_bytes_total"].value(shard="a", direction="sent") > 100
    assert families["ringstore_link_up"].value(shard="a") == 1
    assert families["ringstore_links"].value(shard="a", state="ready") == 1
    of_shard = scrape(shard.admin_port)
    assert of_shard["ringstore_connections"].value(kind="link") == 2
    assert of_shard["ringstore_streams"].value() == 2
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_threads"):
        assert families[name].value() > 0
    assert abs(families["ringstore_clock_timestamp_seconds"].value() - time.time()) < 60
    assert families["ringstore_log_lines_dropped_total"].value() == 0


def test_a_router_without_its_shard_is_not_ready_and_lives():
    shard = start_shard("a")
    router = start_router({"a": shard}, *ADMIN)
    try:
        assert get(router.admin_port, "/readyz")[0::2] == (200, "serving\n")
        shard.kill()
        eventually(lambda: get(router.admin_port, "/readyz")[0] == 503, "not ready", 30)
        assert "not serving" in get(router.admin_port, "/readyz")[2]
        status, _, text = get(router.admin_port, "/healthz")
        assert status == 200 and text.startswith("alive, not serving")
        families = scrape(router.admin_port)
        assert families["ringstore_node_ready"].value() == 0
        assert families["ringstore_link_up"].value(shard="a") == 0
    finally:
        router.stop()


def test_a_refused_link_is_distinguished_from_a_lost_one():
    shard = start_shard("a", "--cluster", "other")
    router = start_router({"a": shard}, *ADMIN)
    try:

        def refused(reason: str) -> float:
            families = scrape(router.admin_port)
            return families["ringstore_link_refused"].value(shard="a", reason=reason)

        eventually(lambda: refused("WRONG_CLUSTER") == 1, "the refusal", 30)
        assert refused("MAP_CONFLICT") == 0
        shard.kill()
        eventually(lambda: refused("WRONG_CLUSTER") == 0, "the loss", 30)
        assert scrape(router.admin_port)["ringstore_link_up"].value(shard="a") == 0
    finally:
        router.stop()


# Settings


def test_the_settings_are_shown_with_where_they_are_from(tmp_path):
    file = tmp_path / "shard.yaml"
    file.write_text("max_items: 77\nport: 1\nhash_seed: 000102030405060708090a0b0c0d0e0f\n")
    shard = start_shard("a", *ADMIN, "--config", str(file), "--max-memory", "64MiB")
    try:
        shown = page(shard.admin_port, "/config")
        settings = shown["settings"]
        assert shown["kind"] == "shard"
        assert settings["max_items"] == {
            "value": 77,
            "source": "file",
            "from": f"max_items in {file}",
        }
        assert settings["port"] == {"value": 0, "source": "flag", "from": "--port"}
        assert settings["max_memory"]["value"] == 64 << 20
        assert settings["drain_seconds"] == {"value": 10, "source": "default", "from": None}
        assert settings["hash_seed"]["value"] == "(secret)"
        assert "000102030405" not in json.dumps(shown)
    finally:
        shard.stop()


@pytest.mark.parametrize("path", ["/config", "/slowlog", "/metrics", "/api/keys"])
def test_pages_of_other_sites_get_nothing_that_is_not_open(nodes, path):
    port = nodes[1].admin_port
    for headers, status in [
        ({}, 200),
        ({"Host": f"localhost:{port}"}, 200),
        # A name that another site lets stand for this address.
        ({"Host": f"evil.example:{port}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none, cross-site"}, 403),
    ]:
        assert get(port, path, headers=headers)[0] == status, headers
    assert get(port, "/healthz", headers={"Host": "shard-a.example.org"})[0] == 200


def test_an_address_that_others_reach_needs_tls_or_users():
    refused = run("shard", "--id", "a", *ADMIN, "--admin-address", "0.0.0.0")
    assert refused.returncode == 64
    assert "0.0.0.0 can be reached from other machines" in refused.stderr


def test_a_port_that_is_taken_ends_the_start():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run(
            "shard", "--id", "a", "--port", "0", "--line-port", "off", "--admin-port", port
        )
    assert refused.returncode != 0
    sentence = f"the admin port: port {port} of 127.0.0.1 is in use by another program"
    assert sentence in refused.stderr and "--admin-port" in refused.stderr


# Slow and large calls


def test_large_calls_are_kept_with_the_digest_of_their_key():
    shard = start_shard("a", *ADMIN, "--slowlog-bytes", "1000")
    named = start_shard("b", *ADMIN, "--slowlog-bytes", "1000", "--slowlog-keys", "key")
    router = start_router({"a": shard}, *ADMIN, "--slowlog-bytes", "1000")
    try:
        for address in (router.address, named.address):
            with Client(address) as client:
                client.set(b"the key", b"x" * 2_000)
                client.set(b"small", b"x")
        (entry,) = page(shard.admin_port, "/slowlog")["largest"]
        assert entry["command"] == "set"
        assert entry["request_bytes"] > 2_000
        assert entry["key_digest"] == hashlib.sha256(b"the key").hexdigest()[:16]
        assert "the key" not in json.dumps(entry)
        (entry,) = page(named.admin_port, "/slowlog")["largest"]
        assert entry["key"] == "the key"
        (entry,) = page(router.admin_port, "/slowlog")["largest"]
        assert (entry["node"], entry["shard"], entry["outcome"]) == ("router", "a", "ok")
        assert scrape(router.admin_port)["ringstore_large_calls_total"].value() == 1
    finally:
        for node in (router, shard, named):
            node.stop()


def test_a_slow_call_is_kept_with_its_shard_and_time():
    shard = start_shard("a")
    router = start_router({"a": shard}, *ADMIN, "--slowlog-millis", "1")
    try:
        with Client(router.address) as client:
            client.set(b"key", b"x")
            shard.pause()
            waits = threading.Thread(target=client.get, args=(b"key",))
            waits.start()
            in_flight = "ringstore_calls_in_flight"
            eventually(lambda: scrape(router.admin_port)[in_flight].value() == 1, "in flight", 30)
            shard.resume()
            waits.join()
        slowest = page(router.admin_port, "/slowlog")["slowest"]
        entry = next(entry for entry in slowest if entry["command"] == "get")
        assert entry["shard"] == "a" and entry["duration_micros"] >= 1_000
    finally:
        router.stop()
        shard.stop()


# TLS


def test_the_port_speaks_http_1_over_tls_to_clients_that_would_speak_http_2_too():
    with Certificates() as made:
        shard = start_shard("a", *ADMIN, *made.server("shard"))
        try:
            context = trusting(made.authority)
            families = scrape(shard.admin_port, context=context)
            name = "ringstore_tls_certificate_not_after_timestamp_seconds"
            start = families["process_start_time_seconds"].value()
            assert families[name].value(use="server") > start
            reloads = families["ringstore_tls_reloads_total"]
            assert reloads.value(result="ok") == reloads.value(result="failed") == 0
            with socket.create_connection(("127.0.0.1", shard.admin_port), 30) as raw:
                with context.wrap_socket(raw, server_hostname="127.0.0.1") as encrypted:
                    assert encrypted.selected_alpn_protocol() is None
            with socket.create_connection(("127.0.0.1", shard.admin_port), 30) as plain:
                plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200" not in plain.recv(1024)
            # Handshakes that never continue leave room for others.
            silent = [socket.create_connection(("127.0.0.1", shard.admin_port)) for _ in range(40)]
            for _ in range(3):
                assert get(shard.admin_port, "/healthz", context=context)[0] == 200
            for client in silent:
                client.close()
        finally:
            shard.stop()
