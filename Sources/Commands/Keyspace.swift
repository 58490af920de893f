// The keys of one shard, for commands: the store, the slots that may be served, and the limits of
// requests. Belongs to the shard's event loop.

import Placement
import RingstoreAPI
import Store

package final class Keyspace {
  package let store: Store
  package let limits: Limits
  package let keyLimits: KeyLimits
  package var ownership: SlotOwnership {
    didSet { owned = ownership.states.owned }
  }
  /// The owned slots of `ownership`, which every call reads: a separate property, so that nothing
  /// else is copied.
  private var owned: SlotSet
  /// What calls look up most often.
  package var hotKeys = HotKeyTable()
  /// Look-ups until one is watched: the next that is sampled, or every one.
  private var unwatchedLeft = 0
  /// Whether every look-up needs extra work: found keys are noted, or calls on some keys are
  /// unfinished.
  private var watchesAll = false
  /// Look-ups until the next that is sampled, while all are watched.
  private var untilSample = 0
  /// Whether `found` is requested.
  package var notesFound = false { didSet { watch() } }
  /// The keys that the call has looked up.
  package var found: [KeyLookup] = []
  /// The calls that are executed in turns, nil as long as there are none.
  package weak var unfinished: (any UnfinishedCalls)? { didSet { watch() } }
  /// The progress with which the next execution continues.
  package var resumed: ResumedSearch?
  /// What the next calls will look up.
  let ahead = LookAhead()
  package let routes = CommandTable.routes
  /// Collects the values of one push; empty between calls.
  private var pushed: [UnsafeRawBufferPointer] = []
  /// How much of this array's memory, in values, is kept for the next push.
  private static let pushedKept = 1_024

  package init(_ store: Store, _ limits: Limits, _ ownership: SlotOwnership) {
    self.store = store
    self.limits = limits
    keyLimits = KeyLimits(limits)
    self.ownership = ownership
    owned = ownership.states.owned
    unwatchedLeft = hotKeys.nextInterval()
  }

  /// Checks a key and looks it up; only keys of the shard's own slots are accepted.
  ///
  /// - Throws: INVALID_KEY, NO_SUCH_DATABASE, WRONG_SHARD.
  @inline(__always)
  package func find(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ context: CallContext
  ) throws(CallError) -> KeyPlace {
    try KeyAccess.check(key, database, context, keyLimits)
    let lookup = ahead.lookup(of: key, database, in: store, nowMillis: context.wallMillis)
    guard owns(lookup.pointee.slot) else {
      throw ownership.refusal(ofSlot: lookup.pointee.slot)
    }
    var place = store.find(lookup.pointee)
    unwatchedLeft &-= 1
    if unwatchedLeft < 0 { watch(&place) }
    return place
  }

  /// Checks a further key of a call whose keys must be in one slot.
  ///
  /// - Throws: INVALID_KEY, PERMISSION_DENIED, CROSS_SLOT.
  func checkSlot(
    of key: UnsafeRawBufferPointer, _ database: UInt32, _ slot: Int, _ context: CallContext
  ) throws(CallError) {
    try KeyAccess.check(key, database, context, keyLimits)
    guard Slots.slot(of: key) == slot else { throw .crossSlot }
  }

  /// As `find`, but the key doesn't count as used.
  func look(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ context: CallContext
  ) throws(CallError) -> KeyPlace {
    try KeyAccess.check(key, database, context, keyLimits)
    let clock = store.accessClock(of: key, slot: Slots.slot(of: key), database: Int(database))
    let place = try find(key, database, context)
    if let clock { place.setAccessClock(clock) }
    return place
  }

  @inline(never)
  private func watch(_ place: inout KeyPlace) {
    if watchesAll { untilSample -= 1 }
    if !watchesAll || untilSample < 0 {
      hotKeys.sample(place.lookup)
      untilSample = hotKeys.nextInterval()
    }
    unwatchedLeft = watchesAll ? 0 : untilSample
    if watchesAll { note(&place) }
  }

  /// Earlier calls on the key come first: an unfinished one is executed to its end.
  private func note(_ place: inout KeyPlace) {
    if let unfinished, unfinished.finish(on: place.lookup) {
      let lookup = place.lookup
      place = store.find(
        lookup.key, slot: lookup.slot, database: lookup.database, nowMillis: lookup.nowMillis)
    }
    if notesFound { found.append(place.lookup) }
  }

  private func watch() {
    let all = notesFound || unfinished != nil
    guard all != watchesAll else { return }
    watchesAll = all
    if all {
      untilSample = max(unwatchedLeft, 0)
      unwatchedLeft = 0
    } else {
      unwatchedLeft = untilSample
    }
  }

  /// As `SlotSet.contains`, which can't be inlined here.
  @inline(__always)
  private func owns(_ slot: Int) -> Bool {
    owned.words[slot >> 6] &>> UInt64(truncatingIfNeeded: slot & 63) & 1 != 0
  }

  /// A write with an unsupported or unknown field is refused: a condition must never be ignored.
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

/// Calls that are executed in turns.
package protocol UnfinishedCalls: AnyObject {
  /// Executes the unfinished calls on a key. Returns whether there were any; then the store may
  /// have changed.
  func finish(on key: KeyLookup) -> Bool
}
