// What a shard has to do with each slot.
//
//   elsewhere --a map gives it--> arriving --the map is in force--> owned
//       ^                                                             |
//       +--the map is in force-- leaving <--a map takes it away-------+
//
// Only an owned slot is served. A slot that leaves is not served any more, and one that arrives not
// yet, so while a map spreads among the shards no slot is served twice. For now only slots without
// keys change their owner; if keys are moved in future, that happens between the two states in the
// middle.
//
// A set for each state but `elsewhere`: calls read only `owned`. A value; any thread.

package enum SlotState: Sendable, Hashable {
  case owned
  case arriving
  case leaving
  case elsewhere
}

package struct SlotStates: Sendable, Equatable {
  package private(set) var owned: SlotSet
  private var arriving = SlotSet.none
  private var leaving = SlotSet.none

  /// Every slot is owned: a shard without a map.
  package static var all: SlotStates { SlotStates(owned: .all) }
  package static var none: SlotStates { SlotStates(owned: .none) }

  private init(owned: SlotSet) {
    self.owned = owned
  }

  /// The state of `slot`, which must be in 0..<Slots.count. O(1).
  package subscript(slot: Int) -> SlotState {
    get {
      if owned.contains(slot) { return .owned }
      if arriving.contains(slot) { return .arriving }
      return leaving.contains(slot) ? .leaving : .elsewhere
    }
    set {
      owned.remove(slot)
      arriving.remove(slot)
      leaving.remove(slot)
      switch newValue {
      case .owned: owned.insert(slot)
      case .arriving: arriving.insert(slot)
      case .leaving: leaving.insert(slot)
      case .elsewhere: break
      }
    }
  }

  /// Adopts a map that gives the shard some slots. Slots that it keeps stay owned, so they always
  /// have an owner. O(slots).
  package mutating func adopt(isGiven: (Int) -> Bool) {
    for slot in 0..<Slots.count {
      let before = self[slot]
      if isGiven(slot) {
        if before != .owned { self[slot] = .arriving }
      } else if before != .elsewhere {
        self[slot] = before == .arriving ? .elsewhere : .leaving
      }
    }
  }

  /// The map that was adopted last is in force. O(slots).
  package mutating func comeIntoForce() {
    for slot in 0..<Slots.count {
      switch self[slot] {
      case .arriving: self[slot] = .owned
      case .leaving: self[slot] = .elsewhere
      case .owned, .elsewhere: break
      }
    }
  }
}
