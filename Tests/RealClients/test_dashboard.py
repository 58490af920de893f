"""The dashboard of real nodes: the replies to its requests for data, to whom, and the page in
headless Chromium before a cluster. test_dashboard_page.py has the page's own tests."""

import http.client
import json
from pathlib import Path

import grpc
import pytest
from harness import browser as chromium
from harness.client import Client, call, pipeline, refused
from harness.cluster import start_local, start_router, start_shard
from harness.dashboard import PAGE, b64, policy
from harness.lines import Lines
from harness.polling import eventually
from harness.process import run
from ringstore.v1 import keystore_pb2 as pb

ADMIN = ("--admin-port", "0")
needs_chromium = pytest.mark.skipif(
    chromium.executable() is None,
    reason="Chromium is not installed (Debian: chromium), so no page can be looked at")


def ask(port: int, path: str, token: str | None = None, **fields: str):
    """Status, fields and body of a reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, reply.headers, body


def data(port: int, path: str, token: str | None = None):
    status, _, body = ask(port, path, token)
    assert status == 200, body
    return json.loads(body)


@pytest.fixture(scope="module")
def nodes():
    """A router and two shards, with keys."""
    started = {name: start_shard(name, *ADMIN) for name in "ab"}
    router = start_router(started, *ADMIN)
    try:
        with Client(router.address) as client:
            for number in range(60):
                client.set(b"key:%d" % number, b"value %d" % number)
            client.set(b"<script>alert(1)</script>", b"\x00\xff<b>bold</b>")
            client.stub.RPush(pb.ListInsert(key=b"list", values=[b"one", b"two"]), timeout=30)
        yield router, started
    finally:
        router.stop()
        for shard in started.values():
            shard.stop()


# The page


def test_browsers_get_the_page_and_others_the_list_of_pages(nodes):
    port = nodes[0].admin_port
    status, headers, body = ask(port, "/", accept="text/html,*/*")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body.decode() + "\n" == PAGE.read_text()
    assert headers["Content-Security-Policy"] == policy(PAGE.read_text())
    assert headers["Cache-Control"] == "no-store"
    status, headers, body = ask(port, "/")
    assert headers["Content-Type"].startswith("text/plain")
    assert body.startswith(b"Ringstore: router\n") and b"/metrics" in body
    assert ask(nodes[1]["a"].admin_port, "/")[2].startswith(b"Ringstore: shard a\n")


# Data


def test_a_router_tells_of_the_cluster(nodes):
    router, shards = nodes
    reply = data(router.admin_port, "/api/overview")
    lines = {line["id"]: line for line in reply["nodes"]}
    assert set(lines) == {"router", "a", "b"}
    assert lines["a"]["slots"] + lines["b"]["slots"] == 16384
    assert lines["a"]["keys"] + lines["b"]["keys"] == 62
    assert lines["a"]["calls"] + lines["b"]["calls"] >= 62
    assert lines["router"]["calls"] >= 62
    for line in lines.values():
        assert line["state"] == "serving"
        assert sum(line["durations"]) <= line["calls"]
    assert [link["shard"] for link in reply["links"]] == ["a", "b"]
    assert all(link["up"] and link["sent_bytes"] > 0 for link in reply["links"])
    assert [s["id"] for s in reply["map"]["shards"]] == ["a", "b"]
    assert reply["map"]["ranges"][0][0] == 0 and reply["map"]["ranges"][-1][1] == 16383
    again = data(router.admin_port, f"/api/overview?epoch={reply['map']['epoch']}")
    assert again["map"] == reply["map"] | {"ranges": None}
    assert [n["slots"] for n in again["nodes"]] == [n["slots"] for n in reply["nodes"]]
    alone = data(shards["a"].admin_port, "/api/overview")
    assert [line["id"] for line in alone["nodes"]] == ["a"]
    assert alone["links"] is None


def events(node, token: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """What it has told lately: sentences, and their fields."""
    told = data(node.admin_port, "/api/events", token)["events"]
    return [(event["message"], dict(event["fields"])) for event in told]


def tells(node, message: str, token: str | None = None, **fields: str) -> None:
    eventually(
        lambda: any(m == message and fields.items() <= f.items() for m, f in events(node, token)),
        f"{message} {fields}", 30)


def test_a_shard_that_is_away_is_reported_and_comes_back():
    shards = {name: start_shard(name, *ADMIN) for name in "ab"}
    router = start_router(shards, *ADMIN)

    def line():
        lines = data(router.admin_port, "/api/overview")["nodes"]
        return next(line for line in lines if line["id"] == "b")

    try:
        before = line()["incarnation"]
        shards["b"].kill()
        eventually(lambda: line()["state"] == "unreachable", "the loss is told", 30)
        assert line()["calls"] is None and line()["detail"]
        tells(router, "link lost", shard="b")
        restarted = "shard restarted, what it held in memory is gone"
        assert not any(message == restarted for message, _ in events(router))
        shards["b"].restart()
        eventually(lambda: line()["state"] == "serving", "it is back", 30)
        assert line()["calls"] == 0 and line()["incarnation"] != before
        tells(router, restarted, shard="b")

        def counted():
            figures = data(router.admin_port, "/api/overview")["figures"]
            return (figures["shard_restarts"], figures["link_reconnects"]) == (1, 1)

        eventually(counted, "both are counted", 30)
    finally:
        for node in (router, *shards.values()):
            node.stop()


def test_what_nodes_refuse_is_among_their_events():
    node, another = start_shard("a", *ADMIN, "--max-connections", "1"), start_shard("b")
    stranger = start_shard("a", "--cluster", "other")
    router = start_router({"a": node}, *ADMIN)
    lost = start_router({"a": stranger}, *ADMIN)
    # Its list has a shard more.
    wrong = start_router({"a": node, "b": another}, *ADMIN)
    try:
        tells(router, "link ready", shard="a")
        tells(lost, "link refused", shard="a", reason="WRONG_CLUSTER")
        tells(wrong, "link refused", shard="a", reason="MAP_CONFLICT")
        assert not any(message == "link refused" for message, _ in events(router))
        with Lines(node.line_port) as line:
            assert line.ask(b"PING") == b"+PONG"
            with Lines(node.line_port) as denied:
                assert denied.rest().startswith(b"-OVERLOADED")
        tells(node, "refusing a line connection", reason="too_many_connections")
    finally:
        for one in (router, lost, wrong, node, another, stranger):
            one.stop()


def test_a_routers_calls_include_those_that_are_refused_at_once():
    """In an outage they would otherwise look as if clients had gone."""
    shards = {name: start_shard(name, *ADMIN) for name in "ab"}
    router = start_router(shards, *ADMIN)

    def line():
        (line,) = (line for line in data(router.admin_port, "/api/overview")["nodes"]
                   if line["role"] == "router")
        return line

    try:
        for shard in shards.values():
            shard.kill()
        with Client(router.address) as client:
            def refused() -> bool:
                try:
                    client.get(b"key")
                except grpc.RpcError as error:
                    return error.code() == grpc.StatusCode.UNAVAILABLE
                return False

            eventually(lambda: all(refused() for _ in range(3)), "the losses seen", 30)
            before = line()
            assert all(refused() for _ in range(100))

        def counted(name: str) -> bool:
            return line()[name] - before[name] >= 100

        # The counts follow the calls by up to a second.
        eventually(lambda: counted("calls") and counted("errors"), "100 calls counted", 10)
    finally:
        for node in (router, *shards.values()):
            node.stop()


def test_keys_are_listed_page_by_page(nodes):
    port = nodes[0].admin_port
    found, after = [], ""
    while True:
        reply = data(port, f"/api/keys?prefix={b64(b'key:')}&limit=25&after={after}")
        found += [k["key"] for k in reply["keys"]]
        assert all(k["type"] == "string" and k["ttl_millis"] is None for k in reply["keys"])
        after = reply["next"]
        if not after:
            break
    assert sorted(found) == sorted(b64(b"key:%d" % n) for n in range(60))


def test_a_key_is_shown_with_its_value(nodes):
    port = nodes[0].admin_port
    reply = data(port, f"/api/key?key={b64(b'list')}&database=0")
    assert (reply["type"], reply["length"]) == ("list", 2)
    assert [v["bytes"] for v in reply["preview"]] == [b64(b"one"), b64(b"two")]
    reply = data(port, f"/api/key?key={b64(b'<script>alert(1)</script>')}")
    assert reply["preview"] == [{"bytes": b64(b"\x00\xff<b>bold</b>"), "length": 13}]


def test_a_large_value_is_shown_by_its_beginning(nodes):
    router = nodes[0]
    with Client(router.address) as client:
        client.set(b"large", b"x" * 3_000_000)
        values = [b"y" * 60_000 for _ in range(4)]
        client.stub.RPush(pb.ListInsert(key=b"wide", values=values), timeout=30)
        reply = data(router.admin_port, f"/api/key?key={b64(b'large')}")
        assert reply["preview"] == [{"bytes": b64(b"x" * 4096), "length": 3_000_000}]
        reply = data(router.admin_port, f"/api/key?key={b64(b'wide')}")
        assert reply["preview"] is None and "too large" in reply["preview_refusal"]
        client.delete(b"large")
        client.delete(b"wide")


def test_the_keys_that_calls_look_up_most_often_come_first(nodes):
    router = nodes[0]
    with Client(router.address) as client:
        for key, calls in [(b"key:7", 5_000), (b"key:8", 2_000)]:
            batch = [call("GET", pb.Key(key=key)) for _ in range(1_000)]
            for _ in range(calls // 1_000):
                assert len(pipeline(client, batch)) == 1_000
    reply = data(router.admin_port, "/api/hotkeys?count=5")
    assert [key["key"] for key in reply["keys"][:2]] == [b64(b"key:7"), b64(b"key:8")]
    assert reply["unreachable"] == []


def test_a_key_is_shown_with_the_time_that_it_has_left(nodes):
    port, life = nodes[0].admin_port, 100_000
    with Client(nodes[0].address) as client:
        expiring = pb.KeyValue(key=b"expiring", value=b"v", ttl_millis=life)
        client.stub.Set(expiring, timeout=30)
    (listed,) = data(port, f"/api/keys?prefix={b64(b'expiring')}")["keys"]
    assert 0 < listed["ttl_millis"] <= life
    assert 0 < data(port, f"/api/key?key={b64(b'expiring')}")["ttl_millis"] <= life


@pytest.mark.parametrize("path", [
    "/api/keys?limit=51", "/api/keys?limit=x", "/api/keys?unknown=1", "/api/key?key=%41",
    "/api/keys?prefix=A", "/api/hotkeys?count=0", "/api/keys?database=99999999999",
    "/api/keys?after=abcd",
])
def test_a_wrong_request_is_an_error_with_a_sentence(nodes, path):
    status, _, body = ask(nodes[0].admin_port, path)
    assert status == 400
    assert json.loads(body)["error"]["message"]


# Who may ask


@pytest.mark.parametrize("host, status", [
    ("localhost:1234", 200), ("[::1]:1", 200), ("router", 200), ("evil.example", 403),
])
def test_a_node_without_users_serves_no_other_names(nodes, host, status):
    assert ask(nodes[0].admin_port, "/api/overview", host=host)[0] == status


@pytest.mark.parametrize("site, status", [("same-origin", 200), ("none", 200),
                                          ("cross-site", 403), ("same-site", 403)])
def test_pages_of_other_sites_get_nothing(nodes, site, status):
    found, headers, _ = ask(nodes[0].admin_port, "/api/keys", sec_fetch_site=site)
    assert found == status
    assert "Access-Control-Allow-Origin" not in headers


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A cluster with users, and their tokens."""
    entries = {
        "root": ["may read write admin", "keys all", "databases all"],
        "reader": ["may read", "keys all", "databases all"],
        "tenant": ["may read write", "keys prefix mine:", "databases 0"],
        "operator": ["may admin", "keys all", "databases all"],
    }
    tokens, text = {}, ""
    for name, lines in entries.items():
        made = json.loads(run("admin", "token", name, "--json").stdout)
        tokens[name] = made["token"]
        text += "\n".join([f"user {name}", *lines, made["users_file_line"], ""])
    path = Path(tmp_path_factory.mktemp("users")) / "users.conf"
    path.write_text(text)
    node = start_local(2, *ADMIN, "--users", str(path))
    try:
        with Client(node.address) as client:
            metadata = (("authorization", f"Bearer {tokens['root']}"),)
            for key in [b"mine:1", b"others"]:
                client.stub.Set(pb.KeyValue(key=key, value=b"v"), timeout=30, metadata=metadata)
        yield node, tokens
    finally:
        node.stop()


