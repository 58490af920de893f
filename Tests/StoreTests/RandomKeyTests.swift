// Keys drawn by lot: each as likely as any other, whatever tables they lie in.

import TestSeeds
import Testing

@testable import Store

@Suite struct RandomKeyTests {
  /// How often each key of a database is drawn.
  private func drawn(
    _ times: Int, of fixture: Fixture, _ random: inout SeededRandom
  ) -> [Bytes: Int] {
    var counts: [Bytes: Int] = [:]
    for _ in 0..<times {
      let drawn = fixture.store.drawKey(
        database: 0, nowMillis: fixture.clock.millis, using: &random)
      if case .key(let key, _) = drawn { counts[Bytes(key), default: 0] += 1 }
    }
    return counts
  }

  @Test func tablesWithFewKeysAndWithManyHaveEachKeyDrawnAsOften() {
    let fixture = Fixture(slotCount: 600)
    let keysOfSlots = [0: 1, 3: 4, 255: 2, 256: 90, 599: 3]
    for (slot, count) in keysOfSlots {
      for number in 0..<count { fixture.set(Bytes("\(slot):\(number)"), [1], slot: slot) }
    }
    fixture.set(Bytes("of another database"), [1], database: 1)
    // Draws of a fixed seed: the check can't fail by bad luck.
    var random = SeededRandom(seed: 1)
    let counts = drawn(100_000, of: fixture, &random)
    #expect(counts.count == 100)
    // Chi-squared with 99 degrees of freedom: below 150 with a probability of 0.999.
    let chiSquared = counts.values.reduce(0.0) { sum, count in
      sum + Double((count - 1_000) * (count - 1_000)) / 1_000
    }
    #expect(chiSquared < 150)
  }

  /// While a table grows in steps it has two arrays, and the keys lie in both.
  @Test func aTableThatIsMovingHasEachKeyDrawnAsOften() {
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 4))
    var number = 0
    repeat {
      fixture.set(Bytes("key:\(number)"), [1])
      number += 1
    } while number < 100
      || fixture.store.directory.table(database: 0, slot: 0)?.pointee.isMoving == false
    var random = SeededRandom(seed: 2)
    let counts = drawn(100 * number, of: fixture, &random)
    #expect(counts.count == number)
    #expect(counts.values.allSatisfy { (50...160).contains($0) })
  }

  @Test func aKeyThatIsDueIsDeletedInsteadOfDrawn() {
    let fixture = Fixture()
    for number in 0..<50 { fixture.set(Bytes("due:\(number)"), [1], expiry: Expiry(unixMillis: 5)) }
    fixture.set(Bytes("stays"), [1])
    fixture.clock.millis = 5
    var random = SeededRandom(seed: 3)
    var expired = 0
    for _ in 0..<5_000 {
      switch fixture.store.drawKey(database: 0, nowMillis: 5, using: &random) {
      case .key(let key, _): #expect(Bytes(key) == Bytes("stays"))
      case .expired: expired += 1
      case .none: Issue.record("there is a key")
      }
    }
    #expect(expired == 50 && fixture.store.keyCount(database: 0) == 1)
    #expect(fixture.store.expiredKeyCount == 50)
    _ = fixture.delete(Bytes("stays"))
    guard case .none = fixture.store.drawKey(database: 0, nowMillis: 5, using: &random) else {
      Issue.record("the database is empty")
      return
    }
  }
}

@Suite struct KeyFactsTests {
  private let fixture = Fixture()

  private func facts(_ key: String) throws -> KeyFacts {
    try fixture.at(Bytes(key)) { try #require(fixture.store.facts(at: $0)) }
  }

  /// What a key is said to take is what the store's account grows by, but for the table.
  @Test func aKeyIsSaidToTakeWhatTheHeapCountsForIt() throws {
    fixture.set(Bytes("first"), [1])
    var before = fixture.store.usedBytes
    for (value, encoding) in [
      (Bytes("12"), KeyFacts.Encoding.integer), (Bytes("text"), .inline),
      (Bytes(repeating: 7, count: 2_048), .inline), (Bytes(repeating: 7, count: 2_049), .block),
      (Bytes(repeating: 7, count: 300_000), .block),
    ] {
      fixture.set(Bytes("k"), value)
      let found = try facts("k")
      #expect(found.encoding == encoding && found.length == value.count && found.type == .string)
      #expect(fixture.store.usedBytes - before == found.memoryBytes - 8)
      fixture.delete(Bytes("k"))
      #expect(fixture.store.usedBytes == before)
    }
    try fixture.push(Bytes("l"), .tail, (0..<5_000).map { Bytes("value \($0)") })
    let list = try facts("l")
    #expect(list.encoding == .chunks && list.length == 5_000 && list.type == .list)
    #expect(fixture.store.usedBytes - before == list.memoryBytes - 8)
    before = fixture.store.usedBytes
    fixture.setExpiry(Bytes("first"), Expiry(unixMillis: 9_000))
    #expect(try facts("first").memoryBytes > 8)
  }

  @Test func aLongListIsEstimated() throws {
    let pieces = List.measuredPiecesMax * 3 / 2
    let value = Bytes(repeating: 1, count: 15_000)
    for _ in 0..<pieces / 64 {
      try fixture.push(Bytes("l"), .tail, Array(repeating: value, count: 64))
    }
    let found = try facts("l")
    let real = fixture.store.usedBytes - fixture.usedAtStart
    #expect(abs(found.memoryBytes - real) < real / 50)
  }

  @Test func toAskForTheAccessClockIsNoUseOfTheKey() {
    fixture.clock.millis = 1_000
    fixture.set(Bytes("k"), [1])
    let used = Bytes("k").withUnsafeBytes {
      fixture.store.accessClock(of: $0, slot: 0, database: 0)
    }
    fixture.clock.millis = 9_000
    fixture.at(Bytes("k")) { place in
      place.setAccessClock(used ?? 0)
      #expect(fixture.store.facts(at: place)?.idleMillis(at: 9_000) == 8_000)
    }
    Bytes("none").withUnsafeBytes {
      #expect(fixture.store.accessClock(of: $0, slot: 0, database: 0) == nil)
    }
  }
}
