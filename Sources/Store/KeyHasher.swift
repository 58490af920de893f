// The hash that orders a table. SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input
// PRF", 2012; one compression and three finalisation rounds).
//
// A scan walks keys in the order of this hash, and scan cursors stay valid after the process ends,
// so the function is fixed and the seed belongs to the cluster, not to a process. The default seed
// is public: a user that may write keys can search for colliding keys and make one table slow. A
// cluster with untrusted users has a secret seed, the same on every shard and across restarts.
// SipHash keeps a secret seed secret; a cheaper hash would not.
//
// Value type without state; any thread.

struct KeyHasher {
  let seed: (UInt64, UInt64)

  /// Hash of `key` under the seed. Linear in the key's length: about 10 ns for 16 bytes.
  @inline(__always)
  func hash(_ key: UnsafeRawBufferPointer) -> UInt64 {
    var state = SipState(seed)
    let count = key.count
    guard let base = key.baseAddress else { return state.finish(0) }
    var offset = 0
    while offset &+ 8 <= count {
      state.absorb(base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
      offset &+= 8
    }
    var tail = UInt64(truncatingIfNeeded: count) << 56
    if count >= 8 {
      // The rest is the top of the last eight bytes; empty if nothing remains.
      let last = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self).littleEndian
      let left = UInt64(truncatingIfNeeded: count &- offset)
      return state.finish(tail | (last &>> 8) &>> (56 &- left &* 8))
    }
    var shift: UInt64 = 0
    while offset < count {
      tail |= UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) << shift
      shift &+= 8
      offset &+= 1
    }
    return state.finish(tail)
  }
}

/// The state of SipHash-1-3 after the words so far.
struct SipState {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64

  @inline(__always)
  init(_ seed: (UInt64, UInt64)) {
    v0 = seed.0 ^ 0x736f_6d65_7073_6575
    v1 = seed.1 ^ 0x646f_7261_6e64_6f6d
    v2 = seed.0 ^ 0x6c79_6765_6e65_7261
    v3 = seed.1 ^ 0x7465_6462_7974_6573
  }

  @inline(__always)
  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    v0 ^= word
  }

  @inline(__always)
  mutating func finish(_ tail: UInt64) -> UInt64 {
    absorb(tail)
    v2 ^= 0xff
    round()
    round()
    round()
    return v0 ^ v1 ^ v2 ^ v3
  }

  @inline(__always)
  private mutating func round() {
    v0 = v0 &+ v1
    v2 = v2 &+ v3
    v1 = rotate(v1, 13) ^ v0
    v3 = rotate(v3, 16) ^ v2
    v0 = rotate(v0, 32)
    v2 = v2 &+ v1
    v0 = v0 &+ v3
    v1 = rotate(v1, 17) ^ v2
    v3 = rotate(v3, 21) ^ v0
    v2 = rotate(v2, 32)
  }

  @inline(__always)
  private func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    (word &<< bits) | (word &>> (64 &- bits))
  }
}
