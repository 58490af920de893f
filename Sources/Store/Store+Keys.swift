// Calls on keys of any type. The type itself is KeyPlace's.

extension Store {
  /// Removes a key. O(1); the memory of a list of more than 64 chunks is freed by `collectGarbage`.
  /// - Returns: the version of the removal, nil if there is no such key.
  package func delete(at place: KeyPlace) -> UInt64? {
    guard place.entry != nil else { return nil }
    return change(place, .delete)
  }

  /// Has a key expire at another time, or not any more. O(1).
  /// - Returns: the version of the change, nil if there is no such key.
  package func setExpiry(_ expiry: Expiry, at place: KeyPlace) -> UInt64? {
    guard place.entry != nil else { return nil }
    return change(place, .expire(expiry))
  }

  /// Removes all keys of a slot in a database. One version for all. The keys are removed at once;
  /// their memory is freed at once if they are few, by `collectGarbage` if they are more than about
  /// 1000. O(1) by comparison.
  /// - Returns: how many there were.
  @discardableResult
  package func reset(slot: Int, database: Int) -> Int {
    freeLeftovers()
    let removed = keyCount(database: database, slot: slot)
    guard removed > 0 else { return 0 }
    applyEmpty(slot: slot, database: database, version: versions[slot] + 1)
    return removed
  }
}
