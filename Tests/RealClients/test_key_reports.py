"""What operators ask for: hot and big keys, one key looked into, a key by lot."""

import json

import pytest
from harness.client import Client
from harness.cluster import Cluster
from harness.process import run
from ringstore.v1 import keystore_pb2 as pb


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as started:
        yield started


def admin(cluster, *words: str):
    done = run("admin", *words, "--server", cluster.router.address)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cli(cluster, *words: str):
    done = run("cli", "--server", cluster.router.address, "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_hot_key_of_a_cluster_is_the_first(cluster):
    with Client(cluster.router.address) as client:
        client.set(b"hot", b"1")
        for number in range(60):
            keys = [pb.Key(key=b"hot")] * 50
            keys += [pb.Key(key=b"cold-%d-%d" % (number, each)) for each in range(50)]
            client.stub.MGet(pb.MGetRequest(keys=keys), timeout=60)
    found = json.loads(admin(cluster, "hotkeys", "--json", "--count", "3"))
    assert not found["unreachable"] and len(found["keys"]) <= 3
    first = found["keys"][0]
    assert first["key"] == "hot" and first["samples"] >= 5
    assert first["share"] > 0.2 and first["calls_per_second"] > 0
    assert "hot" in admin(cluster, "hotkeys").splitlines()[1]
    assert cli(cluster, "HOTKEYS", "1")["keys"][0]["key"] == "hot"


def test_the_big_keys_of_all_shards_are_ranked(cluster):
    with Client(cluster.router.address) as client:
        for number in range(400):
            client.set(b"small-%d" % number, b"x" * number)
        for number in range(5):
            client.set(b"big-%d" % number, b"x" * (20_000 + 1_000 * number))
            client.rpush(b"list-%d" % number, *[b"v"] * (10 * number + 1))
        other = pb.KeyValue(key=b"elsewhere", value=b"x" * 90_000, database=4)
        client.stub.Set(other, timeout=60)
    found = json.loads(admin(cluster, "bigkeys", "--json", "--count", "3"))
    strings, lists = found["types"]
    assert (strings["type"], lists["type"]) == ("string", "list")
    assert [each["key"] for each in strings["by_bytes"]] == ["elsewhere", "big-4", "big-3"]
    assert strings["by_bytes"][0]["database"] == 4 and strings["by_bytes"][0]["bytes"] > 90_000
    assert [each["key"] for each in lists["by_length"]] == ["list-4", "list-3", "list-2"]
    assert lists["keys"] == 5 and strings["keys"] >= 406
    here = cli(cluster, "BIGKEYS", "1")["types"][0]
    assert [each["key"] for each in here["by_bytes"]] == ["big-4"]
    assert "big-4" in admin(cluster, "bigkeys")


def test_a_shard_that_is_away_is_reported():
    with Cluster() as broken:
        broken.shards["b"].kill()
        done = run("admin", "hotkeys", "--json", "--server", broken.router.address)
        assert done.returncode == 1 and "not all shards" in done.stderr
        assert len(json.loads(done.stdout)["unreachable"]) == 1


def test_one_key_is_looked_into(cluster):
    with Client(cluster.router.address) as client:
        client.set(b"looked-into", b"abc")
    facts = cli(cluster, "INSPECT", "looked-into")
    assert (facts["type"], facts["encoding"], facts["length"]) == ("string", "inline", 3)
    assert facts["ttl_millis"] is None and facts["shard"] in "abc" and 0 <= facts["slot"] < 16_384
    assert cli(cluster, "MEMORY", "USAGE", "looked-into") == facts["bytes"]
    assert cli(cluster, "OBJECT", "ENCODING", "looked-into") == "inline"
    assert cli(cluster, "OBJECT", "IDLETIME", "looked-into") in range(60)
    assert cli(cluster, "INSPECT", "nothing") is None


def test_keys_are_counted_on_the_command_line(cluster):
    cli(cluster, "MSET", "one", "1", "two", "2", "three", "3")
    assert cli(cluster, "EXISTS", "one", "two", "four", "one") == 3
    assert cli(cluster, "TOUCH", "one", "four") == 1
    assert cli(cluster, "DEL", "one", "four") == 1
    assert cli(cluster, "UNLINK", "two", "three", "one") == 2
    assert cli(cluster, "EXISTS", "one", "two", "three") == 0
    assert cli(cluster, "MSETNX", "{s}a", "1", "{s}b", "2") == 1
    assert cli(cluster, "MSETNX", "{s}c", "1", "{s}b", "2") == 0
    assert cli(cluster, "EXISTS", "{s}a", "{s}b", "{s}c") == 2


def test_every_key_of_a_cluster_is_drawn(cluster):
    words = ["cli", "--server", cluster.router.address, "--database", "7", "--json"]
    with Client(cluster.router.address) as client:
        empty = client.stub.RandomKey(pb.RandomKeyRequest(database=7), timeout=60)
        assert not empty.found and empty.key == b""
        for number in range(8):
            item = pb.KeyValue(key=b"drawn-%d" % number, value=b"v", database=7)
            client.stub.Set(item, timeout=60)
        drawn = {
            client.stub.RandomKey(pb.RandomKeyRequest(database=7), timeout=60).key
            for _ in range(300)
        }
    assert drawn == {b"drawn-%d" % number for number in range(8)}
    assert json.loads(run(*words, "RANDOMKEY").stdout).encode() in drawn
