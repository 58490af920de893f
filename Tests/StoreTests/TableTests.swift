// Tables that grow and shrink in steps.

import TestSeeds
import Testing

@testable import Store

@Suite struct TableTests {
  /// Every key is found and none twice, in whatever state the table is, while it grows and shrinks.
  @Test(arguments: [0, 1, 2, 3])
  func keysAreFoundWhileATableMoves(round: UInt64) {
    var random = SeededRandom(seed: TestSeed.value &+ round)
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 5))
    var model: [Bytes: Bytes] = [:]
    var hasMoved = false
    for step in 0..<30_000 {
      // Waves: it grows to some thousand keys and shrinks to a few.
      let grows = step / 5_000 % 2 == 0
      let key = Bytes("key-\(Int.random(in: 0..<4_000, using: &random))")
      if Int.random(in: 0..<10, using: &random) < (grows ? 8 : 1) {
        let value = random.bytes(3)
        fixture.set(key, value)
        model[key] = value
      } else {
        #expect((fixture.delete(key) != nil) == (model.removeValue(forKey: key) != nil))
      }
      hasMoved = hasMoved || isMoving(fixture)
      if step % 997 == 0 || isMoving(fixture) && step % 61 == 0 { compare(fixture, model) }
    }
    #expect(hasMoved, "a table that moves at once tests nothing")
    compare(fixture, model)
    for key in model.keys { fixture.delete(key) }
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  /// A scan whose table moves under it hands over each key that stays, once.
  @Test func aScanGoesThroughATableThatMoves() {
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 5))
    let staying = (0..<3_000).map { Bytes("stays-\($0)") }
    for key in staying { fixture.set(key, Bytes("v")) }
    var (seen, cursor, written): ([Bytes], UInt64, Int) = ([], 0, 0)
    var hasMoved = false
    repeat {
      let slice = fixture.scan(cursor: cursor, maxVisits: 20)
      seen += slice.keys
      cursor = slice.next
      for _ in 0..<30 {
        fixture.set(Bytes("new-\(written)"), Bytes("v"))
        written += 1
      }
      hasMoved = hasMoved || isMoving(fixture)
    } while cursor != 0 && written < 20_000
    #expect(hasMoved && cursor == 0)
    #expect(Set(seen).isSuperset(of: staying) && Set(seen).count == seen.count)
  }

  /// What is due is found while the table moves, and all of it.
  @Test func aWalkGoesThroughATableThatMoves() {
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 5))
    for index in 0..<10_000 {
      let expiry = Expiry(unixMillis: index % 20 == 0 ? 20 : 10)
      fixture.set(Bytes("key-\(index)"), Bytes("v"), expiry: expiry)
    }
    var (expired, hasMoved, rounds) = (0, false, 0)
    while rounds < 2 {
      let progress = fixture.store.expire(nowMillis: 10, maxVisits: 50)
      expired += progress.expired
      hasMoved = hasMoved || isMoving(fixture)
      if progress.endsRound { rounds += 1 }
    }
    #expect(hasMoved && expired == 9_500)
    #expect(fixture.store.expire(nowMillis: 20, maxVisits: 1_000_000).expired == 500)
  }

  @Test func aTableThatMovesIsEmptiedAtOnceAndFreedInSlices() {
    let fixture = Fixture(garbageLimits: Garbage.Limits(tableLog2: 5, tableKeys: 8, work: 8))
    var index = 0
    while !isMoving(fixture) || index < 500 {
      fixture.set(Bytes("key-\(index)"), Bytes(repeating: 1, count: 3_000))
      index += 1
    }
    #expect(fixture.store.reset(slot: 0, database: 0) == index)
    while fixture.store.collectGarbage(entries: 5) {}
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  private func isMoving(_ fixture: Fixture) -> Bool {
    fixture.store.directory.table(database: 0, slot: 0)?.pointee.isMoving == true
  }

  private func compare(_ fixture: Fixture, _ model: [Bytes: Bytes]) {
    #expect(fixture.store.totalKeyCount == model.count)
    #expect(model.allSatisfy { key, value in (try? fixture.get(key)) == value })
    let keys = fixture.scan(cursor: 0, maxVisits: .max).keys
    #expect(keys.count == model.count && Set(keys) == Set(model.keys))
  }
}
