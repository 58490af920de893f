// Look-ups that are prepared side by side, whatever state their tables are in.

import TestSeeds
import Testing

@testable import Store

@Suite struct PrefetchTests {
  @Test func preparedKeysAreFoundInTablesThatMove() throws {
    var random = SeededRandom(seed: TestSeed.value)
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 5))
    let store = fixture.store
    for step in 0..<3_000 {
      let slot = Int.random(in: 0..<4, using: &random)
      fixture.set(Bytes("key-\(step)"), Bytes("v"), slot: slot, database: step % 2)
      let keys = (0..<Store.prefetchMax).map { _ in
        Bytes("key-\(Int.random(in: 0...step * 2, using: &random))")
      }
      let joined = keys.flatMap { $0 }
      joined.withUnsafeBytes { bytes in
        var begin = 0
        let lookups = keys.map { key in
          defer { begin += key.count }
          return store.lookup(
            UnsafeRawBufferPointer(rebasing: bytes[begin..<begin + key.count]), slot: slot,
            database: step % 2, nowMillis: 1)
        }
        lookups.withUnsafeBufferPointer { store.prefetch($0) }
        for (key, lookup) in zip(keys, lookups) {
          let isThere = fixture.holds(key, slot: slot, database: step % 2)
          #expect((store.find(lookup).type == .string) == isThere)
        }
      }
    }
  }
}
