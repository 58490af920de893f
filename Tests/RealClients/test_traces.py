"""Traces: the spans of calls through a router and its shards, the calls without spans, and
collectors that must not disturb calls."""

import itertools
import os
import subprocess
from pathlib import Path

import grpc
import pytest
from harness.certificates import Certificates
from harness.client import Client, call, explain
from harness.cluster import Cluster, start_local, start_shard
from harness.collector import Collector
from harness.lines import Lines
from harness.metrics import get, scrape
from harness.polling import eventually
from harness.process import binary, clean_environment, run
from legacy import kv_store_pb2, kv_store_pb2_grpc
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb
from test_waiting import parked

SERVICE = "ringstore.v1.KeyStore"
PART = "ringstore.internal.v1.Link"
_numbers = itertools.count(1)


class Trace:
    """A caller's span, and the metadata for it."""

    def __init__(self, sampled: bool = True, state: str | None = None):
        number = next(_numbers)
        self.id, self.span = f"{os.getpid():016x}{number:016x}", f"{number:016x}"
        parent = f"00-{self.id}-{self.span}-0{int(sampled)}"
        self.metadata = [("traceparent", parent)]
        if state is not None:
            self.metadata.append(("tracestate", state))


@pytest.fixture(scope="module")
def collector():
    with Collector() as started:
        yield started


@pytest.fixture(scope="module")
def traced(collector):
    """A router and three shards that export to the collector."""
    with Cluster("abc", *collector.flags, shard_arguments=collector.flags) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(traced):
    with Client(traced.address) as opened:
        yield opened


def parts(spans):
    """The spans of a trace: of the call, of the sub-requests, and of the shards."""
    server = [s for s in spans if s.service == "ringstore-router" and s.kind == "server"]
    links = [s for s in spans if s.kind == "client"]
    shards = [s for s in spans if s.service == "ringstore-shard"]
    assert len(server) + len(links) + len(shards) == len(spans)
    return server, links, shards


def test_a_call_is_a_span_at_the_router_on_the_link_and_at_its_shard(collector, client):
    trace = Trace(state="vendor=1,other=2")
    client.stub.Set(pb.KeyValue(key=b"k", value=b"v"), metadata=trace.metadata, timeout=60)
    (server,), (link,), (shard,) = parts(collector.wait(trace.id, 3))
    assert (server.parent, link.parent, shard.parent) == (trace.span, server.id, link.id)
    assert {span.name for span in (server, link, shard)} == {f"{SERVICE}/Set"}
    assert {span.state for span in (server, link, shard)} == {"vendor=1,other=2"}
    for span in (server, link, shard):
        assert span.error is None
        assert span.attributes["rpc.system.name"] == "grpc"
        assert span.attributes["rpc.method"] == f"{SERVICE}/Set"
        assert span.attributes["rpc.response.status_code"] == "OK"
        assert "error.type" not in span.attributes
        assert span.attributes["ringstore.request_bytes"] > 0
        assert "ringstore.key_digest" not in span.attributes
    host, port = client.address.rsplit(":", 1)
    assert server.attributes["server.address"] == host
    assert server.attributes["server.port"] == int(port)
    assert server.attributes["client.address"] == "127.0.0.1"
    for span in (server, shard):
        assert span.attributes["db.system.name"] == "ringstore"
        assert span.attributes["db.operation.name"] == "Set"
        assert span.attributes["db.namespace"] == "0"
    assert "db.system.name" not in link.attributes
    assert link.attributes["ringstore.shard"] == shard.node == shard.attributes["ringstore.shard"]
    assert link.attributes["ringstore.lane"] == "calls"
    assert 0 <= link.attributes["ringstore.slot"] < 16384
    assert shard.attributes["ringstore.queue_nanos"] >= 0
    assert server.nanos >= link.nanos > 0


