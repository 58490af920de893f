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
  private let lookups: UnsafeMutableBufferPointer<KeyLookup>
  private var count = 0
  /// Those before it were used or skipped.
  private var taken = 0

  init() {
    lookups = .allocate(capacity: Store.prefetchMax)
  }

  deinit { lookups.deallocate() }

  /// The look-up of a noted key: identical memory, not only an equal key.
  @inline(__always)
  func takeLookup(of key: UnsafeRawBufferPointer, _ database: UInt32) -> KeyLookup? {
    taken < count ? take(key, database) : nil
  }

  private func take(_ key: UnsafeRawBufferPointer, _ database: UInt32) -> KeyLookup? {
    var index = taken
    while index < count {
      let lookup = lookups[index]
      index += 1
      if lookup.key.baseAddress == key.baseAddress, lookup.key.count == key.count,
        lookup.database == Int(database)
      {
        taken = index
        return lookup
      }
    }
    return nil
  }

  func note(_ lookup: KeyLookup) {
    lookups.initializeElement(at: count, to: lookup)
    count += 1
  }

  func prefetch(from store: Store) {
    store.prefetch(UnsafeBufferPointer(rebasing: lookups[..<count]))
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
      let (key, database) = try? KeyAccess.read(request, fields, context, limits)
    else { return }
    ahead.note(
      store.lookup(
        key, slot: Slots.slot(of: key), database: Int(database), nowMillis: context.wallMillis))
  }

  /// Loads what those calls will look up into the cache.
  package func prefetchAhead() { ahead.prefetch(from: store) }

  /// The bytes of those calls may go.
  package func endAhead() { ahead.clear() }
}
