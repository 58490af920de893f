// The gate of a shard's loop: replies wait here until the changes that they reveal are committed.
//
// The reply of every call on a key must wait for the key's last change: its `ReplyMark`. Most marks
// are already committed, and without a log all of them are. Other replies are held, by mark, and
// sent in the order of marks.
//
//   executed --mark committed--> out
//      |
//      +--not yet--> held --gate opens to the mark--> out
//                     +--caller gone, or deadline--> dropped
//                     +--abandoned--> OUTCOME_UNKNOWN (writes), SHARD_UNAVAILABLE (reads)
//
// All exits of the loop use the same gate: lanes of links and Pipelines with held frames
// (HeldReplies), every other call with its handle (ReplyHandle). The gate is in front of the
// connections' buffers: data in the buffers has passed it, so the time of the flush doesn't matter.
//
// Order. What is held for a mark leaves before `committed` reaches it. A reply with a committed
// mark may go at once; were an earlier one on its key still held, that would have no greater mark.
// So no reply overtakes another on its key.
//
// Belongs to one shard's core; its event loop.

import MetricTypes
import RingstoreAPI
import Store

/// What a reply waits for: the number of a batch of changes, which are committed together. Few of
/// them are in progress at a time.
package struct ReplyMark: Comparable, Hashable, Sendable {
  /// Nothing: it is committed from the beginning.
  package static let none = ReplyMark(0)

  package let number: UInt64

  @inline(__always)
  package init(_ number: UInt64) { self.number = number }

  @inline(__always)
  package static func < (left: ReplyMark, right: ReplyMark) -> Bool { left.number < right.number }
}

/// A key as the store looks it up, hash included. Valid as long as the request's bytes are.
package typealias MarkedKey = KeyLookup

/// Provides the marks of keys: the log, or in tests a replacement. It calls `ReplyGate.open` when
/// changes are committed.
package protocol MarkSource: AnyObject {
  /// The last change of a key, on which a call has just been executed.
  func mark(of key: MarkedKey, after method: UInt32) -> ReplyMark
  /// The last change of all.
  var latest: ReplyMark { get }
}

/// A held item.
protocol GateWaiter: AnyObject {
  /// False once it is no longer held; then the gate drops it.
  var isHeld: Bool { get }
  func gateOpened()
  /// What it waits for may never be committed.
  func gateGaveUp()
}

package final class ReplyGate {
  /// The bytes counted for a held reply besides its content.
  static let bytesPerReply = 128

  private struct Group {
    let mark: ReplyMark
    /// When the first of them arrived, on the gate's clock.
    let sinceNanos: UInt64
    var waiters: [any GateWaiter]
  }

  /// Everything up to this mark is committed, and no reply waits for it.
  package private(set) var committed = ReplyMark.none
  /// Bytes of held replies, plus `bytesPerReply` for each.
  package private(set) var heldBytes = 0
  private let bytesMax: Int
  /// In ascending order.
  private var groups: [Group] = []
  private var waiterCount = 0
  /// Items in the groups that are no longer held.
  private var goneCount = 0
  private var hasGivenUp = false
  /// How long released replies had waited, once for each mark.
  private(set) var waits = DurationCounts()
  private let clock: () -> UInt64
  /// Called after a release, which may have left work for the core's turns.
  package var afterRelease: () -> Void = {}

  /// - Parameters:
  ///   - bytesMax: the maximum of held bytes; see `Limits.heldBytesMax`.
  ///   - clock: the time in nanoseconds, never going back. Asked once for each mark that is waited
  ///     for.
  init(bytesMax: Int, clock: @escaping () -> UInt64 = { 0 }) {
    self.bytesMax = bytesMax
    self.clock = clock
  }

  /// Whether a reply with this mark must wait.
  @inline(__always)
  func holds(_ mark: ReplyMark) -> Bool { mark > committed }

  /// Whether the maximum is reached: writes are refused, and reads that would have to wait.
  package var isFull: Bool { heldBytes >= bytesMax || hasGivenUp }

  /// Held frames and replies.
  package var count: Int { waiterCount - goneCount }

  /// Whether no reply is held.
  package var isEmpty: Bool { waiterCount == goneCount }

  // MARK: - Held replies

  /// O(marks in progress).
  func wait(_ waiter: any GateWaiter, for mark: ReplyMark) {
    waiterCount += 1
    var place = groups.endIndex
    while place > 0, groups[place - 1].mark > mark { place -= 1 }
    if place > 0, groups[place - 1].mark == mark {
      groups[place - 1].waiters.append(waiter)
    } else {
      groups.insert(Group(mark: mark, sinceNanos: clock(), waiters: [waiter]), at: place)
    }
  }

  /// A held reply has ended before the gate opened for it. Amortised O(1).
  func left() {
    goneCount += 1
    guard goneCount > 64, goneCount > waiterCount / 2 else { return }
    for place in groups.indices { groups[place].waiters.removeAll { !$0.isHeld } }
    groups.removeAll { $0.waiters.isEmpty }
    waiterCount -= goneCount
    goneCount = 0
  }

  func charge(_ bytes: Int) { heldBytes += bytes }
  func discharge(_ bytes: Int) { heldBytes -= bytes }

  // MARK: - Events of the log

  /// Everything up to `mark` is committed: releases the replies that wait for it, in the order of
  /// marks.
  package func open(to mark: ReplyMark) {
    guard mark > committed else { return }
    // Released replies may lead to calls, whose replies are queued here.
    let hadWaiters = !groups.isEmpty
    release(upTo: mark) { $0.gateOpened() }
    committed = mark
    if hadWaiters { afterRelease() }
  }

  /// Held replies may never be committed: their callers get errors, and nothing is held any more.
  package func giveUp() {
    hasGivenUp = true
    release(upTo: ReplyMark(.max)) { $0.gateGaveUp() }
    afterRelease()
  }

  private func release(upTo mark: ReplyMark, _ tell: (any GateWaiter) -> Void) {
    guard let oldest = groups.first, oldest.mark <= mark else { return }
    let nowNanos = clock()
    while let first = groups.first, first.mark <= mark {
      groups.removeFirst()
      waits.add(nanos: nowNanos > first.sinceNanos ? nowNanos - first.sinceNanos : 0)
      for waiter in first.waiters {
        waiterCount -= 1
        if waiter.isHeld { tell(waiter) } else { goneCount -= 1 }
      }
    }
  }
}

extension CallError {
  /// Too many replies wait for a commit. Nothing was executed, or only a read.
  static func heldTooMuch(_ limits: Limits) -> CallError {
    .overloaded(
      "Replies of \(limits.heldBytesMax >> 20) MiB wait for changes to be committed.")
  }

  /// A write was executed, and the shard stops before it is known to be durable.
  static func notCommitted(_ shard: String) -> CallError {
    CallError(
      .outcomeUnknown,
      "Shard \(shard) stopped before the change was committed: it may be lost. Read before you "
        + "repeat it.", shard: shard)
  }

  /// The error of an abandoned held reply.
  static func givenUp(isWrite: Bool, _ shard: String) -> CallError {
    isWrite
      ? .notCommitted(shard)
      : .shardUnavailable(shard, "it stopped before the data that was read was committed")
  }
}
