// Digests of slots are equal where the contents are, and different where anything differs.

import TestSeeds
import Testing

@testable import Store

@Suite struct DigestTests {
  private let key = Bytes("k")
  private let large = Bytes((0..<100_001).map { UInt8(truncatingIfNeeded: $0) })

  /// Random calls, applied to a second store: it has other chunks, clocks and tables.
  @Test func storesOfTheSameEffectsHaveTheSameDigests() throws {
    let source = Fixture(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount)
    let effects = RecordedEffects()
    source.store.observer = effects
    let target = Store(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount,
      hashSeed: (8, 9))
    var run = ObservedRun(fixture: source)
    var generator = OperationGenerator(seed: TestSeed.value)
    var before: (keys: [Place: StoreContents.Key], digests: [UInt64])?
    for part in 0..<40 {
      for _ in 0..<25 { try run.perform(generator.next()) }
      for var effect in effects.takeGroups().joined() {
        effect.hash = 0
        try effect.apply(to: target)
      }
      let digests = (0..<OperationGenerator.slotCount).map { source.store.digest(slot: $0) }
      #expect(digests == (0..<OperationGenerator.slotCount).map { target.digest(slot: $0) })
      let keys = try StoreContents(source.store).keys
      if let before {
        #expect(
          (digests == before.digests) == (keys == before.keys),
          "RINGSTORE_TEST_SEED=\(TestSeed.value), part \(part)")
      }
      before = (keys, digests)
    }
  }

  /// One key's digest in a store of its own.
  private func digest(
    of key: Bytes? = nil, database: Int = 0, version: UInt64 = 1, expiry: Expiry = .never,
    bytes: Bytes? = nil, list: [Bytes] = []
  ) throws -> UInt64 {
    let store = Store(databaseCount: 2, slotCount: 2)
    let builder = store.makeListBuilder()
    for element in list { element.withUnsafeBytes { builder.append($0) } }
    try (key ?? self.key).withUnsafeBytes { key in
      try (bytes ?? []).withUnsafeBytes { bytes in
        try store.install(
          list.isEmpty ? .bytes(bytes) : .list(builder), key: key, slot: 1, database: database,
          version: version, expiry: expiry, accessClock: 0)
      }
    }
    return store.digest(slot: 1)
  }

  @Test func everythingIsInTheDigest() throws {
    var longer = large
    longer.append(0)
    let digests = try [
      digest(), digest(of: Bytes("l")), digest(of: []), digest(database: 1), digest(version: 2),
      digest(expiry: Expiry(unixMillis: 5)), digest(bytes: [0]), digest(bytes: [0, 0]),
      digest(bytes: Bytes("1")), digest(bytes: Bytes("01")), digest(bytes: large),
      digest(bytes: longer), digest(list: [[]]), digest(list: [[], []]), digest(list: [[0]]),
      digest(list: [[0], []]), digest(list: [[], [0]]), digest(list: [Bytes("1")]),
      digest(list: [large]), digest(list: [longer]), digest(list: [large, []]), 0,
    ]
    #expect(Set(digests).count == digests.count)
    #expect(try digest(bytes: large) == digest(bytes: large))
  }

  /// The walk in steps of every size says what the slots' digests are.
  @Test(arguments: [1, 1_000, 70_000, .max])
  func theDigestsOfAllSlotsComeInSteps(work: Int) throws {
    let fixture = Fixture(databaseCount: 2, slotCount: 700)
    for number in 0..<300 {
      fixture.set(
        Bytes("\(number)"), Bytes("value \(number)"), slot: number % 7 * 100,
        database: number % 2)
    }
    fixture.set(key, large, slot: 699)
    try fixture.push(Bytes("list"), .tail, (0..<10_000).map { Bytes("\($0)") }, slot: 699)
    var digests: [SlotDigest] = []
    var walk = DigestWalk()
    while !fixture.store.advance(&walk, work: work, { digests.append($0) }) {
      // Slots that are done, or to come, may change.
      if digests.last?.slot == 0 { fixture.set(key, Bytes("other"), slot: 0) }
    }
    #expect(digests.map(\.slot) == [0, 100, 200, 300, 400, 500, 600, 699])
    for digest in digests.dropFirst() {
      #expect(digest.value == fixture.store.digest(slot: digest.slot))
      #expect(digest.version == fixture.store.versions[digest.slot])
    }
    #expect(fixture.store.pinnedBytes == 0 && digests[0].value != nil)
  }

  @Test func aSlotThatChangesMeanwhileHasNone() throws {
    let fixture = Fixture()
    for number in 0..<1_000 { fixture.set(Bytes("\(number)"), Bytes("v")) }
    fixture.set(key, key, slot: 2)
    var digests: [SlotDigest] = []
    var walk = DigestWalk()
    _ = fixture.store.advance(&walk, work: 1_000) { digests.append($0) }
    fixture.set(Bytes("5"), Bytes("v"))
    while !fixture.store.advance(&walk, work: 1_000, { digests.append($0) }) {}
    #expect(digests.map { $0.value == nil } == [true, false])
    #expect(fixture.store.digest(slot: 1) == 0)
  }
}