WHO_MAY = {
    "/api/overview": {"root", "reader", "tenant"},
    "/api/keys": {"root", "reader", "tenant"},
    f"/api/key?key={b64(b'mine:1')}": {"root", "reader", "tenant"},
    f"/api/key?key={b64(b'others')}": {"root", "reader"},
    "/api/events": {"root", "operator"},
    "/api/slowlog": {"root", "operator"},
    "/api/hotkeys": {"root", "operator"},
}


@pytest.mark.parametrize("path", WHO_MAY)
def test_each_user_sees_only_what_is_permitted(guarded, path):
    node, tokens = guarded
    for user, token in tokens.items():
        status, _, body = ask(node.admin_port, path, token)
        assert status == (200 if user in WHO_MAY[path] else 403), (user, body)
    for wrong in [None, "root.rst_wrong"]:
        status, headers, _ = ask(node.admin_port, path, wrong)
        assert status == 401
        # By Basic the browser would ask by itself.
        assert headers.get_all("WWW-Authenticate") == ['Bearer realm="ringstore"']


def test_an_open_page_does_not_fill_the_audit_log(guarded):
    node, tokens = guarded
    for _ in range(3):
        assert data(node.admin_port, "/api/hotkeys", tokens["operator"])["unreachable"] == []
    root = {"RINGSTORE_TOKEN": tokens["root"]}
    ended = run("admin", "hotkeys", "--server", node.address, environment=root)
    assert ended.returncode == 0, ended.stderr
    (line,) = eventually(
        lambda: [one for one in node.log_lines("ringstore.audit") if "call=HotKeys" in one],
        "the call over gRPC is noted", 30)
    assert "user=root" in line and "peer=127.0.0.1:" in line


