// The core's turns, and the limits of the memory that its replies keep. The core's driver runs a
// turn whenever there are any, and polls its sockets between two of them.

import NodeCore
import RingstoreAPI
import Store

extension ShardCore {
  /// Whether there is work that waits for a turn.
  package var hasTurns: Bool { !turns.isEmpty || store.hasGarbage }

  /// Runs one turn: one slice, one piece, or one portion of memory freed. Returns whether there is
  /// more to do.
  @discardableResult
  package func runTurn() -> Bool {
    if store.hasGarbage { turns.enqueue(garbage) }
    while let taker = turns.next() {
      let turn = taker.runSlice()
      if turn == .more { turns.enqueue(taker) }
      if turn != .unused { break }
    }
    boundViews()
    return hasTurns
  }

  /// Whether replies in progress hold views.
  package var holdsViews: Bool { views.count > 0 }

  /// Whether anything in progress, or a key, has a time limit.
  @inline(__always)
  package var hasTimeLimits: Bool {
    views.count > 0 || !deadlines.isEmpty || expires
      || log?.passes.dueNanos != nil
  }

  /// Whether keys expire. While a shard loads none does: the log has the deletions, and an unlogged
  /// deletion would use a version that the log has for another change.
  @inline(__always)
  private var expires: Bool { store.expiringKeyCount > 0 && state != .loading }

  /// When the next time limit ends, on the core's clock; nil if there is none. Call `endExpired`
  /// then.
  package var dueNanos: UInt64? {
    var due = min(views.oldestDueNanos() ?? .max, deadlines.nextDeadlineNanos ?? .max)
    if let pass = log?.passes.dueNanos { due = min(due, pass) }
    if expires, !expirer.isQueued { due = min(due, expirer.dueNanos) }
    return due == .max ? nil : due
  }

  /// Ends the replies that have held a view for longer than `Limits.viewNanosMax`, and the waiting
  /// calls whose deadlines have passed. Starts the deletion of expired keys in turns.
  package func endExpired() {
    let now = clock()
    while let due = views.oldestDueNanos(), due <= now, expireOldest() {}
    while let deadline = deadlines.popExpired(nowNanos: now) {
      deadline.taker.deadlinePassed(deadline.id)
    }
    if let log, let pass = log.passes.dueNanos, pass <= now { turns.enqueue(log.passes) }
    if expires, expirer.dueNanos <= now { turns.enqueue(expirer) }
  }

  /// Ends the oldest replies until the memory kept only for views is within
  /// `Limits.maxPinnedBytes`. Call it after everything that may write.
  @inline(__always)
  package func boundViews() {
    if views.count > 0 { expireBeyondBounds() }
  }

  @inline(never)
  private func expireBeyondBounds() {
    while views.count > SnapshotRegistry.countMax || store.pinnedBytes > limits.maxPinnedBytes,
      expireOldest()
    {}
  }

  /// - Returns: false if there is no view.
  private func expireOldest() -> Bool {
    guard let oldest = views.takeOldest() else { return false }
    viewsExpired += 1
    oldest.expire()
    return true
  }

  /// A reply now holds a view.
  func pinned(_ view: any PinnedView) {
    if view.isHeld { views.addHeld(view) } else { views.add(view, dueNanos: viewDueNanos) }
  }

  /// The gate has released a reply that holds a view.
  func begins(_ view: any PinnedView) {
    if view.isPinned { views.begins(view, dueNanos: viewDueNanos) }
  }

  private var viewDueNanos: UInt64 {
    let (due, overflows) = clock().addingReportingOverflow(limits.viewNanosMax)
    return overflows ? .max : due
  }

  /// A reply has released its view.
  func unpinned() {
    views.released()
  }
}

/// Frees the memory of deletions, a portion a turn.
final class GarbageCollection: CooperativeTask {
  /// Blocks freed in a turn: far below a millisecond of work.
  private static let entriesPerTurn = 2_048

  var isQueued = false
  private let store: Store

  init(_ store: Store) {
    self.store = store
  }

  func runSlice() -> Turn {
    guard store.hasGarbage else { return .unused }
    return store.collectGarbage(entries: Self.entriesPerTurn) ? .more : .used
  }
}
