// Random calls on the store and on the naive model must get the same replies; a failing sequence
// is shrunk before it is shown.

import TestSeeds
import Testing

@testable import Store

@Suite struct StoreModelTests {
  /// `setsMuchAside`: deletions leave nearly everything to the collection of garbage.
  @Test(arguments: [true, false], [true, false])
  func randomCallsGetTheModelsReplies(usesSlabs: Bool, setsMuchAside: Bool) {
    let setting = Setting(usesSlabs: usesSlabs, setsMuchAside: setsMuchAside)
    for round in 0..<2 {
      let seed = TestSeed.value &+ UInt64(round)
      var generator = OperationGenerator(seed: seed)
      let operations = (0..<1000).map { _ in generator.next() }
      guard let failure = Run.failure(of: operations, setting) else { continue }
      let (few, why) = Run.shrink(
        Array(operations[...failure.index]), failure.why, setting)
      Issue.record(
        """
        RINGSTORE_TEST_SEED=\(TestSeed.value), round \(round): \(why)
        after \(few.count) calls:
        \(few.map { shortDescription($0) }.joined(separator: "\n"))
        """)
      return
    }
  }
}

private struct Setting {
  let usesSlabs: Bool
  let setsMuchAside: Bool

  var limits: Garbage.Limits {
    setsMuchAside
      ? Garbage.Limits(listPieces: 1, tableKeys: 2, work: 2) : Garbage.Limits()
  }
}

/// One sequence of calls, on a store and a model of its own.
private struct Run {
  let fixture: Fixture
  var model = StoreModel()
  /// Views in the hands of readers, with what each must show forever.
  var views: [(view: Store.ListView, expected: [Bytes])] = []

  /// The same for whole lists.
  var lists: [(pin: PinnedList, expected: [Bytes])] = []

  /// The same for single values.
  var pinned: [(value: Store.PinnedBytes, expected: Bytes)] = []

  static func failure(
    of operations: [Operation], _ setting: Setting
  ) -> (index: Int, why: String)? {
    let fixture = Fixture(
      databaseCount: OperationGenerator.databaseCount, slotCount: OperationGenerator.slotCount,
      usesSlabs: setting.usesSlabs, garbageLimits: setting.limits)
    var run = Run(fixture: fixture)
    for (index, operation) in operations.enumerated() {
      if let why = run.step(operation, checksAll: index % 40 == 0) { return (index, why) }
    }
    if let why = run.finish() { return (operations.count - 1, why) }
    return nil
  }

  /// Leaves out ever smaller parts as long as the rest still fails.
  static func shrink(
    _ operations: [Operation], _ why: String, _ setting: Setting
  ) -> ([Operation], String) {
    var best = (operations, why)
    var part = max(1, operations.count / 2)
    while true {
      var start = 0
      while start < best.0.count {
        var fewer = best.0
        fewer.removeSubrange(start..<min(start + part, fewer.count))
        if let failure = failure(of: fewer, setting) {
          best = (Array(fewer[...failure.index]), failure.why)
        } else {
          start += part
        }
      }
      if part == 1 { return best }
      part = max(1, part / 2)
    }
  }

  private mutating func step(_ operation: Operation, checksAll: Bool) -> String? {
    if case .walk(let visits) = operation { return walk(visits) }
    let expected = model.apply(operation)
    let actual: Outcome
    do {
      actual = try perform(operation)
    } catch let error as Store.StoreError {
      actual = .error(error)
    } catch {
      return "unknown error \(error)"
    }
    if actual != expected { return "\(short(actual)) instead of \(short(expected))" }
    if checksAll, let why = differingState() { return why }
    return nil
  }

