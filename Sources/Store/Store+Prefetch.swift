// Parallel look-ups of several keys. To find a key the store reads its table's header, a word of
// the table and the key's entry, each at an address from the previous read, and mostly none of them
// is in the processor's cache: waiting for them is the larger part of a look-up. If the next keys
// are known, they are prefetched together, step by step, so that all waits overlap.
//
// These are only hints: changes before the look-up do no harm.

import CPrefetch

extension Store {
  /// The maximum number of keys: their memory must fit in the cache.
  package static let prefetchMax = 16

  /// Prefetches the memory that the look-ups of these keys will read. O(keys).
  package func prefetch(_ lookups: UnsafeBufferPointer<KeyLookup>) {
    assert(lookups.count <= Store.prefetchMax)
    withUnsafeTemporaryAllocation(
      of: UnsafeMutablePointer<Table>?.self, capacity: Store.prefetchMax
    ) { tables in
      for (index, lookup) in lookups.enumerated() {
        let table = directory.table(database: lookup.database, slot: lookup.slot)
        tables.initializeElement(at: index, to: table)
        if let table { CPrefetch_read(table) }
      }
      for (index, lookup) in lookups.enumerated() {
        tables[index]?.pointee.prefetchPlace(of: lookup.hash)
      }
      for (index, lookup) in lookups.enumerated() {
        if let entry = tables[index]?.pointee.likelyEntry(of: lookup.hash) { entry.prefetch() }
      }
    }
  }
}

extension Table {
  func prefetchPlace(of hash: UInt64) {
    guard count > 0 else { return }
    let places = places(of: hash)
    CPrefetch_read(places.words + places.home(hash))
  }

  /// The entry of the first key whose hash begins like this one.
  func likelyEntry(of hash: UInt64) -> Entry? {
    guard count > 0 else { return nil }
    return places(of: hash).likelyEntry(of: hash)
  }
}

extension Places {
  func likelyEntry(of hash: UInt64) -> Entry? {
    let mask = capacity &- 1
    var place = home(hash)
    while words[place] != 0 {
      let word = words[place]
      if hasTag(word, of: hash) { return Places.entry(word) }
      place = (place &+ 1) & mask
    }
    return nil
  }
}

extension Entry {
  private static let lineBytes = 64

  /// Its head and key, and the beginning of its value.
  func prefetch() {
    CPrefetch_read(base)
    CPrefetch_read(base + Entry.lineBytes)
  }
}
