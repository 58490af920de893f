// The position of a walk over the keys: in slot order, and inside a slot in the order of its
// cursors. Both are the same on every node and after every restart, so a position from one router
// is valid on all shards. A value; any thread.

import Placement

package struct ScanPosition: Hashable, Sendable, Comparable {
  /// The slot the walk is in; `Slots.count` at the end.
  package let slot: UInt32
  /// Where in that slot; 0: at its beginning.
  package let cursor: UInt64

  package static let start = ScanPosition(slot: 0, cursor: 0)
  package static let end = ScanPosition(slot: UInt32(Slots.count), cursor: 0)

  package init(slot: UInt32, cursor: UInt64) {
    self.slot = slot
    self.cursor = cursor
  }

  /// The position after a key.
  ///
  /// - Parameter cursor: the cursor after it, 0 if nothing can follow in its slot.
  init(behindKeyIn slot: UInt32, cursor: UInt64) {
    self.init(slot: cursor == 0 ? slot + 1 : slot, cursor: cursor)
  }

  package static func < (one: ScanPosition, other: ScanPosition) -> Bool {
    (one.slot, one.cursor) < (other.slot, other.cursor)
  }
}
