// When a key expires, and the walk that finds the keys that have.
//
// `find` and `scan` delete an expired key first, as a separate effect. Other expired keys are found
// by `expire`, which walks the tables that have keys to delete.

/// When a key expires, on the wall clock.
package struct Expiry: Equatable, Comparable, Sendable {
  /// Milliseconds since 1970.
  package let unixMillis: Int64

  @inline(__always)
  package init(unixMillis: Int64) { self.unixMillis = unixMillis }

  /// The key doesn't expire.
  @inline(__always)
  package static var never: Expiry { Expiry(unixMillis: .max) }

  @inline(__always)
  package func isDue(at nowMillis: Int64) -> Bool { unixMillis <= nowMillis }

  @inline(__always)
  package static func < (left: Expiry, right: Expiry) -> Bool {
    left.unixMillis < right.unixMillis
  }
}

/// The position of the walk for expired keys.
struct ExpiryWalk {
  /// The table, counted over all databases, that is walked or looked at next.
  var table = 0
  /// The hash from which the walk of that table continues; nil: it has not begun.
  var cursor: UInt64?
}

extension Store {
  /// The result of a part of the walk.
  package struct ExpiryProgress: Equatable {
    /// Keys that were looked at.
    package var visited = 0
    /// Expired keys, which are deleted.
    package var expired = 0
    /// Whether all tables have been looked at since the round began.
    package var endsRound = false
  }

  /// Deletes expired keys, continuing where the last call ended. Tables without expired keys cost a
  /// check of their header; the others are walked completely, which finds when the next of their
  /// keys expires.
  /// - Parameters:
  ///   - nowMillis: the wall clock of the tick.
  ///   - maxVisits: about how many keys to look at. As many headers of tables times 16 are looked
  ///     at at most.
  package func expire(nowMillis: Int64, maxVisits: Int) -> ExpiryProgress {
    freeLeftovers()
    var progress = ExpiryProgress()
    var headersLeft = maxVisits * Store.headersPerVisit
    let tableCount = databaseCount * slotCount
    while progress.visited < maxVisits, headersLeft > 0 {
      if expiryWalk.cursor == nil {
        expiryWalk.table = nextDue(from: expiryWalk.table, nowMillis, &headersLeft)
        guard expiryWalk.table < tableCount else {
          expiryWalk = ExpiryWalk()
          progress.endsRound = true
          return progress
        }
        guard headersLeft > 0 else { break }
      }
      walkTable(nowMillis, maxVisits: maxVisits, &progress)
    }
    return progress
  }

  private static let headersPerVisit = 16
  /// Homes that are looked at before the budget is.
  private static let stretchHomes = 64

  /// - Returns: the first table, not before `first`, that has an expired key; or the one to
  ///   continue the search from.
  private func nextDue(from first: Int, _ nowMillis: Int64, _ headersLeft: inout Int) -> Int {
    var (database, slot) = first.quotientAndRemainder(dividingBy: slotCount)
    while database < databaseCount {
      if expiringCounts[database] > 0 {
        while slot < slotCount, headersLeft > 0 {
          if let tables = directory.tables(database: database, from: slot) {
            for table in tables {
              headersLeft -= 1
              if table.due.isDue(at: nowMillis) { return database * slotCount + slot }
              slot += 1
            }
          } else {
            headersLeft -= 1
            slot = directory.nextGroup(after: slot)
          }
        }
        if slot < slotCount { return database * slotCount + slot }
      }
      (database, slot) = (database + 1, 0)
    }
    return databaseCount * slotCount
  }

  /// Walks the table that the walk is at, as far as there is budget.
  private func walkTable(
    _ nowMillis: Int64, maxVisits: Int, _ progress: inout ExpiryProgress
  ) {
    let (database, slot) = expiryWalk.table.quotientAndRemainder(dividingBy: slotCount)
    var next = expiryWalk.cursor ?? 0
    while let table = directory.table(database: database, slot: slot), table.pointee.count > 0 {
      // From here on it is the least of those that were seen, or have changed, during the walk.
      if next == 0 { table.pointee.due = .never }
      guard progress.visited < maxVisits else {
        expiryWalk.cursor = next
        return
      }
      guard let following = walkStretch(table, database, slot, next, nowMillis, &progress) else {
        break
      }
      next = following
    }
    expiryWalk = ExpiryWalk(table: expiryWalk.table + 1, cursor: nil)
  }

  /// Looks at the keys of some homes.
  /// - Returns: the least hash of the following homes; nil at the table's end.
  private func walkStretch(
    _ table: UnsafeMutablePointer<Table>, _ database: Int, _ slot: Int, _ cursor: UInt64,
    _ nowMillis: Int64, _ progress: inout ExpiryProgress
  ) -> UInt64? {
    let segment = table.pointee.segment(from: cursor)
    let (places, words) = (segment.places, segment.places.words)
    let firstHome = places.home(cursor)
    let homesEnd = segment.homesEnd
    let endHome = min(homesEnd, firstHome + Store.stretchHomes)
    let mask = places.capacity - 1
    var step = firstHome
    // A key may be after its home, up to the first free place; after the last place, from the
    // start.
    while step - firstHome <= mask {
      let word = words[step & mask]
      if word == 0 {
        if step >= endHome - 1 { break }
        step += 1
        continue
      }
      progress.visited += 1
      let entry = Places.entry(word)
      if entry.expiry.isDue(at: nowMillis) {
        progress.expired += 1
        expire(entry, slot: slot, database: database, nowMillis: nowMillis)
        guard let left = directory.table(database: database, slot: slot) else { return nil }
        guard left.pointee.count > 0 else { return nil }
        guard left.pointee.segment(from: cursor).places.words == words else { return cursor }
        // A later key may have moved to its place.
      } else {
        table.pointee.due = min(table.pointee.due, entry.expiry)
        step += 1
      }
    }
    if endHome < homesEnd { return places.hash(ofHome: endHome) }
    return segment.end == 0 ? nil : segment.end
  }

  /// Deletes an expired key.
  func expire(_ entry: Entry, slot: Int, database: Int, nowMillis: Int64) {
    let key = entry.key
    let lookup = lookup(key, slot: slot, database: database, nowMillis: nowMillis)
    guard
      let table = directory.table(database: database, slot: slot),
      let index = table.pointee.place(of: key, hash: lookup.hash)
    else { return }
    expiredKeyCount += 1
    change(place(of: lookup, table: table, index: index, entry: entry), .delete)
  }
}
