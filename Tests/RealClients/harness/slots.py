"""Which shard owns a key: the rule as Redis Cluster's specification gives it, written again."""

import binascii
import itertools
from collections.abc import Iterator

SLOTS = 16384


def crc16(data: bytes) -> int:
    """CRC16/XMODEM, which the standard library has under the name of a file format."""
    return binascii.crc_hqx(data, 0)


def slot(key: bytes) -> int:
    """The slot of the key, or of what stands between its first { and the next }, if anything."""
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return crc16(key) % SLOTS


def owners(slot_map) -> list[str]:
    """For each slot the id of its shard, by a map as Describe gives it."""
    table = [""] * SLOTS
    for entry in slot_map.ranges:
        held = entry.last + 1 - entry.first
        table[entry.first : entry.last + 1] = [slot_map.shards[entry.shard].id] * held
    assert len(table) == SLOTS and all(table), "not every slot has one owner"
    return table


def owner(slot_map, key: bytes) -> str:
    """The id of the shard that a map names for the key."""
    wanted = slot(key)
    for entry in slot_map.ranges:
        if entry.first <= wanted <= entry.last:
            return slot_map.shards[entry.shard].id
    raise AssertionError(f"no shard owns slot {wanted}")


def keys_of(slot_map, shard: str, prefix: bytes = b"key") -> Iterator[bytes]:
    """Keys that the map gives to that shard, without end."""
    table = owners(slot_map)
    candidates = (prefix + b"-%d" % number for number in itertools.count())
    return (key for key in candidates if table[slot(key)] == shard)
