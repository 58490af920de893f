// Images that are taken between writes, merged with the effects of those writes, are the store.

import TestSeeds
import Testing

@testable import Store

@Suite struct CursorRuleTests {
  /// The rule in a few lines: effects on keys before the cursor are applied, the others are left
  /// to images that are still to come.
  private struct Reader {
    var copy: ImageCopy
    private(set) var applied = 0
    private(set) var skipped = 0

    init(into target: Store) { copy = ImageCopy(into: target) }

    mutating func read(_ effects: some Sequence<OwnedEffect>) throws {
      for effect in effects {
        if covers(effect) {
          try effect.apply(to: copy.target)
          applied += 1
        } else {
          copy.target.raiseVersion(to: effect.version, slot: effect.slot)
          skipped += 1
        }
      }
    }

    private func covers(_ effect: OwnedEffect) -> Bool {
      // The target has only keys before the cursor: those are all that an emptied table had there.
      if effect.change == .empty {
        return copy.target.keyCount(database: effect.database, slot: effect.slot) > 0
      }
      return effect.key.withUnsafeBytes {
        copy.cursor.isBehind(
          slot: effect.slot, database: effect.database, hash: effect.hash, key: $0)
      }
    }
  }

  /// Random calls of all kinds, with an image of a few keys after each few of them.
  @Test(arguments: 0..<8)
  func imagesAndEffectsBetweenThemAreTheStore(round: Int) throws {
    let limits = Garbage.Limits(tableLog2: 2, listPieces: 1, tableKeys: 2, work: 2)
    let source = Fixture(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount,
      garbageLimits: round % 2 == 0 ? limits : Garbage.Limits())
    let effects = RecordedEffects()
    source.store.observer = effects
    let target = Fixture(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount)
    var run = ObservedRun(fixture: source)
    let seed = TestSeed.value &+ UInt64(round)
    var generator = OperationGenerator(seed: seed)
    for _ in 0..<400 { try run.perform(generator.next()) }
    _ = effects.takeGroups()
    var reader = Reader(into: target.store)
    while reader.copy.cursor < source.store.imageEnd {
      for _ in 0..<25 { try run.perform(generator.next()) }
      try reader.read(effects.takeGroups().joined())
      try reader.copy.takeImage(of: source.store, keys: 2)
    }
    for _ in 0..<100 { try run.perform(generator.next()) }
    try reader.read(effects.takeGroups().joined())
    let contents = try StoreContents(source.store)
    target.store.raiseVersions(from: source.store)
    let difference = try contents.difference(from: StoreContents(target.store))
    #expect(difference == nil, "RINGSTORE_TEST_SEED=\(TestSeed.value), round \(round)")
    #expect(reader.applied > 30 && reader.skipped > 15)
  }

  /// One slot whose table grows and shrinks in steps all the time.
  @Test(arguments: [true, false])
  func aTableThatMovesIsImagedWhole(grows: Bool) throws {
    let source = Fixture(garbageLimits: Garbage.Limits(tableLog2: 4))
    let effects = RecordedEffects()
    source.store.observer = effects
    let target = Fixture()
    var random = SeededRandom(seed: TestSeed.value)
    func key() -> Bytes { Bytes("\(Int.random(in: 0..<4_000, using: &random))") }
    for _ in 0..<(grows ? 200 : 3_500) { source.set(key(), key()) }
    _ = effects.takeGroups()
    var reader = Reader(into: target.store)
    var imagesOfMovingTables = 0
    while reader.copy.cursor < source.store.imageEnd {
      // The next image is of a moving table as often as may be.
      for _ in 0..<100 {
        let isMoving = source.store.directory.table(database: 0, slot: 0)?.pointee.isMoving
        if isMoving == true { break }
        if Int.random(in: 0..<40, using: &random) < (grows ? 36 : 1) {
          source.set(key(), key())
        } else {
          source.delete(key())
        }
      }
      for _ in 0..<3 { source.set(key(), key()) }
      try reader.read(effects.takeGroups().joined())
      let table = source.store.directory.table(database: 0, slot: 0)
      if table?.pointee.isMoving == true { imagesOfMovingTables += 1 }
      try reader.copy.takeImage(of: source.store, keys: 8)
    }
    let difference = try StoreContents(source.store).difference(
      from: StoreContents(target.store))
    #expect(difference == nil, "RINGSTORE_TEST_SEED=\(TestSeed.value)")
    #expect(imagesOfMovingTables > 2 && reader.applied > 100 && reader.skipped > 100)
  }

