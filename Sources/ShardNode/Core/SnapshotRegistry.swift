// Who holds memory of the store, the oldest first. Views may keep alive what writers have released;
// so they are bounded in bytes, in number and in time, and the oldest pay first; those of replies
// that the gate holds last.
//
// Belongs to one shard's core; its event loop.

import NIOCore

/// A reply in progress that holds a view.
protocol PinnedView: AnyObject {
  /// Whether it still does.
  var isPinned: Bool { get }
  /// Whether the reply waits at the gate: its time begins when that opens.
  var isHeld: Bool { get }
  /// Releases the view, and fails with VIEW_EXPIRED.
  func expire()
}

struct SnapshotRegistry {
  /// Views held at most.
  static let countMax = 65_536

  private struct Entry {
    let view: any PinnedView
    let dueNanos: UInt64
  }

  private var entries = CircularBuffer<Entry>()
  /// Those whose replies are held at the gate, or were.
  private var held = CircularBuffer<any PinnedView>()
  /// Views that are pinned.
  private(set) var count = 0

  /// Notes a view whose time has not begun.
  mutating func addHeld(_ view: any PinnedView) {
    held.append(view)
    count += 1
  }

  /// Notes a view, which is to expire at `dueNanos`; not before any that was noted earlier.
  mutating func add(_ view: any PinnedView, dueNanos: UInt64) {
    entries.append(Entry(view: view, dueNanos: dueNanos))
    count += 1
  }

  /// The time of a view that was held begins.
  mutating func begins(_ view: any PinnedView, dueNanos: UInt64) {
    entries.append(Entry(view: view, dueNanos: dueNanos))
    // It is in `held` as well, and passed over there.
    compact()
  }

  /// A view has been released. Amortised O(1).
  mutating func released() {
    count -= 1
    compact()
  }

  private mutating func compact() {
    if entries.count > 2 * count + 64 { entries.removeAll { !$0.view.isPinned } }
    if held.count > 2 * count + 64 { held.removeAll { !$0.isPinned || !$0.isHeld } }
  }

  /// When the oldest expires, on the core's clock; nil where there is none.
  mutating func oldestDueNanos() -> UInt64? {
    skipReleased()
    return entries.first?.dueNanos
  }

  /// Takes the oldest out.
  mutating func takeOldest() -> (any PinnedView)? {
    skipReleased()
    if let oldest = entries.popFirst() { return oldest.view }
    while let view = held.popFirst() {
      if view.isPinned, view.isHeld { return view }
    }
    return nil
  }

  private mutating func skipReleased() {
    while let first = entries.first, !first.view.isPinned { entries.removeFirst() }
  }
}
