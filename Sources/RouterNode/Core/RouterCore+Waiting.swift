// Calls that can't be sent yet: their lane is full, or earlier calls on their key are under way on
// the other lane. The connections they came from are not read meanwhile.
//
// Bounds: `LinkLimits.waitingBytesMax` for each shard, `waitNanosMax` for each call. A full shard
// keeps nobody waiting but those who call it.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

/// A call that waits.
struct WaitingCall {
  /// The encoded LinkCall, but for its tail.
  let record: ByteBuffer
  /// Its request, where that is large and stays where it was received.
  let tail: OwnedBytes?
  /// The call's place in the core's `waitLimits`.
  let limit: DeadlineQueue<UInt64>.Handle
  /// Whether it is in its lane's queue for room; otherwise its turn has not come yet.
  var isQueued: Bool

  var bytes: Int { record.readableBytes + (tail?.count ?? 0) + LinkLimits.waitingCallBytes }
}

extension RouterCore {
  /// Calls that wait, for room or for their turn.
  package var callsWaiting: Int { waiting.count }

  func wait(_ id: UInt64, _ record: ByteBuffer, tail: OwnedBytes?, isQueued: Bool) {
    guard let call = calls[id] else { return }
    let limit = waitLimits.insert(deadlineNanos: nowNanos + linkLimits.waitNanosMax, id)
    let waiter = WaitingCall(record: record, tail: tail, limit: limit, isQueued: isQueued)
    waiting[id] = waiter
    links[call.shard].waitingBytes += waiter.bytes
    if isQueued { links[call.shard][call.lane].wait(id) }
    pauseReading(for: call)
  }

  /// Ends a call's waiting, whatever comes next.
  @discardableResult
  func stopWaiting(_ id: UInt64, _ call: PendingCall<Caller>) -> WaitingCall? {
    guard let waiter = waiting.removeValue(forKey: id) else { return nil }
    _ = waitLimits.remove(waiter.limit)
    links[call.shard].waitingBytes -= waiter.bytes
    if waiter.isQueued { links[call.shard][call.lane].leave { waiting[$0] != nil } }
    resumeReading(for: call)
    return waiter
  }

  /// Earlier calls on its key are through: a call that was held goes, or waits for room.
  func turnCame(_ id: UInt64) {
    guard let call = calls[id], waiting[id] != nil else { return }
    waiting[id]?.isQueued = true
    links[call.shard][call.lane].wait(id)
    admitWaiting(call.shard, call.lane)
  }

  /// Moves calls that waited into the batch while the lane has room.
  func admitWaiting(_ shard: Int, _ lane: LinkLane) {
    while links[shard][lane].hasRoom,
      let id = links[shard][lane].nextWaiting(isWaiting: { waiting[$0] != nil })
    {
      waiting[id]?.isQueued = false
      guard let call = calls[id], let waiter = waiting[id] else { continue }
      let order = links[shard][lane].appendCall(bytes: call.bytes, tail: waiter.tail) { frame in
        frame.writeImmutableBuffer(waiter.record)
      }
      calls.setOrder(id, order)
      // Only now may its client come with the next call.
      stopWaiting(id, call)
      driver.linkHasOutput(shard: shard, lane: lane)
      if call.reply == .stream { ask(id) }
    }
  }

  /// Refuses a call that has waited too long.
  func refuseOverdue(_ id: UInt64) {
    guard let call = calls.remove(id) else { return }
    forget(id, call)
    tellFailure(call, overloaded(call.shard))
  }

  private func pauseReading(for call: PendingCall<Caller>) {
    switch call.target {
    case .caller(let caller): driver.pauseReading(for: caller)
    case .part(let fanout, _): fanout.transport?.requestWaits()
    case .abandoned: break
    }
  }

  private func resumeReading(for call: PendingCall<Caller>) {
    switch call.target {
    case .caller(let caller): driver.resumeReading(for: caller)
    case .part(let fanout, _): fanout.transport?.requestWaitsNoMore()
    case .abandoned: break
    }
  }
}
