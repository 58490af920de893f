// What a store tells its observer makes the same store elsewhere; and what can't be is refused.

import TestSeeds
import Testing

@testable import Store

@Suite struct EffectTests {
  let key = Bytes("k")

  /// Random calls, observed, and applied to a second store a part at a time.
  @Test(arguments: [true, false], [true, false])
  func effectsOfARandomRunMakeTheSameStore(usesSlabs: Bool, setsMuchAside: Bool) throws {
    let limits =
      setsMuchAside ? Garbage.Limits(listPieces: 1, tableKeys: 2, work: 2) : Garbage.Limits()
    // They count from different versions, so those of the target can only be the effects'.
    let source = observedFixture(versionsBegin: 1 << 54, usesSlabs: usesSlabs, limits)
    let target = observedFixture(usesSlabs: usesSlabs, limits)
    var run = ObservedRun(fixture: source.fixture)
    var generator = OperationGenerator(seed: TestSeed.value)
    for part in 0..<20 {
      for _ in 0..<100 { try run.perform(generator.next()) }
      let groups = source.effects.takeGroups()
      for effect in groups.joined() { try effect.apply(to: target.fixture.store) }
      // What is applied is told as well: a copy of a copy is the same.
      #expect(target.effects.takeGroups().joined().elementsEqual(groups.joined()))
      target.fixture.store.collectGarbage(entries: 5)
      let difference = try StoreContents(source.fixture.store).difference(
        from: StoreContents(target.fixture.store))
      if let difference {
        Issue.record("RINGSTORE_TEST_SEED=\(TestSeed.value), part \(part): \(difference)")
        return
      }
    }
    #expect(run.changes > 500)
  }

  /// The comparison above can fail: every effect that is left out shows at once.
  @Test func anEffectThatIsLeftOutShows() throws {
    let source = observedFixture()
    var run = ObservedRun(fixture: source.fixture)
    var generator = OperationGenerator(seed: TestSeed.value)
    let target = observedFixture()
    for _ in 0..<150 {
      try run.perform(generator.next())
      let effects = Array(source.effects.takeGroups().joined())
      if effects.isEmpty { continue }
      let contents = try StoreContents(source.fixture.store)
      #expect(try contents.difference(from: StoreContents(target.fixture.store)) != nil)
      for effect in effects { try effect.apply(to: target.fixture.store) }
      #expect(try contents.difference(from: StoreContents(target.fixture.store)) == nil)
    }
  }

  @Test func whatIsAppliedCountsAsUsedAndNothingExpires() throws {
    let store = Store(slotCount: 1)
    let millis: Int64 = 1_700_000_000_000
    func apply(_ version: UInt64, _ change: Effect.Change) throws {
      try key.withUnsafeBytes {
        try store.apply(
          Effect(database: 0, slot: 0, key: $0, version: version, change: change),
          usedMillis: millis)
      }
    }
    try apply(1, .put(.integer(1), Expiry(unixMillis: 1)))
    try apply(2, .expire(Expiry(unixMillis: 2)))
    #expect(store.expiredKeyCount == 0 && store.totalKeyCount == 1)
    let clock = key.withUnsafeBytes { store.accessClock(of: $0, slot: 0, database: 0) }
    let idle = AccessClock.idleMillis(try #require(clock), nowMillis: millis + 160_000)
    #expect((159_984...160_016).contains(idle))
  }

  @Test func aCallThatChangesNothingHasNoEffect() throws {
    let (fixture, effects) = observedFixture()
    fixture.delete(key)
    try fixture.push(key, .head, [])
    #expect(try fixture.pop(key, .head) == nil)
    fixture.store.reset(slot: 0, database: 0)
    fixture.set(key, Bytes("text"))
    _ = effects.takeGroups()
    #expect(throws: Store.StoreError.notAnInteger) { try fixture.incrBy(key, 1) }
    #expect(throws: Store.StoreError.wrongType) { try fixture.push(key, .head, [key]) }
    #expect(throws: Store.StoreError.wrongType) { try fixture.pop(key, .head) }
    _ = try fixture.get(key)
    fixture.store.collectGarbage(entries: 10)
    #expect(effects.groups.isEmpty)
  }

  @Test func effectsSayWhatWasDone() throws {
    let (fixture, effects) = observedFixture()
    let list = Bytes("list")
    fixture.set(key, Bytes("text"), slot: 1, database: 1)
    try fixture.incrBy(Bytes("n"), 5)
    try fixture.push(list, .head, [Bytes("a"), Bytes("b")])
    try fixture.push(list, .tail, [Bytes("c")])
    _ = try fixture.pop(list, .tail)
    try fixture.setElement(list, -1, Bytes("x"))
    try fixture.insertElement(list, 1, Bytes("y"))
    try fixture.removeElements(list, by: 2, rest: 0)
    try fixture.trim(list, 0, 0)
    try fixture.push(list, .tail, [Bytes("d"), Bytes("e")])
    _ = try fixture.popMany(list, .head, 2)
    try fixture.trim(list, 5, 9)
    fixture.store.reset(slot: 0, database: 0)
    let told = effects.groups.map { group in group.map(\.change) }
    #expect(
      told == [
        [.put(Bytes("text"), .never)], [.putInteger(5, .never)],
        [.insert([Bytes("a"), Bytes("b")], .head, lengthBefore: 0)],
        [.insert([Bytes("c")], .tail, lengthBefore: 2)],
        [.remove(1, .tail, lengthBefore: 3)], [.setElement(Bytes("x"), at: 1, lengthBefore: 2)],
        [.insertWithin(Bytes("y"), before: 1, lengthBefore: 2)],
        [.removeEach([0, 2], lengthBefore: 3)],
        [.insert([Bytes("d"), Bytes("e")], .tail, lengthBefore: 1)],
        [.remove(2, .head, lengthBefore: 3)], [.delete], [.empty],
      ])
    #expect(effects.groups.joined().map(\.version) == [1] + Array(1...11))
    #expect(effects.groups.first?.first?.key == key)
    for effect in effects.groups.joined() {
      let hash = effect.key.withUnsafeBytes { fixture.store.hash(of: $0) }
      #expect(effect.hash == (effect.change == .empty ? 0 : hash))
    }
    #expect(effects.groups.first?.first.map { [$0.slot, $0.database] } == [1, 1])
  }

