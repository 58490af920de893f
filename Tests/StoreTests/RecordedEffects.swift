// An observer that copies the effects, and an image of a store's contents.

import OwnedEffects

@testable import Store

extension OwnedEffect {
  func apply(to store: Store) throws { try lend { try store.apply($0) } }
}

final class RecordedEffects: StoreObserver {
  private(set) var groups: [[OwnedEffect]] = []
  private var open: [OwnedEffect] = []
  /// Called before an effect is kept.
  var onEffect: (Effect) -> Void = { _ in }

  func willApply(_ effect: Effect) {
    onEffect(effect)
    open.append(OwnedEffect(effect))
  }

  func groupEnded(slot: Int) {
    precondition(!open.isEmpty && open.allSatisfy { $0.slot == slot })
    groups.append(open)
    open = []
  }

  var hasOpenGroup: Bool { !open.isEmpty }

  func takeGroups() -> [[OwnedEffect]] {
    defer { groups = [] }
    return groups
  }
}

/// All keys of a store with types, values and versions, and the counters of all slots.
struct StoreContents: Equatable {
  enum Value: Equatable {
    case string(Bytes, isInteger: Bool)
    case list([Bytes])
  }

  struct Key: Equatable {
    let value: Value
    let version: UInt64
    let expiry: Expiry
  }

  var keys: [Place: Key] = [:]
  var slotVersions: [UInt64] = []
  var keyCounts: [Int] = []
  var expiringKeyCount = 0

  init(_ store: Store) throws {
    expiringKeyCount = store.expiringKeyCount
    for slot in 0..<store.slotCount { slotVersions.append(store.versions[slot]) }
    for database in 0..<store.databaseCount {
      keyCounts.append(store.keyCount(database: database))
      for slot in 0..<store.slotCount {
        for key in Self.keys(of: store, database: database, slot: slot) {
          keys[Place(database: database, slot: slot, key: key)] = try key.withUnsafeBytes {
            try Self.read(
              store, store.find($0, slot: slot, database: database, nowMillis: 0))
          }
        }
      }
    }
  }

  private static func keys(of store: Store, database: Int, slot: Int) -> [Bytes] {
    var keys: [Bytes] = []
    _ = store.scan(database: database, slot: slot, cursor: 0, maxVisits: .max, nowMillis: 0) {
      key, _, _ in
      keys.append(Bytes(key))
      return true
    }
    return keys
  }

  private static func read(_ store: Store, _ place: KeyPlace) throws -> Key? {
    guard let entry = place.entry else { return nil }
    if place.type == .list {
      let elements = try store.range(start: 0, stop: -1, at: place)?.elements ?? []
      return Key(value: .list(elements), version: place.version, expiry: entry.expiry)
    }
    return try store.string(at: place).map {
      Key(
        value: .string(Bytes($0.bytes), isInteger: entry.kind == .integer), version: $0.version,
        expiry: entry.expiry)
    }
  }

  /// Where two differ, in a few words; nil if they don't.
  func difference(from other: StoreContents) -> String? {
    if slotVersions != other.slotVersions {
      return "counters of slots: \(slotVersions) and \(other.slotVersions)"
    }
    if expiringKeyCount != other.expiringKeyCount { return "counts of keys that expire" }
    if keyCounts != other.keyCounts { return "counts: \(keyCounts) and \(other.keyCounts)" }
    for place in Set(keys.keys).union(other.keys.keys) where keys[place] != other.keys[place] {
      let both = [keys[place], other.keys[place]].map { String("\($0 as Any)".prefix(200)) }
      return "\(place.database)/\(place.slot)/\(place.key.prefix(24)): \(both)"
    }
    return nil
  }
}
