// Calls that can't be sent yet: their lane is full, or earlier calls on their key are in progress
// on the other lane. Their connections are not read meanwhile.
//
// Bounds: `LinkLimits.waitingBytesMax` for each shard, `waitNanosMax` for each call. A full shard
// delays only its own callers.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension RouterCore {
  /// Calls that wait for space or for their order.
  package var callsWaiting: Int { waiting.count }

  func wait(
    _ id: UInt64, _ body: CallBody, _ request: ByteBuffer, for reason: WaitingCall.Reason
  ) {
    guard let call = calls[id] else { return }
    let now = nowNanos
    let bytes = waiting.add(
      id, body, request, for: reason, sinceNanos: now, untilNanos: now + linkLimits.waitNanosMax)
    links[call.shard].callWaits(bytes: bytes)
    switch reason {
    case .turn: break
    case .room: links[call.shard][call.lane].wait(id)
    case .owner: waitForOwner(id, call)
    }
    note("waits for \(reason)", of: call)
    pauseReading(for: call)
  }

  private func waitForOwner(_ id: UInt64, _ call: PendingCall<Caller>) {
    waiting.setReason(id, .owner)
    holds.add(id, slot: Int(call.slot)) { waiting.waits($0, for: .owner) }
  }

  /// Ends a call's wait: it is sent, or has ended.
  @discardableResult
  func stopWaiting(_ id: UInt64, _ call: PendingCall<Caller>) -> WaitingCall? {
    guard let waiter = waiting.remove(id) else { return nil }
    linkWaits.add(nanos: nowNanos &- waiter.sinceNanos)
    links[call.shard].waitEnded(bytes: waiter.bytes)
    if waiter.reason == .room { links[call.shard][call.lane].leave { isQueued($0) } }
    resumeReading(for: call)
    return waiter
  }

  private func isQueued(_ id: UInt64) -> Bool { waiting.waits(id, for: .room) }

  /// Earlier calls on its key are done: a held call is sent, or waits for space or its slot's
  /// owner.
  func turnReached(_ id: UInt64) {
    guard let call = calls[id], waiting[id] != nil else { return }
    guard !holds.contains(call.slot) else { return waitForOwner(id, call) }
    sendToOwners([id])
  }

  /// Waiting calls go to their slots' owners, which may have changed. All of them are queued before
  /// the first is sent, so a caller that may continue is queued after them.
  func sendToOwners(_ ids: [UInt64]) {
    let failed = ids.filter { !queueAtOwner($0) }
    for shard in links.indices {
      for lane in LinkLane.allCases where links[shard][lane].waitingCount > 0 {
        admitWaiting(shard, lane)
      }
    }
    for id in failed {
      guard let call = calls.remove(id) else { continue }
      forget(id, call)
      reportFailure(call, unavailable(call.shard))
    }
  }

  /// Returns false if the owner accepts no calls.
  private func queueAtOwner(_ id: UInt64) -> Bool {
    guard let call = calls[id], let waiter = waiting[id] else { return true }
    let shard = Int(call.slot) < Slots.count ? links.owner(ofSlot: Int(call.slot)) : call.shard
    links[call.shard].waitEnded(bytes: waiter.bytes)
    links[shard].callWaits(bytes: waiter.bytes)
    calls.move(id, to: shard)
    guard mayTake(shard, call.slot) else { return false }
    waiting.setReason(id, .room)
    links[shard][call.lane].wait(id)
    return true
  }

  /// Whether calls on a slot may be sent to a shard. A shard that was restarted after they were
  /// admitted, and doesn't know yet that the slot map is in force, would return them repeatedly.
  private func mayTake(_ shard: Int, _ slot: UInt16) -> Bool {
    if links[shard].isMoving { return true }
    return links[shard].state.isReady && (links[shard].isServing || slot == Self.noSlot)
  }

  /// Moves waiting calls into the batch while the lane has space.
  func admitWaiting(_ shard: Int, _ lane: LinkLane) {
    while links[shard][lane].hasRoom,
      let id = links[shard][lane].nextWaiting(isWaiting: { isQueued($0) })
    {
      // Removed from the queue, so that it isn't removed twice.
      waiting.setReason(id, .turn)
      guard let call = calls[id], let waiter = waiting[id] else { continue }
      let order = waiter.request.withUnsafeReadableBytes {
        links[shard].append(
          id, waiter.body, $0, lane: lane, bytes: call.bytes, isPlacedAgain: call.timesReturned > 0)
      }
      calls.placed(id, order: order)
      note("sent", of: call)
      // Only now may its client make the next call.
      stopWaiting(id, call)
      hasOutput(shard, lane)
      if call.reply == .stream { ask(id) }
    }
  }

  /// Refuses a call that has waited too long.
  func refuseOverdue(_ id: UInt64) {
    let waitsForOwner = waiting.waits(id, for: .owner)
    guard let call = calls.remove(id) else { return }
    forget(id, call)
    reportFailure(call, waitsForOwner ? ownerMissing(call) : overloaded(call.shard))
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
