// The keys of one shard, as commands see them: the store, which slots of it may be served, and the
// bounds of requests. Belongs to the shard's event loop.
//
// @exclusivity(unchecked) in this file: asked by every call that is executed, on one thread.

import Placement
import RingstoreAPI
import Store

package final class Keyspace {
  package let store: Store
  package let limits: Limits
  package var ownership: SlotOwnership {
    didSet { owned = ownership.states.owned }
  }
  /// The owned slots of `ownership`, which every call asks: beside it, so that nothing else is copied.
  @exclusivity(unchecked) private var owned: SlotSet
  /// Whether `found` is asked for.
  @exclusivity(unchecked) package var notesFound = false
  /// The key that was looked up last.
  @exclusivity(unchecked) package var found: KeyLookup?
  /// Where the values of one push are gathered; empty between calls.
  private var pushed: [UnsafeRawBufferPointer] = []
  /// Of this array's memory, in values, that is kept for the next push.
  private static let pushedKept = 1_024

  package init(_ store: Store, _ limits: Limits, _ ownership: SlotOwnership) {
    self.store = store
    self.limits = limits
    self.ownership = ownership
    owned = ownership.states.owned
  }

  /// Checks a key and finds its place; only keys of the shard's own slots get through.
  ///
  /// - Throws: INVALID_KEY, NO_SUCH_DATABASE, WRONG_SHARD.
  @inline(__always)
  package func find(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ context: CallContext
  ) throws(CallError) -> KeyPlace {
    try KeyAccess.check(key, database, context, limits)
    let slot = Slots.slot(of: key)
    guard owns(slot) else {
      throw ownership.refusal(ofSlot: slot)
    }
    let place = store.find(key, slot: slot, database: Int(database), nowMillis: context.wallMillis)
    if notesFound { found = place.lookup }
    return place
  }

  /// As `SlotSet.contains`, which can't be inlined here.
  @inline(__always)
  private func owns(_ slot: Int) -> Bool {
    owned.words[slot >> 6] &>> UInt64(truncatingIfNeeded: slot & 63) & 1 != 0
  }

  /// A write with a field that this node doesn't serve or doesn't know is refused: a condition must
  /// never be passed over.
  @inline(__always)
  func refuseUnserved(_ request: some WireMessage) throws(CallError) {
    if let field = request.unservedField { throw .unservedField(field) }
    if request.hasUnknownField { throw .unknownField }
  }

  /// Lends the values of a push as one collection.
  @inline(__always)
  func withValues<R, Failure: Error>(
    _ values: RepeatedBytes,
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(Failure) -> R
  ) throws(Failure) -> R {
    if values.count == 1, let value = values.first {
      return try withUnsafePointer(to: value) { (value) throws(Failure) in
        try body(UnsafeBufferPointer(start: value, count: 1))
      }
    }
    pushed.append(contentsOf: values)
    defer { pushed.removeAll(keepingCapacity: pushed.count <= Self.pushedKept) }
    return try pushed.withUnsafeBufferPointer { (values) throws(Failure) in try body(values) }
  }
}
