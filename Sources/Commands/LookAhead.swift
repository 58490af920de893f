// The look-ups of the next calls of a batch. A shard decodes some calls ahead of their execution,
// and the store loads what they need into the cache (Store+Prefetch.swift), for all of them at
// once. Each key is hashed once: its execution uses the look-up that was made here.
//
// Nothing is decided here: a key that may not be touched is passed over, and refused by its
// execution. Belongs to the shard's event loop.

import Placement
import RingstoreAPI
import Store

final class LookAhead {
  private let countMax = Store.prefetchMax
  /// The last place is for a look-up that was not noted.
  private let lookups: UnsafeMutablePointer<KeyLookup>
  private var count = 0
  /// Those before it were used or skipped.
  private var taken = 0

  init() {
    lookups = .allocate(capacity: countMax + 1)
  }

  deinit { lookups.deallocate() }

  /// The look-up of a key: the noted one, if there is one of identical memory, not only of an equal
  /// key. Good until the next one is made.
  @inline(__always)
  func lookup(
    of key: UnsafeRawBufferPointer, _ database: UInt32, in store: Store, nowMillis: Int64
  ) -> UnsafePointer<KeyLookup> {
    if taken < count, let noted = take(key, database) { return noted }
    let place = lookups + countMax
    make(place, of: key, database, in: store, nowMillis: nowMillis)
    return UnsafePointer(place)
  }

  private func take(
    _ key: UnsafeRawBufferPointer, _ database: UInt32
  ) -> UnsafePointer<KeyLookup>? {
    var index = taken
    while index < count {
      let lookup = lookups + index
      index += 1
      if lookup.pointee.key.baseAddress == key.baseAddress,
        lookup.pointee.key.count == key.count, lookup.pointee.database == Int(database)
      {
        taken = index
        return UnsafePointer(lookup)
      }
    }
    return nil
  }

  func note(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, in store: Store, nowMillis: Int64
  ) {
    precondition(count < countMax)
    make(lookups + count, of: key, database, in: store, nowMillis: nowMillis)
    count += 1
  }

  @inline(__always)
  private func make(
    _ lookup: UnsafeMutablePointer<KeyLookup>, of key: UnsafeRawBufferPointer, _ database: UInt32,
    in store: Store, nowMillis: Int64
  ) {
    store.writeLookup(
      to: lookup, key, slot: Slots.slot(of: key), database: Int(database), nowMillis: nowMillis)
  }

  func prefetch(from store: Store) {
    store.prefetch(UnsafeBufferPointer(start: lookups, count: count))
  }

  func clear() {
    count = 0
    taken = 0
  }
}

extension Keyspace {
  /// Calls that are read ahead of their execution, at most.
  package static let callsAhead = Store.prefetchMax

  /// A call will be executed, after those noted before.
  ///
  /// - Parameter context: of its batch: the caller and the wall clock.
  package func isAhead(
    of method: UInt32, _ request: UnsafeRawBufferPointer, _ context: CallContext
  ) {
    guard let fields = routes[method]?.keyFields,
      let (key, database) = try? KeyAccess.read(request, fields, context, keyLimits)
    else { return }
    ahead.note(key, database, in: store, nowMillis: context.wallMillis)
  }

  /// Loads what those calls will look up into the cache.
  package func prefetchAhead() { ahead.prefetch(from: store) }

  /// The bytes of those calls may go.
  package func endAhead() { ahead.clear() }
}
