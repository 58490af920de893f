"""Writes what h2load and the probe send: prepare.py [--database N] FOLDER NAME=ADDRESS...

For each server NAME a key is set to a value of 64 bytes, and these files are written, each with the
5-byte gRPC prefix:
    get-NAME.bin, set-NAME.bin    a Get of that key, and a Set of a neighbour
    reply-NAME.bin                the reply to the Get
For a router the same is written for each of its shards, as NAME-SHARD, with a key that the shard
owns.
"""

import argparse
from pathlib import Path

from harness.client import Client
from harness.raw_http2 import Connection, message
from harness.slots import keys_of
from ringstore.v1 import cluster_pb2
from ringstore.v1 import keystore_pb2 as pb

VALUE = b"v" * 64


def write(folder: Path, name: str, address: str, keys: list[bytes], database: int) -> None:
    key, other = keys
    get = message(pb.Key(key=key, database=database).SerializeToString())
    put = message(pb.KeyValue(key=other, value=VALUE, database=database).SerializeToString())
    with Client(address) as client:
        client.set(key, VALUE, database)
        client.set(other, VALUE, database)
    connection = Connection(address)
    reply = connection.call("/ringstore.v1.KeyStore/Get", get[5:]).data
    connection.close()
    assert pb.Value.FromString(reply[5:]).value == VALUE
    (folder / f"get-{name}.bin").write_bytes(get)
    (folder / f"set-{name}.bin").write_bytes(put)
    (folder / f"reply-{name}.bin").write_bytes(reply)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=int, default=0)
    parser.add_argument("folder", type=Path)
    parser.add_argument("servers", nargs="+", metavar="NAME=ADDRESS")
    arguments = parser.parse_args()
    folder, database = arguments.folder, arguments.database
    for server in arguments.servers:
        name, _, address = server.partition("=")
        with Client(address) as client:
            told = client.describe()
        routed = any(node.role == cluster_pb2.Node.ROUTER for node in told.nodes)
        if not routed:
            keys = [b"bench:key:000001", b"bench:key:000002"]
            write(folder, name, address, keys, database)
            continue
        for shard in told.map.shards:
            owned = keys_of(told.map, shard.id, b"bench:key")
            keys = [next(owned), next(owned)]
            write(folder, f"{name}-{shard.id}", address, keys, database)


if __name__ == "__main__":
    main()