def test_a_call_whose_trace_is_not_sampled_has_no_spans(collector, client):
    quiet, loud = Trace(sampled=False), Trace()
    for trace in (quiet, loud):
        client.stub.Get(pb.Key(key=b"k"), metadata=trace.metadata, timeout=60)
    client.get(b"k")
    collector.wait(loud.id, 3)
    assert collector.of(quiet.id) == []
    # Nor do calls without a trace, at the ratio of 0.
    assert {span.trace for span in collector.spans if span.parent is None} == set()


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_a_malformed_traceparent_is_ignored(collector, client, text):
    before = len(collector.spans)
    stub = client.stub
    stub.Get(pb.Key(key=b"k"), metadata=[("traceparent", text)], timeout=60)
    loud = Trace()
    stub.Get(pb.Key(key=b"k"), metadata=loud.metadata, timeout=60)
    collector.wait(loud.id, 3)
    assert len(collector.spans) == before + 3


def test_an_error_is_the_outcome_of_all_three(collector, client):
    client.rpush(b"list", b"a")
    trace = Trace()
    with pytest.raises(grpc.RpcError) as failure:
        client.stub.IncrBy(pb.IncrByRequest(key=b"list", delta=1), metadata=trace.metadata)
    assert explain(failure.value).reason == "WRONG_TYPE"
    (server,), (link,), (shard,) = parts(collector.wait(trace.id, 3))
    for span in (server, link, shard):
        assert span.attributes["rpc.response.status_code"] == "FAILED_PRECONDITION"
        assert span.attributes["ringstore.reason"] == "WRONG_TYPE"
    # It isn't an error of the servers.
    assert (server.error, link.error, shard.error) == (None, "WRONG_TYPE", None)
    failed = [span for span in (server, link, shard) if "error.type" in span.attributes]
    assert failed == [link] and link.attributes["error.type"] == "FAILED_PRECONDITION"


def test_a_call_that_the_router_refuses_has_one_span(collector, client):
    trace = Trace()
    with pytest.raises(grpc.RpcError):
        client.stub.Get(pb.Key(key=b""), metadata=trace.metadata, timeout=60)
    (server,) = collector.wait(trace.id, 1)
    assert server.attributes["ringstore.reason"] == "INVALID_KEY"


def test_a_call_on_every_shard_has_a_child_for_each(collector, client, traced):
    trace = Trace()
    client.stub.DbSize(pb.DbSizeRequest(), metadata=trace.metadata, timeout=60)
    (server,), links, shards = parts(collector.wait(trace.id, 7))
    assert server.name == f"{SERVICE}/DbSize"
    assert {link.attributes["ringstore.shard"] for link in links} == set(traced.shards)
    assert {link.parent for link in links} == {server.id}
    assert {shard.parent for shard in shards} == {link.id for link in links}
    assert {link.name for link in links} == {f"{PART}/DbSizePart"}
    assert {shard.name for shard in shards} == {f"{PART}/DbSizePart"}


def test_a_call_on_many_keys_has_a_child_for_each_and_few_of_very_many(collector, client):
    trace = Trace()
    keys = [pb.Key(key=b"many-%d" % number) for number in range(5)]
    client.stub.MGet(pb.MGetRequest(keys=keys), metadata=trace.metadata, timeout=60)
    (server,), links, shards = parts(collector.wait(trace.id, 11))
    assert {link.name for link in links} == {f"{SERVICE}/Get"}
    assert len(links) == len(shards) == 5

    trace = Trace()
    keys = [pb.Key(key=b"many-%d" % number) for number in range(300)]
    client.stub.MGet(pb.MGetRequest(keys=keys), metadata=trace.metadata, timeout=60)
    spans = collector.wait(trace.id, 2 * 128 + 1)
    assert len(spans) == 2 * 128 + 1
    (server,), _, _ = parts(spans)
    assert server.attributes["ringstore.spans_omitted"] == 300 - 128


