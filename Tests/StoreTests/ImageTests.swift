// Images hold what the store holds, in one order, and install makes the same store of them.

import Testing

@testable import Store

@Suite struct ImageTests {
  private let large = Bytes(repeating: 7, count: Store.imageCopyMax + 1)

  /// A store with values of all kinds.
  private func filledFixture() throws -> Fixture {
    let fixture = Fixture(databaseCount: 3, slotCount: 600)
    for number in 0..<500 {
      let slot = [0, 0, 1, 255, 256, 599][number % 6]
      let key = Bytes("key \(number)")
      let expiry = number % 7 == 0 ? Expiry(unixMillis: Int64(number)) : .never
      let value =
        switch number % 5 {
        case 0: Bytes(String(number))
        case 1: Bytes(repeating: 1, count: Entry.inlineMax + number)
        default: Bytes("value \(number)")
        }
      fixture.clock.millis = Int64(number * 1_000)
      fixture.set(key, value, expiry: expiry, slot: slot, database: number % 3)
    }
    for number in 0..<20 {
      try fixture.push(
        Bytes("list \(number)"), .tail, (0..<number * 20 + 1).map { Bytes("element \($0)") },
        slot: number, database: 1)
    }
    fixture.set(Bytes("large"), large, slot: 3)
    try fixture.push(Bytes("long"), .tail, [large, [], large], slot: 3)
    return fixture
  }

  @Test(arguments: [1, 2, 7, 64, Int.max])
  func imagesMakeTheSameStore(keys: Int) throws {
    let source = try filledFixture()
    let target = Fixture(databaseCount: 3, slotCount: 600)
    var copy = ImageCopy(into: target.store)
    var counts: [Int] = []
    while copy.cursor < source.store.imageEnd {
      counts.append(try copy.takeImage(of: source.store, keys: keys))
    }
    #expect(counts.allSatisfy { $0 <= keys })
    #expect(counts.reduce(0, +) == source.store.totalKeyCount)
    target.store.raiseVersions(to: source.store.versionMax)
    source.store.raiseVersions(to: source.store.versionMax)
    let contents = try StoreContents(source.store)
    #expect(try contents.difference(from: StoreContents(target.store)) == nil)
    #expect(source.store.pinnedBytes == 0)
  }

  @Test func anImageEndsBehindSoManyBytes() throws {
    let source = try filledFixture()
    var copy = ImageCopy(into: Fixture(databaseCount: 3, slotCount: 600).store)
    while copy.cursor < source.store.imageEnd {
      #expect(try copy.takeImage(of: source.store, keys: .max, bytes: 1) <= 1)
    }
    #expect(copy.target.totalKeyCount == source.store.totalKeyCount)
  }

  @Test func anImageUsesAndExpiresNothing() throws {
    let source = try filledFixture()
    func clocks() -> [UInt32] {
      var clocks: [UInt32] = []
      _ = source.store.image(from: ImageCursor(), keys: .max, bytes: .max) {
        clocks.append($0.accessClock)
        return true
      }
      return clocks
    }
    let before = clocks()
    #expect(Set(before).count > 100)
    source.clock.millis = 1 << 40
    #expect(clocks() == before && source.store.expiredKeyCount == 0)
  }

  @Test func whatCannotComeFromAnImageIsRefused() throws {
    let fixture = Fixture()
    let key = Bytes("k")
    func install(
      _ value: InstalledValue, slot: Int = 0, database: Int = 0, version: UInt64 = 5
    ) throws {
      try key.withUnsafeBytes {
        try fixture.store.install(
          value, key: $0, slot: slot, database: database, version: version, expiry: .never,
          accessClock: 0)
      }
    }
    let empty = InstalledValue.list(fixture.store.makeListBuilder())
    #expect(throws: Effect.Corruption.outOfBounds) { try install(empty) }
    #expect(throws: Effect.Corruption.outOfBounds) { try install(.integer(1), slot: 4) }
    #expect(throws: Effect.Corruption.noSuchDatabase(2)) {
      try install(.integer(1), database: 2)
    }
    #expect(throws: Effect.Corruption.outOfBounds) {
      try install(.integer(1), version: Entry.versionMax + 1)
    }
    try install(.integer(1))
    #expect(throws: Effect.Corruption.existingKey) { try install(.integer(2)) }
    #expect(try fixture.get(key) == Bytes("1"))
    #expect(fixture.store.versionMax == 5)
    #expect(fixture.set(key, key) == 6)
  }

  @Test func aReservedTableIsLargeEnoughAtOnce() throws {
    let fixture = Fixture()
    fixture.store.reserve(keys: 1_000, slot: 1, database: 1)
    var places: Set<Int> = []
    for number in 0..<1_000 {
      try Bytes("key \(number)").withUnsafeBytes {
        try fixture.store.install(
          .integer(1), key: $0, slot: 1, database: 1, version: 1, expiry: .never, accessClock: 0)
      }
      let table = try #require(fixture.store.directory.table(database: 1, slot: 1)).pointee
      places.insert(table.placeCount)
    }
    #expect(places == [2_048])
    for number in 0..<1_000 { fixture.delete(Bytes("key \(number)"), slot: 1, database: 1) }
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aBuilderThatIsThrownAwayLeavesNothing() {
    let fixture = Fixture()
    do {
      let builder = fixture.store.makeListBuilder()
      for _ in 0..<10 { large.withUnsafeBytes { builder.append($0) } }
    }
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }
}
