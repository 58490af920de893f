// A scan returns every key that stays, exactly once, whatever happens to the others meanwhile.

import TestSeeds
import Testing

@testable import Store

@Suite struct ScanTests {
  private func key(_ index: Int) -> Bytes { Bytes("key:\(index)") }

  private func all(_ fixture: Fixture, maxVisits: Int, stopAfter: Int = .max) -> [Bytes] {
    var keys: [Bytes] = []
    var cursor: UInt64 = 0
    repeat {
      let slice = fixture.scan(cursor: cursor, maxVisits: maxVisits, stopAfter: stopAfter)
      #expect(slice.keys.count <= max(1, maxVisits))
      #expect(slice.next == 0 || slice.next > cursor)
      keys += slice.keys
      cursor = slice.next
    } while cursor != 0
    return keys
  }

  @Test func anEmptySlotIsDoneAtOnce() {
    #expect(Fixture().scan(cursor: 0, maxVisits: 10).next == 0)
    #expect(Fixture().scan(cursor: 1 << 63, maxVisits: 10).next == 0)
  }

  @Test(arguments: [0, 1, 2, 3, 7, 8, 50, 700, 1500])
  func everyKeyComesOnce(count: Int) {
    let fixture = Fixture()
    for index in 0..<count { fixture.set(key(index), []) }
    fixture.set(Bytes("elsewhere"), [], slot: 1)
    fixture.set(Bytes("elsewhere"), [], database: 1)
    for maxVisits in [0, 1, 5, 64, 5000] {
      let keys = all(fixture, maxVisits: maxVisits)
      #expect(keys.count == count && Set(keys) == Set((0..<count).map(key)))
    }
    #expect(Set(all(fixture, maxVisits: 100, stopAfter: 3)) == Set((0..<count).map(key)))
  }

  @Test func theTypeOfEachKeyIsReported() throws {
    let fixture = Fixture()
    fixture.set(Bytes("s"), Bytes("x"))
    fixture.set(Bytes("n"), Bytes("1"))
    try fixture.push(Bytes("l"), .head, [[]])
    var types: [Bytes: Store.ValueType] = [:]
    _ = fixture.store.scan(database: 0, slot: 0, cursor: 0, maxVisits: 9, nowMillis: 1) {
      key, type, _ in
      types[Bytes(key)] = type
      return true
    }
    #expect(types == [Bytes("s"): .string, Bytes("n"): .string, Bytes("l"): .list])
  }

  @Test func theOrderIsTheSameInAnyStoreWithTheSeed() {
    let one = Fixture()
    let other = Fixture()
    for index in 0..<300 { one.set(key(index), []) }
    // Another history: larger once, and filled the other way round.
    for index in (0..<5000).reversed() { other.set(key(index), []) }
    for index in 300..<5000 { other.delete(key(index)) }
    #expect(all(one, maxVisits: 10) == all(other, maxVisits: 7))
  }

  @Test func keysThatStayAreReturnedThoughTheTableGrowsAndShrinks() {
    for round in 0..<30 {
      var random = SeededRandom(seed: TestSeed.value &+ UInt64(round))
      let fixture = Fixture()
      let staying = (0..<Int.random(in: 1...200, using: &random)).map(key)
      for key in staying { fixture.set(key, []) }
      var others: [Bytes] = []
      var seen: [Bytes] = []
      var cursor: UInt64 = 0
      repeat {
        let slice = fixture.scan(
          cursor: cursor, maxVisits: Int.random(in: 1...20, using: &random),
          stopAfter: Int.random(in: 1...20, using: &random))
        seen += slice.keys
        cursor = slice.next
        if Bool.random(using: &random) {
          let fresh = (0..<Int.random(in: 0...400, using: &random)).map { _ in random.bytes(12) }
          for key in fresh { fixture.set(key, []) }
          others += fresh
        } else {
          for key in others { fixture.delete(key) }
          others = []
        }
        for key in staying where Bool.random(using: &random) { fixture.set(key, random.bytes(40)) }
      } while cursor != 0
      let returned = seen.filter(Set(staying).contains)
      #expect(Set(returned) == Set(staying), "RINGSTORE_TEST_SEED=\(TestSeed.value) \(round)")
      #expect(returned.count == staying.count)
    }
  }

  @Test func aPageCanBeCutBehindAnyKey() {
    let fixture = Fixture()
    for index in 0..<500 { fixture.set(key(index), []) }
    let inOrder = all(fixture, maxVisits: 1000)
    var cursors: [UInt64] = []
    _ = fixture.store.scan(database: 0, slot: 0, cursor: 0, maxVisits: 1000, nowMillis: 1) {
      _, _, after in
      cursors.append(after)
      return true
    }
    #expect(cursors.count == 500)
    for (index, cursor) in cursors.enumerated() where cursor != 0 {
      let rest = fixture.scan(cursor: cursor, maxVisits: 1)
      #expect(rest.keys == Array(inOrder[(index + 1)...].prefix(1)))
      // The slice that ends there says the same.
      #expect(fixture.scan(cursor: 0, maxVisits: 1000, stopAfter: index + 1).next == cursor)
    }
  }

  @Test(arguments: [1, 2, 3])
  func keysOfOneHashAreRepeatedRatherThanPassedOver(stopAfter: Int) {
    let fixture = Fixture()
    for index in 0..<20 { fixture.set(key(index), []) }
    // No two keys with one hash are known, so one key is put in three times.
    let twin = key(7)
    for _ in 0..<2 {
      fixture.at(twin) { found in
        let missing = fixture.store.place(of: found.lookup, table: nil, index: 0, entry: nil)
        _ = fixture.store.set(UnsafeRawBufferPointer(start: nil, count: 0), at: missing)
      }
    }
    var seen: [(key: Bytes, after: UInt64)] = []
    _ = fixture.store.scan(database: 0, slot: 0, cursor: 0, maxVisits: 100, nowMillis: 1) {
      key, _, after in
      seen.append((Bytes(key), after))
      return true
    }
    let places = seen.indices.filter { seen[$0].key == twin }
    let hash = twin.withUnsafeBytes { fixture.store.hasher.hash($0) }
    #expect(places.map { seen[$0].after } == [hash, hash, hash &+ 1])
    #expect(fixture.scan(cursor: hash, maxVisits: 1).keys == [twin, twin, twin])
    // Who says false in the middle gets the rest of them, and is not asked beyond.
    var visits = 0
    let cut = fixture.store.scan(database: 0, slot: 0, cursor: hash, maxVisits: 100, nowMillis: 1) {
      _, _, _ in
      visits += 1
      return visits != stopAfter
    }
    #expect(cut.visited == 3 && visits == 3 && cut.next == hash &+ 1)
  }
}
