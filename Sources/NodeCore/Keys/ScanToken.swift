// The tokens of Keys and Scan, opaque to callers: a position, bound to its query. They are valid on
// any node, as long as the keys' order in a slot doesn't change.
//
//   token = version:1 (1)          slot:2  cursor:8  check:8      little-endian, 19 bytes
//         | version:1 (2)  seed:4  slot:2  cursor:8  check:8      23 bytes
//
// The order depends on the cluster's hash seed. Version 1 belongs to the public one; `seed` is the
// fingerprint of another. `check` digests the other bytes, the database, the type filter and the
// pattern: it refuses damaged tokens and those of another query alike. Values; any thread.

import Placement

package struct ScanToken: Hashable, Sendable {
  package static let byteCountMax = 23
  private static let fieldBytes = 19
  private static let seedBytes = 4

  package let position: ScanPosition
  /// `HashSeed.fingerprint` of the cluster that gave it out; 0: the public seed's.
  package let seed: UInt32

  package init(position: ScanPosition, seed: UInt32) {
    self.position = position
    self.seed = seed
  }

  private var version: UInt64 { seed == 0 ? 1 : 2 }

  /// - Returns: nil if the bytes are not a token, or one of another query.
  package init?(_ bytes: UnsafeRawBufferPointer, seal: Seal) {
    var place = 1
    switch (bytes.first, bytes.count) {
    case (1, Self.fieldBytes): seed = 0
    case (2, Self.fieldBytes + Self.seedBytes):
      seed = UInt32(truncatingIfNeeded: Self.number(bytes, at: 1, bytes: Self.seedBytes))
      guard seed != 0 else { return nil }
      place += Self.seedBytes
    default: return nil
    }
    let slot = Self.number(bytes, at: place, bytes: 2)
    let cursor = Self.number(bytes, at: place + 2, bytes: 8)
    guard slot < UInt64(Slots.count) || slot == UInt64(Slots.count) && cursor == 0 else {
      return nil
    }
    position = ScanPosition(slot: UInt32(slot), cursor: cursor)
    guard Self.number(bytes, at: place + 10, bytes: 8) == check(seal) else { return nil }
  }

  package func encoded(seal: Seal) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCountMax)
    for (number, count) in [
      (version, 1), (UInt64(seed), seed == 0 ? 0 : Self.seedBytes), (UInt64(position.slot), 2),
      (position.cursor, 8), (check(seal), 8),
    ] {
      for place in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * place))) }
    }
    return bytes
  }

  private func check(_ seal: Seal) -> UInt64 {
    var seal = seal
    seal.add(version, bytes: 1)
    if seed != 0 { seal.add(UInt64(seed), bytes: Self.seedBytes) }
    seal.add(UInt64(position.slot), bytes: 2)
    seal.add(position.cursor, bytes: 8)
    return seal.digest
  }

  /// - Precondition: the bytes are there.
  private static func number(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, bytes count: Int
  ) -> UInt64 {
    var number: UInt64 = 0
    for place in 0..<count { number |= UInt64(bytes[offset + place]) << (8 * place) }
    return number
  }

  /// A digest in progress: 64-bit FNV-1a with a final mix. It guards against mistakes, not against
  /// forgers. Sources: Fowler, Noll and Vo; the mix is MurmurHash3's (Appleby).
  package struct Seal: Sendable {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    package init() {}

    package mutating func add(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    mutating func add(_ number: UInt64, bytes count: Int) {
      for place in 0..<count {
        add(CollectionOfOne(UInt8(truncatingIfNeeded: number >> (8 * place))))
      }
    }

    var digest: UInt64 {
      var mixed = state
      mixed = (mixed ^ (mixed >> 33)) &* 0xff51_afd7_ed55_8ccd
      mixed = (mixed ^ (mixed >> 33)) &* 0xc4ce_b9fe_1a85_ec53
      return mixed ^ (mixed >> 33)
    }
  }
}
