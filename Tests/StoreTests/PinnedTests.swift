// Large values that are held where they lie, and what the accounts say of them.

import Testing

@testable import Store

@Suite struct PinnedTests {
  private let key = Bytes("k")
  private let large = Bytes((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })

  @Test func aLargeValueIsHeldWithoutACopy() throws {
    let fixture = Fixture()
    let version = fixture.set(key, large)
    let used = fixture.store.usedBytes
    let pinned = try #require(try fixture.pinnedValue(key))
    #expect(pinned.count == large.count && pinned.version == version)
    #expect(fixture.store.usedBytes == used && fixture.store.pinnedBytes == 0)
    #expect(pinned.bytes == large)
    #expect(pinned.withBytes(70_000..<70_010) { Bytes($0) } == Array(large[70_000..<70_010]))
    #expect(pinned.withBytes(100_000..<100_000) { $0.count } == 0)
  }

  @Test func whatIsNotInABlockOfItsOwnIsNotHeld() throws {
    let fixture = Fixture()
    #expect(try fixture.pinnedValue(key) == nil)
    for value in [[], Bytes("12345"), Bytes(repeating: 1, count: Entry.inlineMax)] {
      fixture.set(key, value)
      #expect(try fixture.pinnedValue(key) == nil)
    }
    fixture.set(key, Bytes(repeating: 1, count: Entry.inlineMax + 1))
    #expect(try fixture.pinnedValue(key) != nil)
    try fixture.push(Bytes("list"), .head, [large])
    #expect(throws: Store.StoreError.wrongType) { try fixture.pinnedValue(Bytes("list")) }
  }

  @Test func aHeldValueStaysAsItWas() throws {
    let fixture = Fixture()
    fixture.set(key, large)
    let first = try fixture.pinnedValue(key)
    fixture.set(key, Bytes(repeating: 2, count: 100_000))
    let second = try fixture.pinnedValue(key)
    fixture.delete(key)
    try fixture.push(key, .tail, [large])
    #expect(first?.bytes == large)
    #expect(second?.bytes == Bytes(repeating: 2, count: 100_000))
  }

  @Test(arguments: 1...3)
  func anOverwrittenValueCountsAsPinnedUntilTheLastHoldGoes(count: Int) throws {
    let fixture = Fixture()
    fixture.set(key, large)
    let block = fixture.store.heap.usedBytes(ofBlock: Blob.headerBytes + large.count)
    var holds = try (0..<count).map { _ in try fixture.pinnedValue(key) }
    fixture.set(key, Bytes("small"))
    for _ in 0..<count {
      #expect(fixture.store.pinnedBytes == block)
      holds.removeLast()
    }
    #expect(fixture.store.pinnedBytes == 0)
    fixture.delete(key)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aValueOutlivesTheStore() throws {
    var value: Store.PinnedBytes?
    var element: Store.PinnedBytes?
    do {
      let fixture = Fixture()
      fixture.set(key, large)
      value = try fixture.pinnedValue(key)
      try fixture.push(Bytes("list"), .tail, [large, [1]])
      element = try fixture.popPinned(Bytes("list"), .head, longerThan: 10)
    }
    #expect(value?.bytes == large)
    #expect(element?.bytes == large)
  }

  @Test(arguments: [Store.ListEnd.head, .tail])
  func onlyALongElementIsPoppedPinned(end: Store.ListEnd) throws {
    let fixture = Fixture()
    #expect(try fixture.popPinned(key, end, longerThan: 0) == nil)
    #expect(try fixture.peekLength(key, end) == nil)
    let version = try fixture.push(key, end, [Bytes("short"), large]).version
    #expect(try fixture.peekLength(key, end) == large.count)
    #expect(try fixture.popPinned(key, end, longerThan: large.count) == nil)
    #expect(try fixture.length(key) == 2)
    let popped = try #require(try fixture.popPinned(key, end, longerThan: large.count - 1))
    #expect(popped.version == version + 1 && popped.bytes == large)
    #expect(try fixture.peekLength(key, end) == 5)
    #expect(try fixture.popPinned(key, end, longerThan: 5) == nil)
    #expect(try fixture.pop(key, end)?.bytes == Bytes("short"))
    fixture.set(key, large)
    #expect(throws: Store.StoreError.wrongType) { try fixture.peekLength(key, end) }
    #expect(throws: Store.StoreError.wrongType) { try fixture.popPinned(key, end, longerThan: 1) }
  }

  @Test func theLastElementTakesTheKeyWithIt() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, [large])
    var popped = try fixture.popPinned(key, .head, longerThan: 0)
    #expect(fixture.type(key) == .none && fixture.store.totalKeyCount == 0)
    #expect(fixture.store.pinnedBytes == fixture.store.usedBytes - fixture.usedAtStart)
    #expect(popped?.bytes == large)
    popped = nil
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test(arguments: [Store.ListEnd.head, .tail])
  func theRoomOfAHeldElementIsNotFilledAgain(end: Store.ListEnd) throws {
    // Chunks of many sizes; short elements, so that they have neighbours.
    for count in 1..<60 {
      let fixture = Fixture()
      try fixture.push(key, end, (0..<count).map { Bytes("element \($0)") })
      var held: [(Store.PinnedBytes, Bytes)] = []
      for round in 0..<6 {
        let popped = try #require(try fixture.popPinned(key, end, longerThan: 0))
        held.append((popped, popped.bytes))
        try fixture.push(key, end, [Bytes("round \(round)"), Bytes("another \(round)")])
      }
      for (value, expected) in held { #expect(value.bytes == expected, "of \(count)") }
    }
  }
}
