// Who holds memory of the store, the oldest first. Views may keep alive what writers have let go of;
// so they are bounded in bytes, in number and in time, and the oldest pay first.
//
// Belongs to one shard's core; its event loop.

import NIOCore

/// A reply under way that holds a view.
protocol PinnedView: AnyObject {
  /// Whether it still does.
  var isPinned: Bool { get }
  /// Lets go of the view, and fails with VIEW_EXPIRED.
  func expire()
}

struct PinnedViews {
  /// Views held at most.
  static let countMax = 65_536

  private struct Entry {
    let view: any PinnedView
    let dueNanos: UInt64
  }

  private var entries = CircularBuffer<Entry>()
  /// Views that are held.
  private(set) var count = 0

  /// Notes a view, which is to expire at `dueNanos`; not before any that was noted earlier.
  mutating func add(_ view: any PinnedView, dueNanos: UInt64) {
    entries.append(Entry(view: view, dueNanos: dueNanos))
    count += 1
  }

  /// A view has been let go of. Amortised O(1).
  mutating func released() {
    count -= 1
    if entries.count > 2 * count + 64 { entries.removeAll { !$0.view.isPinned } }
  }

  /// When the oldest expires, on the core's clock; nil where there is none.
  mutating func oldestDueNanos() -> UInt64? {
    skipReleased()
    return entries.first?.dueNanos
  }

  /// Takes the oldest out.
  mutating func takeOldest() -> (any PinnedView)? {
    skipReleased()
    return entries.popFirst()?.view
  }

  private mutating func skipReleased() {
    while let first = entries.first, !first.view.isPinned { entries.removeFirst() }
  }
}
