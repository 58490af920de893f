// An observer that copies the effects, and an image of a store's contents.

@testable import Store

/// An effect that owns its bytes.
struct OwnedEffect: Equatable {
  enum Change: Equatable {
    case put(Bytes, Expiry)
    case putInteger(Int64, Expiry)
    case write(Bytes, offset: Int, lengthBefore: Int)
    case expire(Expiry)
    case delete
    case insert([Bytes], Store.ListEnd, lengthBefore: Int)
    case insertWithin(Bytes, before: Int, lengthBefore: Int)
    case remove(Int, Store.ListEnd, lengthBefore: Int)
    case removeEach([Int], lengthBefore: Int)
    case keep(Range<Int>, lengthBefore: Int)
    case setElement(Bytes, at: Int, lengthBefore: Int)
    case empty
  }

  var database: Int
  var slot: Int
  var key: Bytes
  var hash: UInt64
  var version: UInt64
  var change: Change

  init(_ effect: Effect) {
    database = effect.database
    slot = effect.slot
    key = Bytes(effect.key)
    hash = effect.hash
    version = effect.version
    change =
      switch effect.change {
      case .put(.bytes(let value), let expiry): .put(Bytes(value), expiry)
      case .put(.integer(let number), let expiry): .putInteger(number, expiry)
      case .write(let bytes, let offset, let length):
        .write(Bytes(bytes), offset: offset, lengthBefore: length)
      case .expire(let expiry): .expire(expiry)
      case .delete: .delete
      case .insert(let values, let end, let length):
        .insert(values.map { Bytes($0) }, end, lengthBefore: length)
      case .insertWithin(let value, let index, let length):
        .insertWithin(Bytes(value), before: index, lengthBefore: length)
      case .remove(let count, let end, let length): .remove(count, end, lengthBefore: length)
      case .removeEach(let indices, let length):
        .removeEach(Array(indices), lengthBefore: length)
      case .keep(let range, let length): .keep(range, lengthBefore: length)
      case .setElement(let value, let index, let length):
        .setElement(Bytes(value), at: index, lengthBefore: length)
      case .empty: .empty
      }
  }

  func apply(to store: Store) throws {
    switch change {
    case .put(let value, let expiry):
      try value.withUnsafeBytes { try apply(.put(.bytes($0), expiry), to: store) }
    case .putInteger(let number, let expiry):
      try apply(.put(.integer(number), expiry), to: store)
    case .write(let bytes, let offset, let length):
      try bytes.withUnsafeBytes {
        try apply(.write($0, offset: offset, lengthBefore: length), to: store)
      }
    case .expire(let expiry): try apply(.expire(expiry), to: store)
    case .delete: try apply(.delete, to: store)
    case .insert(let values, let end, let length):
      try values.withPieces {
        try apply(.insert($0, at: end, lengthBefore: length), to: store)
      }
    case .insertWithin(let value, let index, let length):
      try value.withUnsafeBytes {
        try apply(.insertWithin($0, before: index, lengthBefore: length), to: store)
      }
    case .removeEach(let indices, let length):
      try indices.withUnsafeBufferPointer {
        try apply(.removeEach($0, lengthBefore: length), to: store)
      }
    case .keep(let range, let length):
      try apply(.keep(range, lengthBefore: length), to: store)
    case .setElement(let value, let index, let length):
      try value.withUnsafeBytes {
        try apply(.setElement($0, at: index, lengthBefore: length), to: store)
      }
    case .remove(let count, let end, let length):
      try apply(.remove(count: count, at: end, lengthBefore: length), to: store)
    case .empty: try apply(.empty, to: store)
    }
  }

  private func apply(_ change: Effect.Change, to store: Store) throws {
    try key.withUnsafeBytes {
      try store.apply(
        Effect(
          database: database, slot: slot, key: $0, hash: hash, version: version, change: change))
    }
  }
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
