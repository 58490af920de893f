// The calls of a router's loop that waited here for values and were executed, as long as their
// replies may not have arrived. When its link has broken, the loop queries the calls that it had
// parked: the others were not executed, and may wait again.
//
// If a router sends a clock value, it has received all replies that were sent before that value. So
// only calls executed in about the last second are remembered. Calls that are no longer remembered
// count as executed.
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
  /// Calls whose reply was sent over the bulk lane, which carries no clock.
  private var sentOverBulk: Set<UInt64> = []
  /// Until when, on the shard's clock, calls may have been executed that are not remembered; nil:
  /// none.
  private var forgottenMillis: UInt64?

  /// Earlier links are unknown.
  init(clockMillis: UInt64) {
    forgottenMillis = clockMillis
  }

  func ran(_ id: UInt64) { unsent.insert(id) }

  /// The reply of a call is sent, if the call was executed.
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

  /// The router has received the shard's clock, and so all replies that were sent before it.
  func heard(_ millis: UInt64) {
    while let first = sent.first, first.clockMillis < millis {
      sent.removeFirst()
      sentIDs.remove(first.id)
    }
    if let forgotten = forgottenMillis, forgotten <= millis { forgottenMillis = nil }
  }

  /// Whether a call of an earlier link is known to have been executed.
  func mayHaveRun(_ id: UInt64) -> Bool {
    forgottenMillis != nil || unsent.contains(id) || sentIDs.contains(id)
      || sentOverBulk.contains(id)
  }
}
