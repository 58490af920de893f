"""Read, change, write back only if no other client has written meanwhile."""

import json

from ringstore.v1 import keystore_pb2 as pb
from store import connect


def change(store, key: bytes, edit) -> dict:
    """`edit` changes the document; it is called again if others were quicker."""
    while True:
        old = store.Get(pb.Key(key=key), timeout=5)
        document = json.loads(old.value) if old.found else {}
        edit(document)
        # Version 0 means that the key doesn't exist.
        write = pb.KeyValue(
            key=key, value=json.dumps(document).encode(),
            condition=pb.SET_CONDITION_IF_VERSION, if_version=old.version,
        )
        if store.Set(write, timeout=5).ok:
            return document


store = connect()
for name in ("ada", "grace"):
    change(store, b"team", lambda document: document.setdefault("members", []).append(name))
print(json.loads(store.Get(pb.Key(key=b"team"), timeout=5).value)["members"])
