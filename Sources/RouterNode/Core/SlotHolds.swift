// Slots whose owner is changing, and the calls on their keys that wait for the new one. Pure; part
// of a router's core.

import Placement

struct SlotHolds {
  private var slots = SlotSet.none
  private var calls: [(id: UInt64, slot: Int)] = []
  private var callsMax = 1_024
  /// When slots are let go that a shard has refused though no newer map is known.
  private(set) var dueNanos: UInt64?
  private(set) var isEmpty = true

  func contains(_ slot: UInt16) -> Bool {
    !isEmpty && Int(slot) < Slots.count && slots.contains(Int(slot))
  }

  /// Holds the slots of a change that has become known. Calls that wait for others go on waiting.
  mutating func hold(_ moving: SlotSet) {
    for slot in 0..<Slots.count where moving.contains(slot) { slots.insert(slot) }
    dueNanos = nil
    isEmpty = slots.isEmpty
  }

  /// Holds a slot that a shard has refused, until a newer map comes or this time, if any.
  mutating func hold(_ slot: Int, untilNanos: UInt64?) {
    slots.insert(slot)
    if let untilNanos { dueNanos = max(dueNanos ?? 0, untilNanos) }
    isEmpty = false
  }

  /// A newer map is in force: nothing more has to come.
  mutating func mapCame() {
    dueNanos = nil
  }

  /// - Parameter isWaiting: calls that gave up leave their ids behind, and are forgotten now and
  ///   then.
  mutating func add(_ id: UInt64, slot: Int, isWaiting: (UInt64) -> Bool) {
    if calls.count >= callsMax {
      calls.removeAll { !isWaiting($0.id) }
      callsMax = max(1_024, 2 * calls.count)
    }
    calls.append((id, slot))
  }

  /// Lets go of the slots that aren't in a set. Returns the calls that waited for them, in the
  /// order in which they were submitted; some may have given up.
  mutating func release(except busy: SlotSet) -> [UInt64] {
    var kept = SlotSet.none
    for slot in 0..<Slots.count where slots.contains(slot) && busy.contains(slot) {
      kept.insert(slot)
    }
    slots = kept
    isEmpty = kept.isEmpty
    // What is kept goes when the calls under way have ended, not at a time.
    dueNanos = nil
    let released = calls.filter { !kept.contains($0.slot) }.map(\.id)
    calls.removeAll { !kept.contains($0.slot) }
    return released.sorted(by: CallOrder.isBefore)
  }
}
