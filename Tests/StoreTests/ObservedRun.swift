// Random calls on a store, for tests that compare what its observer was told.

@testable import Store

/// Runs the calls that change something, and those that hold values while it changes.
struct ObservedRun {
  let fixture: Fixture
  private(set) var changes = 0
  private var held: [AnyObject] = []

  init(fixture: Fixture) { self.fixture = fixture }

  mutating func perform(_ operation: Operation) throws {
    do {
      try run(operation)
      changes += 1
    } catch is Store.StoreError {
    }
    if held.count > 20 { held.removeFirst(10) }
  }

  private mutating func run(_ operation: Operation) throws {
    switch operation {
    case .set(let at, let value, let expiry):
      fixture.set(at.key, value, expiry: expiry, slot: at.slot, database: at.database)
    case .expire(let at, let expiry):
      fixture.setExpiry(at.key, expiry, slot: at.slot, database: at.database)
    case .setClock(let millis):
      fixture.clock.millis = millis
    case .walk(let visits):
      _ = fixture.store.expire(nowMillis: fixture.clock.millis, maxVisits: visits)
    case .setInBlock(let at, let value, let before, let after):
      fixture.setInBlock(
        at.key, value, before: before, after: after, slot: at.slot, database: at.database)
    case .delete(let at):
      fixture.delete(at.key, slot: at.slot, database: at.database)
    case .incrBy(let at, let delta):
      try fixture.incrBy(at.key, delta, slot: at.slot, database: at.database)
    case .push(let at, let end, let values):
      try fixture.push(at.key, end, values, slot: at.slot, database: at.database)
    case .pop(let at, let end):
      _ = try fixture.pop(at.key, end, slot: at.slot, database: at.database)
    case .popPinned(let at, let end, let bytes):
      let popped = try fixture.popPinned(
        at.key, end, longerThan: bytes, slot: at.slot, database: at.database)
      if let popped { held.append(popped) }
    case .takeView(let at, let start, let stop):
      let view = try fixture.range(at.key, start, stop, slot: at.slot, database: at.database)
      if let view { held.append(view) }
    case .pinList(let at):
      let pin = try fixture.pinnedList(at.key, slot: at.slot, database: at.database)
      if let pin { held.append(pin) }
    case .pin(let at):
      let value = try fixture.pinnedValue(at.key, slot: at.slot, database: at.database)
      if let value { held.append(value) }
    case .collect(let entries):
      fixture.store.collectGarbage(entries: entries)
    case .reset(let slot, let database):
      fixture.store.reset(slot: slot, database: database)
    case .get(let at):
      _ = try fixture.get(at.key, slot: at.slot, database: at.database)
    case .length, .peekLength, .dropView, .dropList, .dropPinned, .element:
      break
    case .move(let source, let from, let destination, let to, let isPinned):
      let moved = try fixture.move(
        source.key, from, to: destination.key, to, isPinned: isPinned, slot: source.slot,
        database: source.database)
      if let held = moved?.pinned { self.held.append(held) }
    case .popMany, .setElement, .trim, .insertElement, .removeElements:
      try runWithinList(operation)
    }
  }

  private mutating func runWithinList(_ operation: Operation) throws {
    switch operation {
    case .popMany(let at, let end, let count):
      let popped = try fixture.popMany(at.key, end, count, slot: at.slot, database: at.database)
      if let popped { held.append(popped.view) }
    case .setElement(let at, let index, let value):
      try fixture.setElement(at.key, index, value, slot: at.slot, database: at.database)
    case .trim(let at, let start, let stop):
      try fixture.trim(at.key, start, stop, slot: at.slot, database: at.database)
    case .insertElement(let at, let index, let value):
      try fixture.insertElement(at.key, index, value, slot: at.slot, database: at.database)
    case .removeElements(let at, let divisor, let rest):
      try fixture.removeElements(
        at.key, by: divisor, rest: rest, slot: at.slot, database: at.database)
    default: break
    }
  }
}
