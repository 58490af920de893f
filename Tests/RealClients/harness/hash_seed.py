"""The digest by which a router shows that it knows the cluster's hash seed (SipHash-2-4)."""

MASK = (1 << 64) - 1
PUBLIC = (0, 0)


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & MASK


def siphash(seed: tuple[int, int], data: bytes) -> int:
    low, high = seed
    v = [
        low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261, high ^ 0x7465646279746573,
    ]

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = _rotate(v[1], 13) ^ v[0]
            v[0] = _rotate(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = _rotate(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = _rotate(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = _rotate(v[1], 17) ^ v[2]
            v[2] = _rotate(v[2], 32)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hello_check(
    cluster: str, router: str, generation: int, shard: str, seed: tuple[int, int] = PUBLIC
) -> bytes:
    """`hash_seed_check` of a Hello."""
    text = b"ringstore hello"
    for part in (cluster, router, shard):
        text += b"\0" + part.encode()
    text += generation.to_bytes(8, "little")
    return siphash(seed, text).to_bytes(8, "little")
