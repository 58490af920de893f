// Look-ups of several keys side by side. To find a key the store reads its table's head, a word of
// the table and the key's entry, each where the one before says, and mostly none of them is in the
// processor's cache: that waiting is the larger part of a look-up. Who knows the next keys has them
// fetched together, step by step, so that the waits of all of them are one.
//
// Hints only: nothing is decided here, and what changes before the key is looked up does no harm.

import CPrefetch

extension Store {
  /// Most keys that are worth it: what they touch has to stay in the cache.
  package static let prefetchMax = 16

  /// Has what the look-ups of these keys will read brought into the cache. O(keys).
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
