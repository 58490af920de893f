// Lists that are held whole while they change, and what the accounts say of them.

import Testing

@testable import Store

@Suite struct PinnedListTests {
  private let key = Bytes("k")
  private static let element = Bytes(repeating: 7, count: 1_000)

  /// A list of several full chunks.
  private func pushLong(_ fixture: Fixture, _ count: Int = 200) throws -> [Bytes] {
    let elements = (0..<count).map { Bytes("\($0) ") + Self.element }
    try fixture.push(key, .tail, elements)
    return elements
  }

  private func list(_ fixture: Fixture) throws -> List {
    try #require(fixture.at(key) { $0.entry?.list })
  }

  /// Every change of a list that there is.
  private static let changes: [@Sendable (Fixture, Bytes) throws -> Void] = [
    { try $0.push($1, .tail, [element]) },
    { try $0.push($1, .head, [element]) },
    { _ = try $0.pop($1, .tail) },
    { _ = try $0.pop($1, .head) },
    { _ = try $0.popMany($1, .head, 50) },
    { _ = try $0.popMany($1, .tail, 200) },
    { try $0.setElement($1, 20, Bytes("other")) },
    { try $0.insertElement($1, 20, Bytes("more")) },
    { try $0.removeElements($1, by: 3, rest: 1) },
    { try $0.trim($1, 20, 30) },
    { fixture, key in for _ in 0..<199 { _ = try fixture.pop(key, .head) } },
    { fixture, key in for _ in 0..<200 { _ = try fixture.pop(key, .tail) } },
    { $0.set($1, Bytes("text")) },
    { $0.delete($1) },
    { fixture, _ in fixture.store.reset(slot: 0, database: 0) },
    { fixture, key in
      fixture.setExpiry(key, Expiry(unixMillis: 5))
      fixture.clock.millis = 10
      _ = fixture.type(key)
    },
    { fixture, _ in
      fixture.store.memoryLimit = MemoryLimit(bytes: 1, policy: .allKeysLRU)
      fixture.store.makeRoom(evictions: 1, nowMillis: 1)
    },
  ]