  /// The comparison can fail: a reader that applies all effects, or none, has another store.
  @Test func withoutTheRuleTheStoreIsAnother() throws {
    for appliesAll in [true, false] {
      let source = Fixture()
      let effects = RecordedEffects()
      source.store.observer = effects
      let target = Fixture()
      for number in 0..<100 { source.set(Bytes("\(number)"), Bytes("before")) }
      _ = effects.takeGroups()
      var copy = ImageCopy(into: target.store)
      try copy.takeImage(of: source.store, keys: 50)
      for number in 0..<100 { source.set(Bytes("\(number)"), Bytes("after")) }
      if appliesAll {
        for effect in effects.takeGroups().joined() { try effect.apply(to: target.store) }
        #expect(throws: Effect.Corruption.existingKey) {
          try copy.takeImage(of: source.store, keys: .max)
        }
      } else {
        try copy.takeImage(of: source.store, keys: .max)
        let contents = try StoreContents(target.store)
        #expect(try contents.difference(from: StoreContents(source.store)) != nil)
      }
    }
  }

  // MARK: - Keys with one hash

  /// Hashes that collide can't be made here, so keys are given one.
  @Test func keysOfOneHashComeInTheOrderOfTheirBytes() throws {
    let fixture = Fixture()
    let keys = ["b", "", "abc", "ab", "c", "a"].map { Bytes($0) }
    for key in keys { fixture.set(key, key) }
    for hash in [UInt64(1), 77, .max] {
      var scanned = keys.map { key in
        ScannedKey(hash: hash, entry: fixture.at(key) { $0.entry.unsafelyUnwrapped })
      }
      scanned.orderEqualHashes()
      let inOrder = scanned.map { Bytes($0.entry.key) }
      #expect(inOrder == ["", "a", "ab", "abc", "b", "c"].map { Bytes($0) })
      for index in scanned.indices {
        guard let place = scanned.place(behind: index) else {
          #expect(hash == .max && index == 5)
          continue
        }
        let cursor = ImageCursor(hash: place.hash, key: place.key)
        let left = scanned.filter { !$0.isBefore(cursor) }.map { Bytes($0.entry.key) }
        #expect(left == Array(inOrder[(index + 1)...]))
        for (other, key) in inOrder.enumerated() {
          let isBehind = key.withUnsafeBytes {
            cursor.isBehind(slot: 0, database: 0, hash: hash, key: $0)
          }
          #expect(isBehind == (other <= index))
        }
      }
    }
  }

  @Test func cursorsAreInTheOrderOfKeys() {
    let rising = [
      ImageCursor(), ImageCursor(hash: 5), ImageCursor(hash: 5, key: [0]),
      ImageCursor(hash: 5, key: [0, 0]), ImageCursor(hash: 5, key: [1]), ImageCursor(hash: 6),
      ImageCursor(database: 1), ImageCursor(database: 1, hash: 1), ImageCursor(slot: 1),
    ]
    for (index, cursor) in rising.enumerated() {
      for (other, later) in rising.enumerated() { #expect((cursor < later) == (index < other)) }
    }
    // A hash of 0 counts as 1.
    let key = UnsafeRawBufferPointer(start: nil, count: 0)
    #expect(!ImageCursor(hash: 1).isBehind(slot: 0, database: 0, hash: 0, key: key))
    #expect(ImageCursor(hash: 2).isBehind(slot: 0, database: 0, hash: 0, key: key))
  }
}

extension Store {
  /// The slots count on from where they do in another store; none is past it.
  fileprivate func raiseVersions(from other: Store) {
    for slot in 0..<slotCount { raiseVersion(to: other.versions[slot], slot: slot) }
  }
}