def test_callers_that_are_refused_are_among_the_events(guarded):
    node, tokens = guarded
    users = node.arguments[node.arguments.index("--users") + 1]
    # A new node without refusals: of a second's refusals one line has the user.
    shard = start_shard("a", *ADMIN, "--users", users)
    try:
        root = tokens["root"]
        assert not any(m == "a caller was refused" for m, _ in events(shard, root))
        with Client(shard.address) as client:
            for token, code in [(tokens["reader"], "PERMISSION_DENIED"), ("x", "UNAUTHENTICATED")]:
                with refused(code):
                    metadata = (("authorization", f"Bearer {token}"),)
                    client.stub.Set(pb.KeyValue(key=b"k"), timeout=30, metadata=metadata)
        tells(shard, "a caller was refused", root, reason="permission", user="reader")
        tells(shard, "a caller was refused", root, reason="credentials", user="")
    finally:
        shard.stop()


def test_a_tenant_sees_its_own_keys_only(guarded):
    node, tokens = guarded
    listed = data(node.admin_port, "/api/keys", tokens["tenant"])["keys"]
    assert [k["key"] for k in listed] == [b64(b"mine:1")]
    missing = ask(node.admin_port, f"/api/key?key={b64(b'nothing')}", tokens["tenant"])
    there = ask(node.admin_port, f"/api/key?key={b64(b'others')}", tokens["tenant"])
    assert missing[0] == there[0] == 403
    assert missing[2] == there[2]