  private mutating func perform(_ operation: Operation) throws -> Outcome {
    let fixture = fixture
    switch operation {
    case .set(let at, let value, let expiry):
      return .version(
        fixture.set(at.key, value, expiry: expiry, slot: at.slot, database: at.database))
    case .expire(let at, let expiry):
      return fixture.setExpiry(at.key, expiry, slot: at.slot, database: at.database)
        .map { .version($0) } ?? .nothing
    case .setClock(let millis):
      fixture.clock.millis = millis
      return .nothing
    case .setInBlock(let at, let value, let before, let after):
      return .version(
        fixture.setInBlock(
          at.key, value, before: before, after: after, slot: at.slot, database: at.database))
    case .get(let at):
      return try fixture.versionedGet(at.key, slot: at.slot, database: at.database)
        .map { .value($0.bytes, $0.version) } ?? .nothing
    case .delete(let at):
      return fixture.delete(at.key, slot: at.slot, database: at.database)
        .map { .version($0) } ?? .nothing
    case .incrBy(let at, let delta):
      let result = try fixture.incrBy(at.key, delta, slot: at.slot, database: at.database)
      return .number(result.value, result.version)
    case .push(let at, let end, let values):
      let result = try fixture.push(at.key, end, values, slot: at.slot, database: at.database)
      return .number(Int64(result.length), result.version)
    case .pop(let at, let end):
      return try fixture.pop(at.key, end, slot: at.slot, database: at.database)
        .map { .value($0.bytes, $0.version) } ?? .nothing
    case .length(let at):
      return try fixture.length(at.key, slot: at.slot, database: at.database)
        .map { .length($0) } ?? .nothing
    case .reset(let slot, let database):
      return .length(fixture.store.reset(slot: slot, database: database))
    case .popMany, .element, .setElement, .trim, .insertElement, .removeElements:
      return try performWithinList(operation)
    case .move(let source, let from, let destination, let to, let isPinned):
      guard
        let moved = try fixture.move(
          source.key, from, to: destination.key, to, isPinned: isPinned, slot: source.slot,
          database: source.database)
      else { return .nothing }
      if let held = moved.pinned { pinned.append((held, moved.bytes)) }
      return .value(moved.bytes, moved.version)
    default:
      return try performWithHolds(operation)
    }
  }

  private mutating func performWithinList(_ operation: Operation) throws -> Outcome {
    let fixture = fixture
    func number(_ result: (length: Int, version: UInt64)?) -> Outcome {
      result.map { .number(Int64($0.length), $0.version) } ?? .nothing
    }
    switch operation {
    case .popMany(let at, let end, let count):
      guard
        let popped = try fixture.popMany(at.key, end, count, slot: at.slot, database: at.database)
      else { return .nothing }
      let view = popped.view
      let elements = view.elements
      views.append((view, elements))
      for (offset, element) in elements.enumerated()
      where Bytes(view.element(at: offset)) != element { return .length(-1) }
      return .view(
        elements, firstIndex: view.firstIndex, length: view.length, byteCount: view.byteCount,
        version: popped.version)
    case .element(let at, let index):
      return try fixture.element(at.key, index, slot: at.slot, database: at.database)
        .map { .value($0.bytes, $0.version) } ?? .nothing
    case .setElement(let at, let index, let value):
      return number(
        try fixture.setElement(at.key, index, value, slot: at.slot, database: at.database))
    case .trim(let at, let start, let stop):
      let result = try fixture.trim(at.key, start, stop, slot: at.slot, database: at.database)
      return result.version == 0 ? .nothing : number(result)
    case .insertElement(let at, let index, let value):
      return number(
        try fixture.insertElement(at.key, index, value, slot: at.slot, database: at.database))
    case .removeElements(let at, let divisor, let rest):
      return number(
        try fixture.removeElements(
          at.key, by: divisor, rest: rest, slot: at.slot, database: at.database))
    default:
      return .length(-1)
    }
  }

  /// Any of the keys that are due may go, and no other.
  private mutating func walk(_ visits: Int) -> String? {
    let progress = fixture.store.expire(nowMillis: fixture.clock.millis, maxVisits: visits)
    let gone = model.values.keys.filter {
      !fixture.holds($0.key, slot: $0.slot, database: $0.database)
    }
    if gone.count != progress.expired { return "\(progress) and \(gone.count) keys are gone" }
    for place in gone {
      if !model.isDue(place) { return "\(place.key.prefix(24)) went before its time" }
      model.expire(place)
    }
    guard progress.endsRound else { return nil }
    // A whole round leaves none.
    let round = fixture.store.expire(nowMillis: fixture.clock.millis, maxVisits: .max / 32)
    for place in model.values.keys where model.isDue(place) { model.expire(place) }
    return round.endsRound ? differingState() : "a round without end"
  }