  @Test func theObserverIsInformedBeforeAnythingIsOverwritten() throws {
    for old in [Bytes("short"), Bytes(repeating: 1, count: 5_000)] {
      let (fixture, effects) = observedFixture()
      fixture.set(key, old)
      let view = try #require(try fixture.at(key) { try fixture.store.string(at: $0) })
      var wasThere: [Bool] = []
      effects.onEffect = { _ in wasThere.append(Bytes(view.bytes) == old) }
      fixture.set(key, Bytes(repeating: 2, count: old.count))
      #expect(wasThere == [true])
    }
  }

  @Test func aMoveIsOneGroupThatCarriesTheValue() throws {
    let (fixture, effects) = observedFixture()
    let (from, to) = (Bytes("from"), Bytes("to"))
    try fixture.push(from, .tail, [Bytes("a"), Bytes("b")])
    fixture.setExpiry(from, Expiry(unixMillis: 100))
    _ = effects.takeGroups()
    _ = try fixture.move(from, .tail, to: to, .head, isPinned: false)
    let group = try #require(effects.takeGroups().first)
    #expect(group.map(\.key) == [to, from])
    #expect(
      group.map(\.change) == [
        .insert([Bytes("b")], .head, lengthBefore: 0), .remove(1, .tail, lengthBefore: 2),
      ])
    // A list that goes round keeps its time, even with one element.
    _ = try fixture.move(from, .tail, to: from, .head, isPinned: true)
    #expect(effects.takeGroups().map(\.count) == [2])
    #expect(fixture.at(from) { $0.expiry } == Expiry(unixMillis: 100))
    #expect(try fixture.range(from, 0, -1)?.elements == [Bytes("a")])
  }

  @Test func allThatOneCallChangesIsOneGroup() throws {
    let (fixture, effects) = observedFixture()
    fixture.store.inOneGroup(slot: 0) {}
    fixture.store.inOneGroup(slot: 0) {
      fixture.set(key, Bytes("1"))
      fixture.set(Bytes("other"), Bytes("2"))
      #expect(effects.hasOpenGroup)
    }
    fixture.set(key, Bytes("3"))
    #expect(effects.groups.map(\.count) == [2, 1])
  }

  @Test func anEffectOnAnotherStateIsCorruption() throws {
    let (fixture, effects) = observedFixture()
    fixture.set(key, Bytes("text"))
    let list = Bytes("list")
    try fixture.push(list, .tail, [Bytes("a"), Bytes("b")])
    let before = try StoreContents(fixture.store)
    func failure(
      _ change: OwnedEffect.Change, of key: Bytes, version: UInt64 = 3, slot: Int = 0
    ) -> Effect.Corruption? {
      var effect = effects.groups[0][0]
      (effect.change, effect.version, effect.slot) = (change, version, slot)
      // Not known: the store finds it out.
      (effect.key, effect.hash) = (key, 0)
      do {
        try effect.apply(to: fixture.store)
        return nil
      } catch {
        return error as? Effect.Corruption
      }
    }
    let none = Bytes("none")
    #expect(failure(.insert([none], .head, lengthBefore: 3), of: list) == .otherLength(2))
    #expect(failure(.insert([none], .head, lengthBefore: 1), of: none) == .otherLength(0))
    #expect(failure(.insert([none], .head, lengthBefore: 0), of: key) == .wrongType)
    #expect(failure(.insert([], .head, lengthBefore: 2), of: list) == .outOfBounds)
    #expect(failure(.remove(1, .head, lengthBefore: 1), of: list) == .otherLength(2))
    #expect(failure(.remove(3, .head, lengthBefore: 2), of: list) == .outOfBounds)
    #expect(failure(.remove(0, .head, lengthBefore: 2), of: list) == .outOfBounds)
    #expect(failure(.remove(1, .head, lengthBefore: 1), of: key) == .wrongType)
    #expect(failure(.remove(1, .head, lengthBefore: 1), of: none) == .missingKey)
    #expect(failure(.setElement(none, at: 1, lengthBefore: 1), of: list) == .otherLength(2))
    #expect(failure(.setElement(none, at: 2, lengthBefore: 2), of: list) == .outOfBounds)
    #expect(failure(.setElement(none, at: -1, lengthBefore: 2), of: list) == .outOfBounds)
    #expect(failure(.setElement(none, at: 0, lengthBefore: 1), of: none) == .missingKey)
    #expect(failure(.setElement(none, at: 0, lengthBefore: 1), of: key) == .wrongType)
    for index in [-1, 0, 2, 3] {
      #expect(
        failure(.insertWithin(none, before: index, lengthBefore: 2), of: list) == .outOfBounds)
    }
    for indices in [[], [1, 0], [0, 0], [0, 1], [2], [-1]] {
      #expect(failure(.removeEach(indices, lengthBefore: 2), of: list) == .outOfBounds)
    }
    for range in [0..<0, 0..<2, 1..<3, -1..<1, 2..<2] {
      #expect(failure(.keep(range, lengthBefore: 2), of: list) == .outOfBounds)
    }
    #expect(failure(.keep(0..<1, lengthBefore: 3), of: list) == .otherLength(2))
    #expect(failure(.delete, of: none) == .missingKey)
    #expect(failure(.empty, of: [], version: 1, slot: 1) == .missingKey)
    #expect(failure(.delete, of: key, version: 2) == .versionNotAbove(2))
    #expect(failure(.delete, of: key, slot: 4) == .outOfBounds)
    #expect(failure(.delete, of: Bytes(repeating: 0, count: 65_537)) == .outOfBounds)
    #expect(try StoreContents(fixture.store) == before)
    #expect(failure(.remove(2, .head, lengthBefore: 2), of: list) == nil)
    #expect(fixture.type(list) == .none)
  }

  @Test func versionsBeginAtTheGivenNumber() {
    let store = Store(databaseCount: 1, slotCount: 2, versionsBegin: 1 << 54)
    let version = key.withUnsafeBytes {
      store.set($0, at: store.find($0, slot: 1, database: 0, nowMillis: 0))
    }
    #expect(version == 1 << 54 + 1)
  }

  @Test func aProcessThatBeginsAMillisecondLaterGivesGreaterVersions() {
    let first = Store.versionsBegin(unixMillis: 1_800_000_000_000)
    #expect(Store.versionsBegin(unixMillis: 1_800_000_000_001) - first == 1 << 14)
    #expect(Store.versionsBegin(unixMillis: -1) == 0)
    let last = Store.versionsBegin(unixMillis: .max)
    #expect(Store(databaseCount: 1, slotCount: 1, versionsBegin: last).keyCount(database: 0) == 0)
  }

  @Test func versionsAreRaisedAndNeverLowered() {
    let store = Store(databaseCount: 1, slotCount: 2, versionsBegin: 10)
    func write(_ slot: Int) -> UInt64 {
      key.withUnsafeBytes {
        store.set($0, at: store.find($0, slot: slot, database: 0, nowMillis: 0))
      }
    }
    store.raiseVersions(ofSlot: 1, to: 5)
    #expect(write(1) == 11)
    store.raiseVersions(ofSlot: 1, to: 100)
    #expect(write(1) == 101)
    #expect(write(0) == 11)
  }

  #if DEBUG
    @Test func aPlaceIsNotUsedAfterAChange() async {
      await #expect(processExitsWith: .failure) {
        let store = Store(databaseCount: 1, slotCount: 1)
        [1, 2, 3].withUnsafeBytes { key in
          let place = store.find(key, slot: 0, database: 0, nowMillis: 0)
          _ = store.set(key, at: place)
          _ = store.set(key, at: place)
        }
      }
    }
  #endif

  private func observedFixture(
    versionsBegin: UInt64 = 0, usesSlabs: Bool = true,
    _ limits: Garbage.Limits = Garbage.Limits()
  ) -> (fixture: Fixture, effects: RecordedEffects) {
    let fixture = Fixture(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount,
      versionsBegin: versionsBegin, usesSlabs: usesSlabs, garbageLimits: limits)
    let effects = RecordedEffects()
    fixture.store.observer = effects
    return (fixture, effects)
  }
}