def test_streams_and_slices_are_traced_to_their_end(collector, client, traced):
    trace = Trace()
    pages = client.stub.Scan(pb.ScanRequest(), metadata=trace.metadata, timeout=60)
    assert sum(len(page.keys) for page in pages) >= 2
    (server,), links, shards = parts(collector.wait_for_all(trace.id, trace.span))
    assert server.name == f"{SERVICE}/Scan"
    assert {link.name for link in links} == {f"{PART}/KeysPart"}
    assert {link.attributes["ringstore.shard"] for link in links} == set(traced.shards)
    assert {link.parent for link in links} == {server.id}
    assert len(links) == len(shards) >= 3


def test_a_large_value_is_traced_both_ways(collector, client):
    large = b"x" * (2 << 20)
    put, got = Trace(), Trace()
    client.stub.Set(pb.KeyValue(key=b"large", value=large), metadata=put.metadata, timeout=60)
    (_,), (link,), (_,) = parts(collector.wait(put.id, 3))
    assert link.attributes["ringstore.lane"] == "bulk"
    reply = client.stub.Get(pb.Key(key=b"large"), metadata=got.metadata, timeout=60)
    assert reply.value == large
    (server,), (link,), (shard,) = parts(collector.wait(got.id, 3))
    assert link.attributes["ringstore.response_bytes"] >= len(large)
    assert (server.parent, link.parent, shard.parent) == (got.span, server.id, link.id)


def test_a_pop_that_waits_has_an_event(collector, client):
    trace = Trace()
    request = pb.PopRequest(key=b"waits", wait_millis=30_000)
    popped = client.stub.LPop.future(request, metadata=trace.metadata, timeout=60)
    parked(client, 1)
    client.rpush(b"waits", b"a")
    assert popped.result().value == b"a"
    (_,), (link,), (shard,) = parts(collector.wait(trace.id, 3))
    assert "parked" in link.events and "parked" in shard.events


def batches(*sizes):
    for size in sizes:
        yield pb.CallBatch(calls=[call("GET", pb.Key(key=b"k")) for _ in range(size)])


def test_a_pipeline_has_a_span_and_one_for_the_first_call_of_each_batch(collector, client):
    trace = Trace()
    stream = client.stub.Pipeline(batches(50, 50), metadata=trace.metadata, timeout=60)
    assert sum(len(batch.replies) for batch in stream) == 100
    servers, links, shards = parts(collector.wait(trace.id, 7))
    (whole,) = [span for span in servers if span.name == f"{SERVICE}/Pipeline"]
    calls = [span for span in servers if span is not whole]
    assert whole.parent == trace.span and {call.parent for call in calls} == {whole.id}
    assert [call.attributes["ringstore.pipeline"] for call in calls] == [True, True]
    assert {link.parent for link in links} == {call.id for call in calls}
    assert {shard.parent for shard in shards} == {link.id for link in links}
    assert len(collector.of(trace.id)) == 7


def test_calls_of_the_legacy_services_are_traced(collector, client):
    trace = Trace()
    stub = kv_store_pb2_grpc.KVStoreStub(client.channel)
    request = kv_store_pb2.SetRequest(key="old", value=1)
    stub.SetVal(request, metadata=trace.metadata, timeout=60)
    (server,), (link,), (_,) = parts(collector.wait(trace.id, 3))
    assert server.name == "KVStore/SetVal" and link.name == f"{SERVICE}/Set"


def serves(client) -> bool:
    try:
        client.get(b"k")
        return True
    except grpc.RpcError:
        return False


