// Deleting much takes no time at once, and gives back all of it in slices.

import Testing

@testable import Store

@Suite struct GarbageTests {
  private let key = Bytes("k")

  /// A list of more pieces than are freed at once.
  private func pushLongList(_ fixture: Fixture, _ key: Bytes, slot: Int = 0) throws {
    let element = Bytes(repeating: 7, count: Chunk.roomMax / 2)
    for _ in 0..<200 { try fixture.push(key, .tail, [element], slot: slot) }
  }

  @Test func aShortListAndASmallTableAreFreedAtOnce() throws {
    let fixture = Fixture()
    for index in 0..<1000 { fixture.set(Bytes("\(index)"), Bytes("some value")) }
    try fixture.push(key, .tail, (0..<5000).map { Bytes("\($0)") }, slot: 1)
    fixture.delete(key, slot: 1)
    #expect(fixture.store.reset(slot: 0, database: 0) == 1000)
    #expect(!fixture.store.hasGarbage)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aLongListIsDetachedAndFreedInSlices() throws {
    let fixture = Fixture()
    try pushLongList(fixture, key)
    let full = fixture.store.usedBytes
    fixture.delete(key)
    #expect(fixture.type(key) == .none && fixture.store.totalKeyCount == 0)
    #expect(fixture.store.hasGarbage)
    #expect(full - fixture.store.usedBytes < 10_000)
    // A key may come back while its old list is waiting.
    try fixture.push(key, .head, [Bytes("new")])
    var slices = 1
    while fixture.store.collectGarbage(entries: 100) { slices += 1 }
    // 200 chunks of 8 to 9 KiB: about ten units of work each.
    #expect(slices >= 10 && slices <= 40)
    #expect(!fixture.store.hasGarbage)
    #expect(try fixture.range(key, 0, -1)?.elements == [Bytes("new")])
    fixture.delete(key)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func writingOverALongListDetachesItToo() throws {
    let fixture = Fixture()
    try pushLongList(fixture, key)
    fixture.set(key, Bytes("x"))
    #expect(fixture.store.hasGarbage)
    #expect(try fixture.get(key) == Bytes("x"))
    while fixture.store.collectGarbage(entries: 1000) {}
    fixture.delete(key)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aLargeTableIsEmptyAtOnceAndFreedInSlices() throws {
    let fixture = Fixture()
    for index in 0..<5000 { fixture.set(Bytes("\(index)"), Bytes("a value")) }
    try pushLongList(fixture, key)
    let full = fixture.store.usedBytes
    let version = fixture.set(Bytes("elsewhere"), [], slot: 0, database: 1)
    #expect(fixture.store.reset(slot: 0, database: 0) == 5001)
    #expect(fixture.store.keyCount(database: 0) == 0 && fixture.type(key) == .none)
    #expect(fixture.scan(cursor: 0, maxVisits: 10).keys.isEmpty)
    #expect(fixture.store.usedBytes > full - 5000)
    // One version for all, and the slot continues at once.
    #expect(fixture.set(Bytes("17"), Bytes("new")) == version + 2)
    var slices = 1
    while fixture.store.collectGarbage(entries: 100) {
      slices += 1
      #expect(try fixture.get(Bytes("17")) == Bytes("new"))
    }
    #expect(slices >= 51)
    fixture.delete(Bytes("17"))
    fixture.delete(Bytes("elsewhere"), database: 1)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func fewLargeKeysAreMuchToFreeAsWell() {
    let fixture = Fixture()
    for index in 0..<20 { fixture.set(Bytes("\(index)"), Bytes(repeating: 1, count: 1 << 20)) }
    #expect(fixture.store.reset(slot: 0, database: 0) == 20)
    let left = fixture.store.usedBytes - fixture.usedAtStart
    #expect(left > 10 << 20 && left < 20 << 20)
    var slices = 1
    while fixture.store.collectGarbage(entries: 1000) { slices += 1 }
    #expect(slices > 10)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func theNeighboursOfFreedBlocksKeepTheirBytes() throws {
    let fixture = Fixture()
    func value(_ index: Int) -> Bytes {
      Bytes(repeating: UInt8(index + 1), count: 64 * 1024 + index * 1111)
    }
    for index in 0..<60 { fixture.set(Bytes("\(index)"), value(index), slot: index % 2) }
    fixture.store.reset(slot: 0, database: 0)
    #expect(fixture.store.hasGarbage)
    while fixture.store.collectGarbage(entries: 100) {}
    for index in stride(from: 1, to: 60, by: 2) {
      #expect(try fixture.get(Bytes("\(index)"), slot: 1) == value(index))
    }
  }

  @Test func aViewOfGarbageHoldsWhatItShows() throws {
    let fixture = Fixture()
    try pushLongList(fixture, key)
    var view = try fixture.range(key, 10, 12)
    let expected = try #require(view).elements
    fixture.delete(key)
    #expect(fixture.store.pinnedBytes == 0)
    while fixture.store.collectGarbage(entries: 50) {}
    let pinned = fixture.store.pinnedBytes
    #expect(pinned > 3 * Chunk.roomMax / 2 && pinned < 5 * Chunk.roomMax)
    #expect(view?.elements == expected)
    view = nil
    #expect(fixture.store.pinnedBytes == 0)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aViewThatGoesFirstLeavesItsPartToTheCollection() throws {
    let fixture = Fixture()
    try pushLongList(fixture, key)
    var view = try fixture.range(key, 0, -1)
    fixture.delete(key)
    let garbage = fixture.store.usedBytes
    #expect(view?.count == 200)
    view = nil
    #expect(fixture.store.pinnedBytes == 0 && garbage - fixture.store.usedBytes < 20_000)
    while fixture.store.collectGarbage(entries: 50) {}
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aStoreThatGoesTakesItsGarbageWithIt() throws {
    var heap: Heap?
    do {
      let fixture = Fixture()
      try pushLongList(fixture, key)
      fixture.delete(key)
      for index in 0..<3000 { fixture.set(Bytes("\(index)"), []) }
      fixture.store.reset(slot: 0, database: 0)
      heap = fixture.store.heap
      #expect(fixture.store.hasGarbage)
    }
    #expect(heap?.usedBytes == 0)
  }
}
