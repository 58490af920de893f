"""The admin port of nodes with users: which pages and which keys each of them sees."""

import base64
import json

import pytest
from harness.client import Client
from harness.cluster import start_router, start_shard
from harness.metrics import get, parse
from harness.process import run
from ringstore.v1 import keystore_pb2 as pb
from test_admin_port import ADMIN, COUNTED_LATER, OF_TLS, differences


def make_users(tmp_path, users):
    """A users file, and each user's token."""
    tokens = {}
    entries = []
    for name, lines in users.items():
        made = json.loads(run("admin", "token", name, "--json").stdout)
        tokens[name] = made["token"]
        entries.append("\n".join([f"user {name}", *lines, made["users_file_line"], ""]))
    path = tmp_path / "users.conf"
    path.write_text("\n".join(entries))
    return tokens, path


@pytest.fixture
def guarded(tmp_path):
    """A shard with users, one of whom only reads and one of whom may not even that."""
    rights = [("root", "read write admin"), ("scraper", "read"), ("writer", "write")]
    tokens, path = make_users(
        tmp_path, {name: [f"may {may}", "keys prefix x:", "databases 0"] for name, may in rights}
    )
    shard = start_shard("a", *ADMIN, "--users", str(path))
    yield shard, tokens
    shard.stop()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(name, token):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def test_pages_are_for_users_who_may_see_them(guarded):
    shard, tokens = guarded
    allowed = {
        "/metrics": {"root", "scraper"},
        "/config": {"root"},
        "/slowlog": {"root"},
        "/healthz": set(tokens) | {None},
        "/readyz": set(tokens) | {None},
        "/": set(tokens) | {None},
    }
    for path, names in allowed.items():
        for name in [None, *tokens]:
            headers = bearer(tokens[name]) if name else {}
            status, _, _ = get(shard.admin_port, path, headers=headers)
            wanted = 200 if name in names else 401 if name is None else 403
            assert status == wanted, (path, name)


def test_credentials_that_are_none_are_refused_alike(guarded):
    shard, tokens = guarded
    wrong = tokens["root"][:-1] + ("a" if tokens["root"][-1] != "a" else "b")
    for headers in [
        {},
        bearer(wrong),
        bearer(""),
        basic("root", wrong),
        basic("scraper", tokens["root"]),
        {"Authorization": "Basic ?"},
        {"Authorization": "Digest x"},
        {"Authorization": tokens["root"]},
    ]:
        status, fields, _ = get(shard.admin_port, "/config", headers=headers)
        assert status == 401, headers
        assert "www-authenticate" in {name.lower() for name in fields}
    assert get(shard.admin_port, "/config", headers=basic("root", tokens["root"]))[0] == 200
    families = scrape_as(shard, tokens["scraper"])
    assert families["ringstore_access_refused_total"].value(reason="credentials") >= 7
    assert differences(families, {"S", "P"}, OF_TLS | COUNTED_LATER) == []


def scrape_as(shard, token):
    status, _, text = get(shard.admin_port, "/metrics", headers=bearer(token))
    assert status == 200, text
    return parse(text, False)


def test_an_administrator_of_some_keys_sees_no_others_in_the_slow_log(tmp_path):
    tokens, path = make_users(
        tmp_path,
        {
            "root": ["may read write admin", "databases all", "keys all"],
            "half": ["may read admin", "databases 0", "keys prefix mine:"],
            "the-router": ["may router"],
        },
    )
    more = (*ADMIN, "--users", str(path), "--slowlog-keys", "key", "--slowlog-bytes", "1000")
    link = tmp_path / "link-token"
    link.write_text(tokens["the-router"])
    link.chmod(0o600)
    shard = start_shard("a", *more)
    router = start_router({"a": shard}, *more, "--shard-token-file", str(link))
    try:
        with Client(router.address) as client:
            metadata = (("authorization", f"Bearer {tokens['root']}"),)
            for key in (b"mine:1", b"other:1"):
                value = pb.KeyValue(key=key, value=b"x" * 2_000)
                client.stub.Set(value, timeout=60, metadata=metadata)
        for user, keys in [("root", {"mine:1", "other:1"}), ("half", {"mine:1"})]:
            headers = bearer(tokens[user])
            status, _, text = get(shard.admin_port, "/slowlog", headers=headers)
            assert status == 200
            shown = json.loads(text)["largest"]
            assert len(shown) == 2 and {one["key"] for one in shown if "key" in one} == keys
            _, _, text = get(shard.admin_port, "/api/slowlog", headers=headers)
            shown = [one["key"] for one in json.loads(text)["calls"] if one["key"]]
            assert {base64.urlsafe_b64decode(key + "==").decode() for key in shown} == keys
            token = tmp_path / user
            token.write_text(tokens[user])
            token.chmod(0o600)
            for node in (shard, router):
                words = ("--server", node.address, "--node", "a", "--token-file", str(token))
                done = run("admin", "slowlog", "--json", *words)
                assert done.returncode == 0, done.stderr
                assert ("other:1" in done.stdout) == (user == "root") and "mine:1" in done.stdout
    finally:
        router.stop()
        shard.stop()
