// The holders of the store's memory, the oldest first. Views may keep memory that writers have
// released; so they are limited in bytes, in number and in time. The oldest are dropped first,
// those of replies held at the gate last.
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
  /// The maximum number of views.
  static let countMax = 65_536

  private struct Entry {
    let view: any PinnedView
    let dueNanos: UInt64
  }

  private var entries = CircularBuffer<Entry>()
  /// Views whose replies are held at the gate, or were.
  private var held = CircularBuffer<any PinnedView>()
  /// Views that are pinned.
  private(set) var count = 0

  /// Adds a view whose time has not begun.
  mutating func addHeld(_ view: any PinnedView) {
    held.append(view)
    count += 1
  }

  /// Adds a view, which expires at `dueNanos`; not earlier than any added before.
  mutating func add(_ view: any PinnedView, dueNanos: UInt64) {
    entries.append(Entry(view: view, dueNanos: dueNanos))
    count += 1
  }

  /// The time of a held view begins.
  mutating func begins(_ view: any PinnedView, dueNanos: UInt64) {
    entries.append(Entry(view: view, dueNanos: dueNanos))
    // It is also in `held`, and skipped there.
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

  /// When the oldest expires, on the core's clock; nil if there is none.
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
