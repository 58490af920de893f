// Calls that can't be sent yet: their lane is full, or earlier calls on their key are under way on
// the other lane. The connections they came from are not read meanwhile.
//
// Bounds: `LinkLimits.waitingBytesMax` for each shard, `waitNanosMax` for each call. A full shard
// keeps nobody waiting but those who call it.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

/// A call that waits.
struct WaitingCall {
  enum Reason {
    /// Earlier calls on its key are not through.
    case turn
    /// Its lane is full: it is in the lane's queue.
    case room
    /// Its slot's owner is changing.
    case owner
  }

  let body: CallBody
  /// The request, unless the body has it.
  let request: ByteBuffer
  /// The call's place in the core's `waitLimits`.
  let limit: DeadlineQueue<UInt64>.Handle
  var reason: Reason

  var bytes: Int { request.readableBytes + (body.tail?.count ?? 0) + LinkLimits.waitingCallBytes }
}

extension RouterCore {
  /// Calls that wait, for room or for their turn.
  package var callsWaiting: Int { waiting.count }

  func wait(
    _ id: UInt64, _ body: CallBody, _ request: ByteBuffer, for reason: WaitingCall.Reason
  ) {
    guard let call = calls[id] else { return }
    let limit = waitLimits.insert(deadlineNanos: nowNanos + linkLimits.waitNanosMax, id)
    let waiter = WaitingCall(body: body, request: request, limit: limit, reason: reason)
    waiting[id] = waiter
    links[call.shard].waitingBytes += waiter.bytes
    queue(id, call, for: reason)
    pauseReading(for: call)
  }

  private func queue(_ id: UInt64, _ call: PendingCall<Caller>, for reason: WaitingCall.Reason) {
    waiting[id]?.reason = reason
    switch reason {
    case .turn: break
    case .room: links[call.shard][call.lane].wait(id)
    case .owner: holds.add(id, slot: Int(call.slot)) { waiting[$0]?.reason == .owner }
    }
  }

  /// Ends a call's waiting, whatever comes next.
  @discardableResult
  func stopWaiting(_ id: UInt64, _ call: PendingCall<Caller>) -> WaitingCall? {
    guard let waiter = waiting.removeValue(forKey: id) else { return nil }
    _ = waitLimits.remove(waiter.limit)
    links[call.shard].waitingBytes -= waiter.bytes
    if waiter.reason == .room { links[call.shard][call.lane].leave { isQueued($0) } }
    resumeReading(for: call)
    return waiter
  }

  private func isQueued(_ id: UInt64) -> Bool { waiting[id]?.reason == .room }

  /// Earlier calls on its key are through: a call that was held goes, or waits for room or its slot's
  /// owner.
  func turnCame(_ id: UInt64) {
    guard let call = calls[id], waiting[id] != nil else { return }
    guard !holds.contains(call.slot) else { return queue(id, call, for: .owner) }
    ownerCame(id)
  }

  /// A call that waited goes to its slot's owner, which may be another than before.
  func ownerCame(_ id: UInt64) {
    guard var call = calls[id], let waiter = waiting[id] else { return }
    let shard = Int(call.slot) < Slots.count ? owner(ofSlot: Int(call.slot)) : call.shard
    links[call.shard].waitingBytes -= waiter.bytes
    links[shard].waitingBytes += waiter.bytes
    call.shard = shard
    calls[id] = call
    guard links[shard].state.isReady || links[shard].isMoving else {
      _ = calls.remove(id)
      forget(id, call)
      return tellFailure(call, unavailable(shard))
    }
    queue(id, call, for: .room)
    admitWaiting(shard, call.lane)
  }

  /// Moves calls that waited into the batch while the lane has room.
  func admitWaiting(_ shard: Int, _ lane: LinkLane) {
    while links[shard][lane].hasRoom,
      let id = links[shard][lane].nextWaiting(isWaiting: { isQueued($0) })
    {
      // Out of the queue, so that it doesn't leave it once more.
      waiting[id]?.reason = .turn
      guard let call = calls[id], let waiter = waiting[id] else { continue }
      let order = waiter.request.withUnsafeReadableBytes {
        links[shard].append(id, waiter.body, $0, lane: lane, bytes: call.bytes)
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
    let reason = waiting[id]?.reason
    guard let call = calls.remove(id) else { return }
    forget(id, call)
    tellFailure(call, reason == .owner ? ownerMissing(call) : overloaded(call.shard))
  }

  /// A change of owners took too long.
  private func ownerMissing(_ call: PendingCall<Caller>) -> CallError {
    .shardUnavailable(
      links[call.shard].shardID,
      "the slot map is changing, and not every shard has adopted the new one")
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