def test_a_call_on_a_shard_itself_has_a_server_span(collector, tmp_path):
    data = ("--data-dir", str(tmp_path), "--fsync", "always")
    shard = start_shard("alone", *collector.flags, *data)
    try:
        with Client(shard.address) as own:
            eventually(lambda: serves(own), "a shard that has loaded its data")
            trace = Trace()
            own.stub.Set(pb.KeyValue(key=b"k", value=b"v"), metadata=trace.metadata, timeout=60)
            (span,) = collector.wait(trace.id, 1)
            assert span.parent == trace.span and span.node == "alone"
            assert "waits for the log" in span.events
            assert span.attributes["ringstore.queue_nanos"] >= 0
            trace = Trace()
            stream = own.stub.Pipeline(batches(3), metadata=trace.metadata, timeout=60)
            assert sum(len(batch.replies) for batch in stream) == 3
            spans = collector.wait(trace.id, 2)
            assert {span.name for span in spans} == {f"{SERVICE}/Pipeline", f"{SERVICE}/Get"}
    finally:
        shard.stop()


def test_calls_without_a_trace_are_sampled_lines_too(collector):
    flags = ("--trace-sample-ratio", "1", "--trace-keys", "digest")
    node = start_local(2, *collector.flags, *flags, "--line-port", "0")
    try:
        before = len(collector.spans)
        with Client(node.address) as own, Lines(node.line_port) as lines:
            own.set(b"k", b"v")
            lines.ask(b"GET", b"k")
            stream = own.stub.Pipeline(batches(4), timeout=60)
            assert sum(len(batch.replies) for batch in stream) == 4
        node.stop()
    finally:
        node.kill()
    spans = collector.spans[before:]
    roots = [span for span in spans if span.parent is None]
    # The drain has exported the remaining spans.
    assert sorted(span.name for span in roots) == sorted(
        [f"{SERVICE}/Set", *[f"{SERVICE}/Get"] * 5]
    )
    assert len({span.trace for span in roots}) == 6
    assert len(spans) == 3 * 6
    systems = [span.attributes["rpc.system.name"] for span in roots]
    assert sorted(systems) == ["grpc"] * 5 + ["ringstore.line"]
    digest = subprocess.run("printf %s k | sha256sum | cut -c1-16", shell=True, text=True,
                            capture_output=True, check=True).stdout.strip()
    assert {span.attributes["ringstore.key_digest"] for span in roots} == {digest}


def test_the_number_of_spans_that_begin_in_a_second_is_limited(collector):
    flags = ("--trace-sample-ratio", "1", "--trace-spans-per-second", "1")
    shard = start_shard("few", *collector.flags, *flags, "--admin-port", "0")
    try:
        with Client(shard.address) as own:
            for _ in range(50):
                own.set(b"k", b"v")
        counts = scrape(shard.admin_port)["ringstore_trace_spans_total"]
        assert counts.value(outcome="limited") > 0
    finally:
        shard.stop()
    begun = [span for span in collector.spans if span.node == "few"]
    assert len(begun) + counts.value(outcome="limited") == 50


