// Slots whose owner is changing, and the calls on their keys that wait for the new one. Pure; part
// of a router's core.

import Placement

struct SlotHolds {
  private var slots = SlotSet.none
  private var calls: [(id: UInt64, slot: Int)] = []
  private var callsMax = 1_024
  /// When slots are released that a shard has refused although no newer map is known.
  private(set) var dueNanos: UInt64?
  private(set) var isEmpty = true

  func contains(_ slot: UInt16) -> Bool {
    !isEmpty && Int(slot) < Slots.count && slots.contains(Int(slot))
  }

  /// Holds the slots of a new change. Calls that wait for other slots continue to wait.
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

  /// A newer map is in force: nothing else is needed.
  mutating func mapCameIntoForce() {
    dueNanos = nil
  }

  /// - Parameter isWaiting: ended calls leave their ids in the list, which are removed from time to
  ///   time.
  mutating func add(_ id: UInt64, slot: Int, isWaiting: (UInt64) -> Bool) {
    if calls.count >= callsMax {
      calls.removeAll { !isWaiting($0.id) }
      callsMax = max(1_024, 2 * calls.count)
    }
    calls.append((id, slot))
  }

  /// Releases the slots that aren't in a set. Returns the calls that waited for them, in the order
  /// in which they were submitted; some may have ended.
  mutating func release(except busy: SlotSet) -> [UInt64] {
    var kept = SlotSet.none
    for slot in 0..<Slots.count where slots.contains(slot) && busy.contains(slot) {
      kept.insert(slot)
    }
    slots = kept
    isEmpty = kept.isEmpty
    // The kept slots are released when their calls in progress have ended, not at a time.
    dueNanos = nil
    let released = calls.filter { !kept.contains($0.slot) }.map(\.id)
    calls.removeAll { !kept.contains($0.slot) }
    return released.sorted(by: CallOrder.isBefore)
  }
}
