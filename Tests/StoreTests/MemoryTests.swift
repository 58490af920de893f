// The accounts of memory: exact, back to where they began, and as small as promised.

import TestSeeds
import Testing

@testable import Store

@Suite struct MemoryTests {
  @Test(arguments: [true, false])
  func everythingDeletedLeavesTheMemoryOfAnEmptyStore(usesSlabs: Bool) throws {
    let fixture = Fixture(slotCount: 300, usesSlabs: usesSlabs)
    var random = SeededRandom(seed: TestSeed.value)
    for index in 0..<4000 {
      let key = Bytes("key \(index)")
      switch index % 4 {
      case 0: fixture.set(key, random.bytes(index % 600), slot: index % 300)
      case 1: fixture.set(key, Bytes(repeating: 1, count: index * 3), slot: index % 300)
      case 2: try fixture.push(key, .head, [[1], [], [2, 3]], slot: index % 300)
      default: try fixture.incrBy(key, 1, slot: index % 300, database: 1)
      }
    }
    #expect(fixture.store.memoryBytes > fixture.memoryAtStart + 1_000_000)
    for index in 0..<2000 { fixture.delete(Bytes("key \(index)"), slot: index % 300) }
    for database in 0..<2 {
      for slot in 0..<300 { fixture.store.reset(slot: slot, database: database) }
    }
    #expect(fixture.store.totalKeyCount == 0)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart, "seed \(TestSeed.value)")
  }

  @Test func aKeyThatComesAndGoesNeedsNoNewPage() {
    let fixture = Fixture()
    fixture.set(Bytes("k"), Bytes("v"))
    let before = fixture.store.usedBytes
    fixture.set(Bytes("k"), Bytes("w"))
    #expect(fixture.store.usedBytes == before)
    fixture.delete(Bytes("k"))
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func roomOfDeletedKeysIsUsedAgain() {
    let fixture = Fixture()
    let value = Bytes("a value of some bytes")
    for index in 0..<4000 { fixture.set(Bytes("\(10_000 + index)"), value) }
    let full = fixture.store.memoryBytes
    for index in stride(from: 0, to: 4000, by: 2) { fixture.delete(Bytes("\(10_000 + index)")) }
    for index in stride(from: 0, to: 4000, by: 2) { fixture.set(Bytes("\(20_000 + index)"), value) }
    #expect(fixture.store.memoryBytes == full)
  }

  @Test func bytesPinnedByViewsAreCountedUntilTheViewsGo() throws {
    let fixture = Fixture()
    let key = Bytes("k")
    try fixture.push(key, .tail, [Bytes(repeating: 1, count: 100_000)])
    var first = try fixture.range(key, 0, -1)
    var second = try fixture.range(key, 0, 0)
    #expect(fixture.store.pinnedBytes == 0)
    #expect(try fixture.pop(key, .head)?.bytes.count == 100_000)
    let pinned = fixture.store.pinnedBytes
    #expect(pinned >= 100_000 && pinned < 101_000)
    #expect(fixture.store.memoryBytes > fixture.memoryAtStart + 100_000)
    withExtendedLifetime(first) { first = nil }
    #expect(fixture.store.pinnedBytes == pinned)
    withExtendedLifetime(second) { second = nil }
    #expect(fixture.store.pinnedBytes == 0)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aPoppedElementIsGoodUntilTheNextCall() throws {
    let fixture = Fixture()
    let key = Bytes("k")
    try fixture.push(key, .tail, [Bytes(repeating: 9, count: 50_000)])
    let popped = try fixture.at(key) { try fixture.store.pop(.tail, at: $0) }
    #expect(try #require(popped).bytes.allSatisfy { $0 == 9 })
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aSmallKeyTakesAtMostSeventyTwoBytes() {
    let fixture = Fixture(databaseCount: 16, slotCount: 1024)
    let before = fixture.store.memoryBytes
    let count = 62_500  // 61 a table, as 1e6 keys in 16384 slots
    for index in 0..<count {
      let digits = String(index)
      let key = Bytes(String(repeating: "k", count: 16 - digits.count) + digits)
      fixture.set(key, Bytes("0123456789abcdef"), slot: index % 1024)
    }
    #expect(fixture.store.memoryBytes - before <= count * 72)
  }

  @Test func listsStayWithinTheirShareOfMemory() throws {
    let fixture = Fixture(databaseCount: 1, slotCount: 1024)
    let element = Bytes("0123456789")
    var before = fixture.store.usedBytes
    try fixture.push(Bytes("long"), .tail, Array(repeating: element, count: 100_000))
    // The chunk that is being filled aside.
    #expect(Double(fixture.store.usedBytes - before) <= 12.1 * 100_000 + 16 * 1024)
    before = fixture.store.usedBytes
    for index in 0..<12_000 {
      let key = Bytes("list:\(100_000 + index)")
      for _ in 0..<5 { try fixture.push(key, .tail, [element], slot: index % 1024) }
    }
    #expect(fixture.store.usedBytes - before <= 200 * 12_000)
  }
}
