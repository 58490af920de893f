// The target of a replay: a store, or a test's replacement.

import Store

/// A complete value, for `install` and `matches`.
package enum ReplayValue {
  case bytes(UnsafeRawBufferPointer)
  case integer(Int64)
  /// The elements that were added since the last list of its kind.
  case list(count: Int, ListForm)
}

/// A key of an effect that was not applied yet. Nothing in it was checked.
package struct KeyAhead: BitwiseCopyable {
  let key: UnsafeRawBufferPointer
  let slot: Int
  let database: Int
}

/// How the elements of a list arrive. While one arrives in parts, others may arrive complete.
package enum ListForm: Sendable {
  case whole
  case inParts
}

package protocol ReplayTarget: AnyObject {
  /// The end of images that contain all keys.
  var end: ImageCursor { get }

  /// What keys are ordered by: as in the store that the pass was made of.
  func hash(of key: UnsafeRawBufferPointer) -> UInt64

  /// A hint: effects on these keys come next, at most `LogMerge.keysAheadMax`.
  func prefetch(_ keys: UnsafeBufferPointer<KeyAhead>)

  func apply(_ effect: Effect) throws(Effect.Corruption)

  /// Applies an effect that empties a table that is only partly installed.
  func emptyPart(_ effect: Effect) throws(Effect.Corruption)

  /// Skips an effect on a key that is not installed yet; its version counts.
  func skip(_ effect: Effect) throws(Effect.Corruption)

  /// So many keys of a table follow.
  func reserve(keys: Int, slot: Int, database: Int)

  func install(_ value: ReplayValue, _ key: ReplayKey) throws(Effect.Corruption)

  /// The next element of the list that is installed next.
  func addElement(
    _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
  ) throws(Effect.Corruption)

  func adopt(_ state: StateRecord)

  /// The next element of the list that `matches` will compare.
  func compareElement(_ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm)

  /// Whether a key is there with this value, version and expiry.
  func matches(_ value: ReplayValue, _ key: ReplayKey) -> Bool

  /// How many keys there are between two places.
  func keyCount(from: ImageCursor, to: ImageCursor) -> Int
}

/// Why a log or pass can't be replayed. Its bytes have the right checksums, so the node that wrote
/// them was faulty or newer, or files are missing.
package struct ReplayFault: Error, Equatable, Sendable {
  package enum Reason: Equatable, Sendable {
    case defect(LogDefect)
    /// A change that the state it is made on can't have.
    case effect(Effect.Corruption)
    /// A record that is not allowed there.
    case outOfPlace(type: UInt8)
    /// The log begins after the pass.
    case logMissing
    /// An image is newer than the log that there is.
    case imageBehindLog
    /// An image doesn't begin at the end of the last one, or is older than it.
    case imageOutOfOrder
    /// The elements of a list in parts aren't those that its image counts.
    case partsDiffer
    /// The pass ends before its end record, or has different counts.
    case passIncomplete
    /// Comparing: a key isn't as the image has it, or there are others.
    case stateDiffers(slot: Int, database: Int, key: [UInt8]?)
  }

  package var reason: Reason
  /// Of the record: in the log, or in the pass.
  package var position: LogPosition

  /// The database that the store replayed into doesn't have; nil: that isn't the reason.
  package var missingDatabase: Int? {
    if case .effect(.noSuchDatabase(let database)) = reason { database } else { nil }
  }

  init(_ reason: Reason, at position: LogPosition) {
    self.reason = reason
    self.position = position
  }
}

extension ReplayFault: CustomStringConvertible {
  package var description: String {
    switch reason {
    case .defect(let defect): "\(defect)"
    case .effect(let corruption): "a change does not fit the state before it (\(corruption))"
    case .outOfPlace(let type): "a record of type \(type) is not allowed there"
    case .logMissing: "the log begins after the position that the pass needs"
    case .imageBehindLog: "an image of the pass is newer than the log"
    case .imageOutOfOrder: "the images of the pass are out of order"
    case .partsDiffer: "a list of the pass has wrong elements"
    case .passIncomplete: "the pass is not complete"
    case .stateDiffers(let slot, let database, let key):
      if let key {
        "a key of slot \(slot) in database \(database) differs, of \(key.count) bytes"
      } else {
        "slot \(slot) in database \(database) or a later one has other keys"
      }
    }
  }
}
