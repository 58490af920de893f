// Which calls of a router's loop have waited here for values and been executed, as long as their
// replies may not have got there. When its link has broken, the loop asks for those that it had
// parked: the others have not been executed, and may wait again.
//
// A reply that was sent before the shard told its clock has been received by a router that names
// this clock, so what is remembered is what was executed in about the last second. What is
// forgotten counts as executed.
//
// Belongs to a shard's core; its event loop.

import NIOCore
import NodeCore
import RingstoreAPI

final class RanCalls {
  /// Replies that are remembered at most.
  static let repliesMax = 65_536

  /// Executed, and the reply was not sent: it waits at the gate, or its link was lost.
  private var unsent: Set<UInt64> = []
  /// In the order of sending, with the shard's clock then.
  private var sent = CircularBuffer<(id: UInt64, clockMillis: UInt64)>()
  private var sentIDs: Set<UInt64> = []
  /// Those whose reply went over the bulk lane, where no clock is told.
  private var sentOverBulk: Set<UInt64> = []
  /// Until when, on the shard's clock, calls may have been executed that are not remembered; nil:
  /// none.
  private var forgottenMillis: UInt64?

  /// Nothing is known of earlier links.
  init(clockMillis: UInt64) {
    forgottenMillis = clockMillis
  }

  func ran(_ id: UInt64) { unsent.insert(id) }

  /// The reply of a call leaves, if that is one that has been executed.
  func replied(_ id: UInt64, over lane: LinkLane, clockMillis: UInt64) {
    guard unsent.remove(id) != nil else { return }
    if lane == .bulk {
      if sentOverBulk.count >= Self.repliesMax {
        sentOverBulk.removeAll()
        forgottenMillis = clockMillis
      }
      sentOverBulk.insert(id)
      return
    }
    sent.append((id, clockMillis))
    sentIDs.insert(id)
    guard sent.count > Self.repliesMax, let oldest = sent.popFirst() else { return }
    sentIDs.remove(oldest.id)
    forgottenMillis = oldest.clockMillis
  }

  /// The router has heard the shard's clock, and with it all replies that were sent before.
  func heard(_ millis: UInt64) {
    while let first = sent.first, first.clockMillis < millis {
      sent.removeFirst()
      sentIDs.remove(first.id)
    }
    if let forgotten = forgottenMillis, forgotten <= millis { forgottenMillis = nil }
  }

  /// Whether a call of an earlier link has been executed, as far as is known.
  func mayHaveRun(_ id: UInt64) -> Bool {
    forgottenMillis != nil || unsent.contains(id) || sentIDs.contains(id)
      || sentOverBulk.contains(id)
  }
}