  @Test(arguments: changes.indices)
  func aPinnedListStaysAsItWas(change: Int) throws {
    let fixture = Fixture()
    let expected = try pushLong(fixture)
    var pin = try fixture.pinnedList(key)
    try Self.changes[change](fixture, key)
    while fixture.store.collectGarbage(entries: 10) { #expect(pin?.elements == expected) }
    #expect(pin?.elements == expected)
    fixture.delete(key)
    while fixture.store.collectGarbage(entries: 10) {}
    // What is left is the pin's: its chunks, and its ring.
    let ring = try #require(pin).ring.blockBytes
    let left = fixture.store.usedBytes - fixture.usedAtStart
    #expect(left == fixture.store.pinnedBytes + fixture.store.heap.usedBytes(ofBlock: ring))
    pin = nil
    while fixture.store.collectGarbage(entries: 10) {}
    #expect(fixture.store.pinnedBytes == 0)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test(arguments: changes.indices)
  func aListWhosePinIsGoneIsAnOrdinaryOne(change: Int) throws {
    let fixture = Fixture()
    _ = try pushLong(fixture)
    var pin = try fixture.pinnedList(key)
    #expect(pin != nil)
    try fixture.push(key, .tail, [Bytes("behind")])
    pin = nil
    let list = try list(fixture)
    #expect(!list.isPinned)
    try Self.changes[change](fixture, key)
    #expect(fixture.store.pinnedBytes == 0)
    fixture.delete(key)
    while fixture.store.collectGarbage(entries: 10) {}
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func pinsShareTheRingUntilTheListChanges() throws {
    let fixture = Fixture()
    _ = try pushLong(fixture)
    let used = fixture.store.usedBytes
    let first = try fixture.pinnedList(key)
    let second = try fixture.pinnedList(key)
    #expect(first === second)
    #expect(fixture.store.usedBytes == used && fixture.store.pinnedBytes == 0)
    let ring = try list(fixture).base
    fixture.setExpiry(key, Expiry(unixMillis: 100))
    #expect(try list(fixture).base == ring)
    _ = try fixture.pop(key, .head)
    #expect(try list(fixture).base != ring && first?.ring.base == ring)
  }

  @Test func whatAPinKeepsIsFreedInSlices() throws {
    let fixture = Fixture()
    _ = try pushLong(fixture, 2_000)
    var pin = try fixture.pinnedList(key)
    try fixture.trim(key, -1, -1)
    while fixture.store.collectGarbage(entries: 1_000) {}
    let pinned = fixture.store.pinnedBytes
    #expect(pin?.count == 2_000 && pinned > 2_000_000)
    pin = nil
    #expect(fixture.store.hasGarbage && fixture.store.pinnedBytes == pinned)
    var slices = 1
    while fixture.store.collectGarbage(entries: 100) { slices += 1 }
    #expect(slices > 10 && fixture.store.pinnedBytes == 0)
  }

  @Test(arguments: [Store.ListEnd.head, .tail])
  func theRoomOfPinnedElementsIsNotFilledAgain(end: Store.ListEnd) throws {
    // Chunks of many sizes.
    for count in 1..<40 {
      let fixture = Fixture()
      try fixture.push(key, end, (0..<count + 1).map { Bytes("element \($0)") })
      let pin = try #require(try fixture.pinnedList(key))
      let expected = pin.elements
      for round in 0..<3 {
        _ = try fixture.pop(key, end)
        try fixture.push(key, end, [Bytes("round \(round)")])
        #expect(pin.elements == expected, "of \(count)")
      }
    }
  }

  /// Elements added and removed while a list is pinned belong to no view.
  @Test func elementsBornUnderAPinAreFreedAtOnce() throws {
    let fixture = Fixture()
    _ = try pushLong(fixture)
    let pin = try fixture.pinnedList(key)
    let large = Bytes(repeating: 1, count: 100_000)
    for end in [Store.ListEnd.head, .tail] {
      try fixture.push(key, end, [large])
      _ = try fixture.pop(key, end)
    }
    let pinned = fixture.store.pinnedBytes
    let used = fixture.store.usedBytes
    for _ in 0..<100 {
      for end in [Store.ListEnd.head, .tail] {
        try fixture.push(key, end, [large])
        _ = try fixture.pop(key, end)
      }
    }
    #expect(fixture.store.usedBytes == used && fixture.store.pinnedBytes == pinned)
    #expect(!fixture.store.hasGarbage && pin?.count == 200)
  }

  /// Pins of several moments go in each order; the last one takes all with it.
  @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
  func pinsGoInAnyOrder(order: [Int]) throws {
    for deletesFirst in [true, false] {
      let fixture = Fixture()
      var pins: [PinnedList?] = []
      var expected: [[Bytes]] = []
      for round in 0..<3 {
        _ = try pushLong(fixture)
        pins.append(try fixture.pinnedList(key))
        expected.append(try #require(pins.last ?? nil).elements)
        try fixture.removeElements(key, by: 3, rest: round)
        _ = try fixture.popMany(key, .head, 100)
      }
      if deletesFirst { fixture.delete(key) }
      for index in order {
        pins[index] = nil
        while fixture.store.collectGarbage(entries: 50) {}
        for (pin, expected) in zip(pins, expected) where pin != nil {
          #expect(pin?.elements == expected)
        }
      }
      #expect(fixture.store.pinnedBytes == 0)
      if !deletesFirst { fixture.delete(key) }
      while fixture.store.collectGarbage(entries: 50) {}
      #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
    }
  }

  /// An older pin that stays keeps nothing of the time after it.
  @Test func laterPinsLeaveNothingToOlderOnes() throws {
    let fixture = Fixture()
    let elements = try pushLong(fixture)
    let old = try fixture.pinnedList(key)
    func turnOver() throws {
      try fixture.push(key, .tail, elements)
      let later = try fixture.pinnedList(key)
      try fixture.trim(key, -1, -1)
      while fixture.store.collectGarbage(entries: 1_000) {}
      #expect(later?.count ?? 0 > 200)
    }
    try turnOver()
    while fixture.store.collectGarbage(entries: 1_000) {}
    let pinned = fixture.store.pinnedBytes
    for _ in 0..<20 { try turnOver() }
    while fixture.store.collectGarbage(entries: 1_000) {}
    #expect(fixture.store.pinnedBytes == pinned && old?.elements == elements)
  }

  @Test func aPinOutlivesTheStore() throws {
    var pins: [PinnedList?] = []
    var expected: [Bytes] = []
    do {
      let fixture = Fixture()
      expected = try pushLong(fixture)
      pins.append(try fixture.pinnedList(key))
      try fixture.trim(key, 50, 60)
      pins.append(try fixture.pinnedList(key))
    }
    #expect(pins[0]?.elements == expected && pins[1]?.elements == Array(expected[50...60]))
    pins.removeFirst()
    #expect(pins[0]?.elements == Array(expected[50...60]))
  }

  @Test func onlyListsArePinned() throws {
    let fixture = Fixture()
    #expect(try fixture.pinnedList(key) == nil)
    fixture.set(key, Bytes("text"))
    #expect(throws: Store.StoreError.wrongType) { try fixture.pinnedList(key) }
  }
}