def test_the_command_line_sends_a_trace(collector, traced):
    trace = Trace(state="a=b")
    environment = clean_environment() | {
        "TRACEPARENT": trace.metadata[0][1], "TRACESTATE": "a=b",
    }
    command = [binary(), "cli", "--server", traced.address, "GET", "k"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    (server,), _, _ = parts(collector.wait(trace.id, 3))
    assert server.parent == trace.span and server.state == "a=b"


# Collectors that must not disturb calls


def calls_continue(address):
    with Client(address) as own:
        for number in range(200):
            own.stub.Set(
                pb.KeyValue(key=b"k%d" % number, value=b"v"), metadata=Trace().metadata, timeout=60
            )
            assert own.get(b"k%d" % number).found


def test_an_unreachable_collector_disturbs_no_call():
    with Collector() as gone:
        pass
    node = start_local(2, *gone.flags, "--admin-port", "0")
    try:
        calls_continue(node.address)
        scraped = scrape(node.admin_port)
        assert scraped["ringstore_trace_spans_total"].value(outcome="exported") == 0
        node.stop()
        assert "spans can't be exported" in node.log()
    finally:
        node.kill()


def test_a_collector_without_replies_disturbs_no_call_and_no_drain():
    with Collector() as slow:
        slow.held.set()
        node = start_local(2, *slow.flags)
        try:
            calls_continue(node.address)
            node.stop()
            assert "spans were lost at the end" in node.log()
        finally:
            node.kill()


def test_a_collector_that_refuses_disturbs_no_call():
    with Collector() as refusing:
        refusing.status = 400
        node = start_local(2, *refusing.flags, "--admin-port", "0")
        try:
            calls_continue(node.address)
            node.stop()
            assert "status" in node.log() and refusing.requests > 0
        finally:
            node.kill()


def test_spans_are_sent_to_an_encrypted_collector_with_a_valid_certificate():
    certificates = Certificates()
    pair = (certificates.file("router", "certificate"), certificates.file("router", "key"))
    with Collector(certificate=pair) as secure:
        node = start_local(1, *secure.flags, "--trace-ca", certificates.authority)
        try:
            with Client(node.address) as own:
                trace = Trace()
                own.stub.Get(pb.Key(key=b"k"), metadata=trace.metadata, timeout=60)
            secure.wait(trace.id, 3)
        finally:
            node.stop()
        stranger = start_local(1, *secure.flags)
        try:
            with Client(stranger.address) as own:
                trace = Trace()
                own.stub.Get(pb.Key(key=b"k"), metadata=trace.metadata, timeout=60)
            stranger.stop()
            assert "connect failed: TLS" in stranger.log()
            assert secure.of(trace.id) == []
        finally:
            stranger.kill()


def test_a_collector_gets_the_headers_of_a_file_which_are_shown_nowhere(tmp_path):
    file = tmp_path / "headers"
    file.write_text("Authorization=Bearer%20first-secret\nX-Tenant=7\n")
    with Collector() as careful:
        flags = (*careful.flags, "--trace-headers-file", str(file), "--admin-port", "0")
        node = start_shard("a", *flags, "--log-level", "trace")
        try:
            with Client(node.address) as own:

                def headers_of_a_span() -> tuple[str, ...]:
                    trace = Trace()
                    own.stub.Get(pb.Key(key=b"k"), metadata=trace.metadata, timeout=60)
                    careful.wait(trace.id, 1)
                    sent = careful.headers[-1]
                    return sent["Authorization"], sent.get("X-Tenant")

                assert headers_of_a_span() == ("Bearer first-secret", "7")
                file.write_text("Authorization=Bearer%20second-secret\n")
                assert headers_of_a_span() == ("Bearer second-secret", None)
                file.write_text("third-secret\n")
                assert headers_of_a_span() == ("Bearer second-secret", None)
                shown = str(own.cluster.Config(cluster_pb2.ConfigRequest(), timeout=60))
            status, _, page = get(node.admin_port, "/config")
            assert status == 200 and str(file) in page and str(file) in shown
            arguments = Path(f"/proc/{node.pid}/cmdline").read_text()
        finally:
            node.stop()
        assert "headers were read again" in node.log()
        assert "headers stay as they are" in node.log()
        for text in (node.log(), page, shown, arguments):
            assert "-secret" not in text


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--trace-endpoint", "localhost:4318"], "must be off, or a URL"),
        (["--trace-endpoint", "http://h/", "--trace-ca", "x.pem"], "is not https"),
        (["--trace-endpoint", "https://h/", "--trace-ca", "x.pem"], "x.pem"),
        (["--trace-endpoint", "http://h/", "--trace-headers-file", "no"], "no can't be read"),
        (["--trace-sample-ratio", "1.5"], "from 0 to 1"),
        (["--trace-keys", "key"], "must be none or digest"),
    ],
)
def test_a_wrong_setting_ends_the_start(flags, sentence):
    ended = run("shard", "--id", "a", "--port", "0", *flags)
    assert ended.returncode != 0 and sentence in ended.stderr