  /// The calls that pin something, release it, or free what was released.
  private mutating func performWithHolds(_ operation: Operation) throws -> Outcome {
    switch operation {
    case .takeView(let at, let start, let stop):
      guard
        let view = try fixture.range(at.key, start, stop, slot: at.slot, database: at.database)
      else { return .nothing }
      let elements = view.elements
      views.append((view, elements))
      guard view.count == elements.count else { return .nothing }
      return .view(
        elements, firstIndex: view.firstIndex, length: view.length, byteCount: view.byteCount,
        version: view.version)
    case .pinList(let at):
      return try pinList(at)
    case .dropList(let index):
      if index < lists.count { lists.remove(at: index) }
    case .pin(let at):
      return hold(try fixture.pinnedValue(at.key, slot: at.slot, database: at.database))
    case .popPinned(let at, let end, let bytes):
      return hold(
        try fixture.popPinned(
          at.key, end, longerThan: bytes, slot: at.slot, database: at.database))
    case .peekLength(let at, let end):
      return try fixture.peekLength(at.key, end, slot: at.slot, database: at.database)
        .map { .length($0) } ?? .nothing
    case .dropView(let index):
      if index < views.count { views.remove(at: index) }
    case .dropPinned(let index):
      if index < pinned.count { pinned.remove(at: index) }
    case .collect(let entries):
      let isMore = fixture.store.collectGarbage(entries: entries)
      return isMore == fixture.store.hasGarbage ? .nothing : .length(-1)
    default:
      return .length(-1)
    }
    return .nothing
  }

  private mutating func pinList(_ at: Place) throws -> Outcome {
    guard let pin = try fixture.pinnedList(at.key, slot: at.slot, database: at.database) else {
      return .nothing
    }
    let elements = pin.elements
    lists.append((pin, elements))
    if let last = elements.last, Bytes(pin.element(at: pin.count - 1)) != last { return .nothing }
    let version = fixture.at(at.key, at.slot, at.database) { $0.version }
    return .view(
      elements, firstIndex: 0, length: pin.count, byteCount: pin.byteCount, version: version)
  }

  private mutating func hold(_ value: Store.PinnedBytes?) -> Outcome {
    guard let value else { return .nothing }
    let bytes = value.bytes
    pinned.append((value, bytes))
    return .value(bytes, value.version)
  }

  private mutating func differingState() -> String? {
    for (index, item) in views.enumerated() where item.view.elements != item.expected {
      return "view \(index) has changed"
    }
    for (index, item) in lists.enumerated() where item.pin.elements != item.expected {
      return "pinned list \(index) has changed"
    }
    for (index, item) in pinned.enumerated() where item.value.bytes != item.expected {
      return "pinned value \(index) has changed"
    }
    for place in model.values.keys {
      model.meet(place)
      let type = fixture.type(place.key, slot: place.slot, database: place.database)
      if type != model.type(place) { return "type \(type) of \(place.key.prefix(24))" }
    }
    for database in 0..<OperationGenerator.databaseCount {
      let inGroup = fixture.store.directory.keyCount(ofGroup: 0, database: database)
      if inGroup != fixture.store.keyCount(database: database) { return "keys of a group" }
      for slot in 0..<OperationGenerator.slotCount {
        let expected = model.values.keys.filter { $0.database == database && $0.slot == slot }
        let count = fixture.store.keyCount(database: database, slot: slot)
        if count != expected.count { return "\(count) keys instead of \(expected.count)" }
      }
    }
    if fixture.store.totalKeyCount != model.values.count { return "total of keys" }
    let expiring = model.values.values.filter { $0.expiry != .never }
    if fixture.store.expiringKeyCount != expiring.count { return "count of keys that expire" }
    if views.isEmpty, pinned.isEmpty, lists.isEmpty, !fixture.store.hasGarbage,
      fixture.store.pinnedBytes != 0
    {
      return "pinned bytes without an owner"
    }
    return nil
  }

