"""Which shard owns a key: the rule as Redis Cluster's specification gives it, written anew."""

import itertools
from collections.abc import Iterator

SLOTS = 16384


def crc16(data: bytes) -> int:
    """CRC16/XMODEM, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc


def slot(key: bytes) -> int:
    """The slot of the key, or of what stands between its first { and the next }, if anything."""
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return crc16(key) % SLOTS


def owner(slot_map, key: bytes) -> str:
    """The id of the shard that a map (as Describe gives it) names for the key."""
    wanted = slot(key)
    for entry in slot_map.ranges:
        if entry.first <= wanted <= entry.last:
            return slot_map.shards[entry.shard].id
    raise AssertionError(f"no shard owns slot {wanted}")


def keys_of(slot_map, shard: str, prefix: bytes = b"key") -> Iterator[bytes]:
    """Keys that the map gives to that shard, without end."""
    candidates = (prefix + b"-%d" % number for number in itertools.count())
    return (key for key in candidates if owner(slot_map, key) == shard)
