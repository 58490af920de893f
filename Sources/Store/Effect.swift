// An effect: the change of one executed call on one key, or on one slot of a database.
//
// Effects are results, never requests: applying one checks no condition, no limit and no clock. So
// the same effects in the same order make the same store, with the same versions. An effect that
// builds on a list or a string carries its previous length; if the length differs, the effects or
// the store are corrupt.
//
// Store+Apply.swift applies them; it is the only code that changes keys and values.

package struct Effect {
  package let database: Int
  package let slot: Int
  /// Empty if the change concerns the whole slot.
  package let key: UnsafeRawBufferPointer
  /// `Store.hash(of:)` the key. 0: not known, or the change concerns the whole slot.
  package let hash: UInt64
  package let version: UInt64
  package let change: Change

  package init(
    database: Int, slot: Int, key: UnsafeRawBufferPointer, hash: UInt64 = 0, version: UInt64,
    change: Change
  ) {
    self.database = database
    self.slot = slot
    self.key = key
    self.hash = hash
    self.version = version
    self.change = change
  }

  /// Bytes are borrowed: valid only inside the call that gets them.
  package enum Change {
    /// The key becomes a string with this expiry, and any previous value is replaced.
    case put(Value, Expiry)
    /// Bytes, at least one, are written into a string at an offset; zeros fill a gap after its end.
    /// A string of length 0 may be a missing key.
    case write(UnsafeRawBufferPointer, offset: Int, lengthBefore: Int)
    /// The key, which was there, expires at another time, or not any more.
    case expire(Expiry)
    /// The key, which was there, goes.
    case delete
    /// Values, at least one, are added at one end of a list one after another. A list of length 0
    /// is a missing key.
    case insert(UnsafeBufferPointer<UnsafeRawBufferPointer>, at: Store.ListEnd, lengthBefore: Int)
    /// A value, not at an end, is added to a list before the element at an index.
    case insertWithin(UnsafeRawBufferPointer, before: Int, lengthBefore: Int)
    /// The outermost `count` elements at one end are removed, at least one; with the last one also
    /// the key.
    case remove(count: Int, at: Store.ListEnd, lengthBefore: Int)
    /// The elements at these indices go: at least one, in rising order, and not all that there are.
    case removeEach(UnsafeBufferPointer<Int>, lengthBefore: Int)
    /// Elements outside of a range go, at least one of them; the range has at least one itself.
    case keep(Range<Int>, lengthBefore: Int)
    /// The element at an index becomes another one.
    case setElement(UnsafeRawBufferPointer, at: Int, lengthBefore: Int)
    /// All keys of the slot in the database go; there was at least one.
    case empty
  }

  package enum Value {
    case bytes(UnsafeRawBufferPointer)
    /// Stands for its canonical decimal form.
    case integer(Int64)
  }

  /// Why an effect can't belong to a store in this state.
  package enum Corruption: Error, Equatable {
    /// A slot, key or value that no store can have.
    case outOfBounds
    /// This store has fewer databases.
    case noSuchDatabase(Int)
    /// The slot has had this version or a later one.
    case versionNotAbove(UInt64)
    case missingKey
    case existingKey
    case wrongType
    case otherLength(Int)
  }
}

/// Called with each effect before it is applied, while the bytes that it overwrites or frees still
/// exist.
///
/// The effects of one call in one slot are a group, which must be kept and applied completely or
/// not at all. Must not call the store.
package protocol StoreObserver: AnyObject {
  func willApply(_ effect: Effect)
  /// The effects since the last end of a group are a group.
  func groupEnded(slot: Int)
}