# In a browser


@needs_chromium
def test_the_page_shows_a_cluster(nodes):
    browser = chromium.Browser()
    page = browser.page()
    page.set_size(1280)
    page.open(f"http://127.0.0.1:{nodes[0].admin_port}/")
    page.until("document.querySelectorAll('#nodes tr').length === 3")
    page.until("document.querySelector('#calls .one')?.getAttribute('d').includes('L')")
    text = page.text()
    assert "2 of 2" in text and "Live" in text
    page.value("document.querySelector('#prefix').focus()")
    page.type("<")
    page.press("Enter")
    page.until("document.querySelector('#found').textContent === '1 key.'")
    page.click("#keys button")
    page.until("!!document.querySelector('#detail .value-text')")
    assert "\\x00\\xff<b>bold</b>" in page.text("#detail")
    with Client(nodes[0].address) as client:
        # Long enough to be a day longer on a machine that stands still.
        life = 10 * 86_400_000
        client.stub.Set(pb.KeyValue(key=b"lasts", value=b"v", ttl_millis=life), timeout=30)
    page.value("document.querySelector('#prefix').value = ''")
    page.value("document.querySelector('#prefix').focus()")
    page.type("lasts")
    page.press("Enter")
    page.until("document.querySelector('#keys button')?.textContent === 'lasts'")
    assert "9\u00a0d" in page.value("document.querySelector('#keys tr').textContent")
    page.click("#keys button")
    page.until("document.querySelector('#detail').textContent.includes('Expires in')")
    assert "9\u00a0d" in page.value("document.querySelector('#detail').textContent")
    assert page.complaints() == []
    browser.stop()


@needs_chromium
def test_the_page_asks_for_a_token_and_shows_what_it_may(guarded):
    node, tokens = guarded
    browser = chromium.Browser()
    page = browser.page()
    page.open(f"http://127.0.0.1:{node.admin_port}/")
    page.until("document.activeElement.id === 'token'")
    page.type(tokens["tenant"])
    page.press("Enter")
    page.until("document.querySelector('#status').textContent === 'Live'")
    page.until("document.querySelector('#events-empty').textContent.includes('admin')")
    assert page.text("#user") == "User tenant"
    assert page.complaints() == []
    browser.stop()