  /// Everything goes, what is held last; no byte may be left.
  private mutating func finish() -> String? {
    if let why = differingState() { return why }
    for place in model.values.keys {
      if fixture.delete(place.key, slot: place.slot, database: place.database) == nil {
        return "nothing to delete"
      }
    }
    let store = fixture.store
    var slices = 0
    while store.collectGarbage(entries: 7) {
      slices += 1
      if slices == 100_000 { return "garbage without end" }
    }
    views = []
    lists = []
    while store.collectGarbage(entries: 7) {}
    let used = store.usedBytes - fixture.usedAtStart
    if used != store.pinnedBytes { return "\(used) bytes in use, \(store.pinnedBytes) pinned" }
    pinned = []
    if store.pinnedBytes != 0 { return "\(store.pinnedBytes) bytes stay pinned" }
    let left = store.memoryBytes - fixture.memoryAtStart
    return left == 0 ? nil : "\(left) bytes are left"
  }
}

/// Long arrays of bytes would bury the calls.
private func shortDescription(_ operation: Operation) -> String {
  func text(_ bytes: Bytes) -> String {
    bytes.count <= 24 ? "\(bytes)" : "<\(bytes.count) bytes>"
  }
  func text(_ at: Place) -> String { "\(at.database)/\(at.slot)/\(text(at.key))" }
  switch operation {
  case .set(let at, let value, let expiry):
    return "set \(text(at)) \(text(value)) until \(expiry.unixMillis)"
  case .expire(let at, let expiry): return "expire \(text(at)) \(expiry.unixMillis)"
  case .setClock(let millis): return "clock \(millis)"
  case .walk(let visits): return "walk \(visits)"
  case .setInBlock(let at, let value, let before, let after):
    return "set \(text(at)) \(text(value)) in a block, \(before) before, \(after) after"
  case .push(let at, let end, let values):
    let shown = values.count <= 4 ? values.map { text($0) }.joined(separator: " ") : ""
    return "push \(text(at)) \(end) \(values.count): \(shown)"
  case .get(let at): return "get \(text(at))"
  case .delete(let at): return "delete \(text(at))"
  case .incrBy(let at, let delta): return "incrBy \(text(at)) \(delta)"
  case .pop(let at, let end): return "pop \(text(at)) \(end)"
  case .length(let at): return "length \(text(at))"
  case .popMany(let at, let end, let count): return "pop \(text(at)) \(end) \(count)"
  case .element(let at, let index): return "element \(text(at)) \(index)"
  case .setElement(let at, let index, let value):
    return "set element \(text(at)) \(index) \(text(value))"
  case .trim(let at, let start, let stop): return "trim \(text(at)) \(start) \(stop)"
  case .insertElement(let at, let index, let value):
    return "insert \(text(at)) \(index) \(text(value))"
  case .move(let source, let from, let destination, let to, let isPinned):
    return "move \(text(source)) \(from) to \(text(destination)) \(to)\(isPinned ? " held" : "")"
  case .removeElements(let at, let divisor, let rest):
    return "remove \(text(at)) by \(divisor) rest \(rest)"
  case .takeView(let at, let start, let stop): return "view \(text(at)) \(start) \(stop)"
  case .dropView(let index): return "drop view \(index)"
  case .pinList(let at): return "pin list \(text(at))"
  case .dropList(let index): return "drop list \(index)"
  case .pin(let at): return "pin \(text(at))"
  case .popPinned(let at, let end, let bytes): return "pop \(text(at)) \(end) if above \(bytes)"
  case .peekLength(let at, let end): return "peek \(text(at)) \(end)"
  case .dropPinned(let index): return "drop pinned \(index)"
  case .collect(let entries): return "collect \(entries)"
  case .reset(let slot, let database): return "reset \(database)/\(slot)"
  }
}

private func short(_ outcome: Outcome) -> String { String("\(outcome)".prefix(200)) }
