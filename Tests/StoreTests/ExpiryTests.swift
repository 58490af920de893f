// Keys that expire: who meets them, the walk that finds the rest, and clocks that jump.

import Testing

@testable import Store

@Suite struct ExpiryTests {
  private let fixture = Fixture()
  private var store: Store { fixture.store }

  @Test func aKeyThatIsDueIsDeletedByWhoMeetsIt() throws {
    let effects = RecordedEffects()
    store.observer = effects
    let version = fixture.set(Bytes("k"), Bytes("v"), expiry: Expiry(unixMillis: 10))
    fixture.clock.millis = 9
    #expect(try fixture.get(Bytes("k")) == Bytes("v"))
    fixture.clock.millis = 10
    #expect(try fixture.get(Bytes("k")) == nil)
    #expect(store.totalKeyCount == 0 && store.expiringKeyCount == 0)
    let groups = effects.takeGroups()
    #expect(
      groups.map { $0.map(\.change) } == [
        [.put(Bytes("v"), Expiry(unixMillis: 10))], [.delete],
      ])
    #expect(groups.last?.last?.version == version + 1)
  }

  @Test func theExpiryStaysOrGoesWithTheWrite() throws {
    let key = Bytes("k")
    let expiry = Expiry(unixMillis: 50)
    func now() -> Expiry { fixture.at(key) { $0.expiry } }
    fixture.set(key, Bytes("1"), expiry: expiry)
    try fixture.incrBy(key, 1)
    #expect(now() == expiry, "an increment keeps it")
    _ = try fixture.at(key) { place in
      try Bytes("x").withUnsafeBytes {
        store.write($0, offset: 2, into: try store.string(at: place), at: place)
      }
    }
    #expect(now() == expiry, "an append keeps it")
    fixture.set(key, Bytes("2"))
    #expect(now() == .never, "a set without one clears it")
    let before = fixture.at(key) { $0.version }
    #expect(fixture.setExpiry(key, expiry) == before + 1)
    #expect(try fixture.get(key) == Bytes("2") && now() == expiry)
    #expect(fixture.setExpiry(key, .never) == before + 2)
    #expect(try fixture.get(key) == Bytes("2") && now() == .never)
    #expect(fixture.setExpiry(Bytes("none"), expiry) == nil)
  }

  /// Values of every kind and length: what lies in the entry moves, what lies outside stays.
  @Test func aChangeOfExpiryKeepsEveryValue() throws {
    var values = [Bytes("12345"), Bytes(repeating: 7, count: Entry.inlineMax + 1)]
    for length in 0...200 { values.append(Bytes(repeating: UInt8(length), count: length)) }
    for (index, value) in values.enumerated() {
      let key = Bytes("key-\(index)")
      fixture.set(key, value)
      for expiry in [Expiry(unixMillis: 9), Expiry(unixMillis: 8), .never] {
        fixture.setExpiry(key, expiry)
        #expect(try fixture.get(key) == value)
      }
    }
    let list = Bytes("list")
    let elements = (0..<500).map { Bytes("element \($0)") }
    try fixture.push(list, .tail, elements)
    fixture.setExpiry(list, Expiry(unixMillis: 7))
    try fixture.push(list, .tail, [Bytes("last")])
    #expect(try fixture.range(list, 0, -1)?.elements == elements + [Bytes("last")])
    #expect(fixture.at(list) { $0.expiry } == Expiry(unixMillis: 7), "a push keeps it")
    fixture.clock.millis = 7
    #expect(try fixture.length(list) == nil)
  }

  @Test func aScanHandsOverNoKeyThatIsDue() {
    for index in 0..<1000 {
      let expiry = index % 3 == 0 ? Expiry.never : Expiry(unixMillis: index % 3 == 1 ? 5 : 6)
      fixture.set(Bytes("key-\(index)"), Bytes("v"), expiry: expiry)
    }
    fixture.clock.millis = 5
    var (keys, cursor): ([Bytes], UInt64) = ([], 0)
    repeat {
      let slice = fixture.scan(cursor: cursor, maxVisits: 10)
      keys += slice.keys
      cursor = slice.next
    } while cursor != 0
    #expect(Set(keys).count == 667 && keys.count == 667)
    #expect(store.totalKeyCount == 667 && store.expiringKeyCount == 333)
  }

  @Test func aWalkDeletesAllThatIsDueAndKnowsWhenTheNextIs() {
    for index in 0..<20_000 {
      fixture.set(
        Bytes("key-\(index)"), Bytes("v"), expiry: Expiry(unixMillis: Int64(100 + index % 10)),
        slot: index % 3, database: index % 2)
    }
    fixture.set(Bytes("stays"), Bytes("v"), slot: 1)
    #expect(walk(at: 99) == Store.ExpiryProgress(endsRound: true), "no table is due")
    #expect(walk(at: 100).expired == 2_000)
    #expect(walk(at: 100).visited == 0, "each table knows its next")
    #expect(walk(at: 104).expired == 8_000)
    #expect(walk(at: 1_000).expired == 10_000)
    #expect(store.totalKeyCount == 1 && store.expiringKeyCount == 0)
  }

  @Test func aWalkContinuesWhereItEndedWhileKeysChange() {
    for index in 0..<5_000 {
      fixture.set(Bytes("a-\(index)"), Bytes("v"), expiry: Expiry(unixMillis: 10))
    }
    var rounds = 0
    var written = 0
    while rounds < 2 {
      let progress = store.expire(nowMillis: 10, maxVisits: 100)
      #expect(progress.visited <= 512, "bounded work")
      if progress.endsRound { rounds += 1 }
      // The table grows under the walk; what is written is due later.
      for _ in 0..<20 where written < 4_000 {
        fixture.set(Bytes("b-\(written)"), Bytes("v"), expiry: Expiry(unixMillis: 20))
        written += 1
      }
    }
    #expect(store.totalKeyCount == written)
    #expect(walk(at: 19) == Store.ExpiryProgress(endsRound: true))
    #expect(walk(at: 20).expired == written)
  }

  /// A clock that goes back brings nothing back that was met; what wasn't met lives on.
  @Test func aClockMayJump() throws {
    let year: Int64 = 365 * 24 * 3_600_000
    for name in ["met", "not met"] {
      fixture.set(Bytes(name), Bytes("v"), expiry: Expiry(unixMillis: year))
    }
    fixture.clock.millis = 2 * year
    #expect(try fixture.get(Bytes("met")) == nil)
    fixture.clock.millis = 1
    #expect(try fixture.get(Bytes("met")) == nil)
    #expect(try fixture.get(Bytes("not met")) == Bytes("v"))
    #expect(walk(at: year).expired == 1)
  }

  /// One whole round.
  private func walk(at millis: Int64) -> Store.ExpiryProgress {
    var sum = Store.ExpiryProgress()
    while !sum.endsRound {
      let part = store.expire(nowMillis: millis, maxVisits: 1_000)
      sum.visited += part.visited
      sum.expired += part.expired
      sum.endsRound = part.endsRound
    }
    return sum
  }
}
