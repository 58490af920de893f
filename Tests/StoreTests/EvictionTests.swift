// The memory limit: what goes when it is reached, in which order, and that counts and effects
// agree.

import Testing

@testable import Store

@Suite struct EvictionTests {
  private let fixture = Fixture(databaseCount: 3, slotCount: 600)
  private var store: Store { fixture.store }

  private func key(_ number: Int) -> Bytes { Bytes("key-\(number)") }

  private func fill(_ numbers: Range<Int>, expiry: Expiry = .never) {
    for number in numbers {
      fixture.set(
        key(number), Bytes(repeating: 1, count: 100), expiry: expiry, slot: number % 600,
        database: number % 3)
    }
  }

  private func holds(_ number: Int) -> Bool {
    fixture.holds(key(number), slot: number % 600, database: number % 3)
  }

  /// Limits the store to `share` of what it uses now, and evicts until it fits.
  private func shrink(to share: Double, _ policy: EvictionPolicy) {
    store.memoryLimit = MemoryLimit(bytes: Int(Double(store.usedBytes) * share), policy: policy)
    store.makeRoom(evictions: .max, nowMillis: fixture.clock.millis)
  }

  @Test func memoryInUseComesWithinTheLimit() {
    fill(0..<3_000)
    let effects = RecordedEffects()
    store.observer = effects
    #expect(!store.isOverMemoryLimit)
    store.memoryLimit = MemoryLimit(bytes: store.usedBytes / 2, policy: .allKeysLRU)
    #expect(store.isOverMemoryLimit)
    #expect(!store.makeRoom(evictions: 10, nowMillis: fixture.clock.millis))
    #expect(store.evictedKeyCount == 10, "no more than was asked for")
    store.makeRoom(evictions: .max, nowMillis: fixture.clock.millis)
    #expect(!store.isOverMemoryLimit)
    #expect(store.totalKeyCount == 3_000 - Int(store.evictedKeyCount))
    #expect(store.totalKeyCount > 1_000)
    let groups = effects.takeGroups()
    #expect(groups.count == Int(store.evictedKeyCount))
    #expect(groups.allSatisfy { $0.map(\.change) == [.delete] })
  }

  @Test func whatWasUsedLastStays() throws {
    let count = 6_000
    fill(0..<count)
    fixture.clock.millis += 60_000
    for number in 0..<count / 3 {
      _ = try fixture.get(key(number), slot: number % 600, database: number % 3)
    }
    fixture.clock.millis += 60_000
    shrink(to: 0.6, .allKeysLRU)
    let kept = (0..<count / 3).count(where: holds)
    let others = (count / 3..<count).count(where: holds)
    #expect(kept > count / 3 * 99 / 100, "\(kept) of \(count / 3) in use, \(others) others")
    #expect(others < count / 3)
  }

  @Test func onlyKeysThatExpireGoWhereThatIsThePolicy() {
    fill(0..<600)
    fill(600..<1_200, expiry: Expiry(unixMillis: .max - 1))
    shrink(to: 0.8, .volatileLRU)
    #expect((0..<600).allSatisfy(holds))
    #expect(!store.isOverMemoryLimit && store.expiringKeyCount > 0)
    #expect(store.expiringKeyCount == 600 - Int(store.evictedKeyCount))
    store.memoryLimit.bytes = 0
    #expect(store.makeRoom(evictions: .max, nowMillis: 1), "nothing is left that may go")
    #expect(store.expiringKeyCount == 0 && (0..<600).allSatisfy(holds))
  }

  /// A key that was chosen as a candidate may be made permanent within a step of its access clock.
  @Test func aKeyThatDoesNotExpireAnyMoreStays() {
    fill(0..<600, expiry: Expiry(unixMillis: .max - 1))
    store.memoryLimit = MemoryLimit(bytes: store.usedBytes - 1, policy: .volatileLRU)
    store.makeRoom(evictions: .max, nowMillis: fixture.clock.millis)
    #expect(store.evictedKeyCount > 0)
    let left = (0..<600).filter(holds)
    for number in left {
      fixture.setExpiry(key(number), .never, slot: number % 600, database: number % 3)
    }
    store.memoryLimit.bytes = 0
    #expect(store.makeRoom(evictions: .max, nowMillis: fixture.clock.millis))
    #expect(left.allSatisfy(holds))
  }

  @Test func noKeyGoesWithoutAPolicy() {
    fill(0..<100)
    store.memoryLimit = MemoryLimit(bytes: 1)
    #expect(store.makeRoom(evictions: .max, nowMillis: 1))
    #expect(store.totalKeyCount == 100 && store.evictedKeyCount == 0)
  }

  @Test func aStoreCanBeEmptied() {
    fill(0..<1_000)
    store.memoryLimit = MemoryLimit(bytes: 0, policy: .allKeysLRU)
    #expect(store.makeRoom(evictions: .max, nowMillis: 1))
    #expect(store.totalKeyCount == 0 && store.evictedKeyCount == 1_000)
    #expect(store.usedBytes == fixture.usedAtStart)
  }

  /// Long lists are freed in slices, and count until they are.
  @Test func garbageIsFreedBeforeMoreIsEvicted() throws {
    for number in 0..<4 {
      for _ in 0..<40 {
        try fixture.push(
          key(number), .tail, [Bytes](repeating: Bytes(repeating: 2, count: 100), count: 500))
      }
    }
    fixture.clock.millis += 1_000
    shrink(to: 0.7, .allKeysLRU)
    #expect(!store.isOverMemoryLimit)
    #expect(store.evictedKeyCount == 2)
  }

  @Test func aClockThatWasPutBackMakesNoKeyOld() {
    #expect(AccessClock.idleMillis(AccessClock.clock(atMillis: 5_000), nowMillis: 85_000) == 80_000)
    #expect(AccessClock.idleMillis(AccessClock.clock(atMillis: 85_000), nowMillis: 5_000) == 0)
    let year: Int64 = 365 * 86_400_000
    let now: Int64 = 1_764_000_000_000
    let idle = AccessClock.idleMillis(AccessClock.clock(atMillis: now - year), nowMillis: now)
    #expect(abs(idle - year) <= 16)
  }
}
