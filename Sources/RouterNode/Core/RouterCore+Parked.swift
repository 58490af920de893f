// Calls that wait for values at their shards (wait_millis). A shard reports at once that it has
// parked such a call. From then on the call no longer counts for limits, the order of its key and
// slots that change their owner, so it doesn't block a push. Its caller continues to wait.
//
// A call that a shard releases without executing it is routed again: to the slot's new owner, or to
// the same shard over a new link. There it is at the end of the queues.
//
// The shard reports which calls of a lost link may have been executed: see Hello. Another
// incarnation has executed none: values that an older one may have removed are lost with its lists.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Users

extension RouterCore {
  /// Calls that wait for values.
  package var callsParked: Int { parkedCalls.count }

  /// A shard has parked a call.
  func parked(_ shard: Int, _ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let id = reply.id
    guard call.reply == .whole else { return }
    links[shard].callParked(call.lane, bytes: call.bytes)
    if call.isOrdered { leaveOrder(id, call) }
    calls.parked(id)
    note("parked", of: call)
    // Its cancel was sent.
    guard !call.isAbandoned else { return }
    guard let parked = try? LinkV1.LinkCall(reply.response) else {
      let error = CallError.outcomeUnknown(links[shard].shardID)
      endSpan(call, error)
      withdraw(id)
      return reportFailure(call, error)
    }
    let wait = CommandTable.waitField(ofMethod: parked.method)?.millis(in: parked.request) ?? 0
    parkedCalls.add(
      id,
      ParkedCall(
        shard: shard, method: parked.method, request: ByteBuffer(bytes: parked.request),
        deadlineNanos: links[shard].clock.deadlineNanos(ofMillis: parked.deadlineMillis),
        endNanos: nowNanos &+ UInt64(wait) * 1_000_000))
    if parkedCalls.isClosed { return recall(id, routerDrains) }
    guard case .caller(let caller) = call.target else { return }
    do throws(CallError) {
      // The users may have changed since the call was placed.
      parkedCalls.isFrom(try principal(of: caller, waitingBy: parked), id)
    } catch {
      return recall(id, error)
    }
    guard driver.parked(caller) else { return recall(id, .tooManyWaitingCalls) }
    parkedCalls.told(id)
    if call.endsWait { release(id, call) }
  }

  /// Who waits, as of now; nil: the router has no users.
  ///
  /// - Throws: if the user may no longer make the call.
  private func principal(
    of caller: Caller, waitingBy call: LinkV1.LinkCall
  ) throws(CallError) -> Principal? {
    guard let principal = try driver.principal(of: caller),
      let route = routes[call.method]
    else { return nil }
    let context = CallContext(principal, deadlineNanos: nil)
    try KeyAccess.check(method: call.method, route.access, context)
    let target = try KeyAccess.read(call.request, route.keyFields, context, keyLimits)
    try KeyAccess.checkOthers(
      method: call.method, call.request, target.database, context, keyLimits)
    return principal
  }

  /// The last reply of a call that was parked. It is out of the table of calls already.
  func parkedEnded(_ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let parked = unpark(reply.id, call)
    links[call.shard].parkedEnded()
    var error = reply.error
    if error?.code == .cancelled {
      // The response is empty, as that of a call that found nothing.
      error = parked?.recall ?? (call.endsWait ? nil : error)
    }
    if error != nil { links[call.shard].callFailed() }
    if error == nil { endSpan(call, nil, replyBytes: reply.response.count) }
    switch (error, call.target) {
    case (let error?, _): reportFailure(call, error)
    case (nil, .caller(let caller)): driver.reply(to: caller, response: reply.response)
    case (nil, .part(let fanout, let tag)): fanout.received(tag, reply.response)
    case (nil, .abandoned): break
    }
  }

  /// A call is no longer parked: its caller gets a reply next, or it is routed again.
  @discardableResult
  func unpark(_ id: UInt64, _ call: PendingCall<Caller>) -> ParkedCall? {
    let parked = parkedCalls.remove(id)
    if parked?.isTold == true, case .caller(let caller) = call.target { driver.unparked(caller) }
    return parked
  }

  // MARK: - Releasing

  /// Asks the shard to release a call, and fails it if it has not been executed. (If it has been,
  /// its reply is on its way.)
  private func recall(_ id: UInt64, _ error: CallError) {
    guard let call = calls[id], !call.isAbandoned else { return }
    parkedCalls.recall(id, error)
    release(id, call)
  }

  /// Asks the shard to release a call, once: a second cancel would mean that the value isn't wanted
  /// either. A call whose link is lost is released when the link is back.
  private func release(_ id: UInt64, _ call: PendingCall<Caller>) {
    if parkedCalls.mayRelease(id) { cancelAtShard(id, call) }
  }

  func cancelAtShard(_ id: UInt64, _ call: PendingCall<Caller>) {
    links[call.shard][call.lane].cancel(id)
    hasOutput(call.shard, call.lane)
  }

  /// The caller of a call waits for a value no longer: the call is released if its shard has parked
  /// it, or as soon as it does. A call that is on its way is not cancelled: it may find a value.
  package func endWait(_ id: UInt64) {
    guard let call = calls[id], !call.isAbandoned else { return }
    calls.endWait(id)
    release(id, call)
    finishEvent()
  }

  /// The router drains: no call waits any more.
  package func endParked() {
    parkedCalls.close()
    for id in parkedCalls.ids { recall(id, routerDrains) }
    finishEvent()
  }

  /// Users have lost credentials or rights: none of their calls waits any more, and none that sends
  /// message after message continues, whether its caller reads or not.
  func endRevokedCalls() {
    for id in parkedCalls.ids {
      guard let principal = parkedCalls[id]?.principal else { continue }
      do throws(CallError) {
        parkedCalls.isFrom(try principal.standing(), id)
      } catch {
        recall(id, error)
      }
    }
    endRevokedStreams()
    for operation in operations.all { operation.fanout.checkCaller() }
    finishEvent()
  }

  private var routerDrains: CallError {
    CallError(
      .shardUnavailable, "This router is draining; the call was not executed.",
      retryDelayMillis: CallError.retryDelayMillisDefault)
  }

  // MARK: - Links that are lost and come back

  /// A link is lost. Calls parked over it keep their callers until the shard reports which were
  /// executed.
  func parkedLost(_ shard: Int) {
    for id in calls.ids(where: { $0.shard == shard && $0.reply == .parked && $0.isAbandoned }) {
      _ = calls.remove(id)
    }
    parkedCalls.lost(shard, untilNanos: nowNanos &+ linkLimits.parkedNanosMax)
  }

  /// The shard has reported which calls of earlier links were executed.
  func parkedGreeted(_ shard: Int, _ reply: LinkV1.HelloReply) {
    guard links[shard].state.incarnation == reply.incarnation else {
      // The effects of the previous incarnation are lost with its memory; if they aren't, any call
      // may have been executed.
      if reply.recovers {
        for id in parkedCalls.adrift(shard) {
          endParked(id, .outcomeUnknown(links[shard].shardID))
        }
      }
      return
    }
    for id in reply.ranCalls where parkedCalls[id]?.isAdrift == true {
      guard parkedCalls[id]?.shard == shard else { continue }
      endParked(id, .outcomeUnknown(links[shard].shardID))
    }
  }

  /// A link is ready again and its shard serves: parked calls that were not executed wait there
  /// again, or at their slot's new owner.
  func parkedReady(_ shard: Int) {
    let ids = parkedCalls.adrift(shard)
    parkedCalls.settled(shard)
    for id in ids {
      if let recall = parkedCalls[id]?.recall { endParked(id, recall) } else { placeAgain(id) }
    }
  }

  /// Links have been away for too long.
  func giveUpParked(nowNanos: UInt64) {
    while let shard = parkedCalls.nextGivenUp(nowNanos: nowNanos) {
      let ids = parkedCalls.adrift(shard)
      parkedCalls.settled(shard)
      // A connected shard that serves nothing has reported which calls were executed.
      let error: CallError =
        links[shard].state.isReady ? unavailable(shard) : .outcomeUnknown(links[shard].shardID)
      for id in ids { endParked(id, error) }
    }
  }

  private func endParked(_ id: UInt64, _ error: CallError) {
    guard let call = calls.remove(id) else { return }
    unpark(id, call)
    reportFailure(call, error)
  }

  /// Places a call again that was parked and has not been executed, for the rest of its time.
  private func placeAgain(_ id: UInt64) {
    guard let call = calls[id], let parked = unpark(id, call) else { return }
    calls.unparked(id)
    if call.lane == .calls { sequencer.smallCameBack(id, slot: call.slot) }
    let body = CallBody(
      method: parked.method, deadlineNanos: parked.deadlineNanos, tail: nil,
      traceContext: traceContext(of: call.span))
    wait(id, body, request(of: parked), for: .turn)
    turnReached(id)
  }

  /// The request of a call that waits for the rest of its time; if nothing is left a millisecond,
  /// so that it is tried once.
  func request(of parked: ParkedCall) -> ByteBuffer {
    let now = nowNanos
    let left = parked.endNanos > now ? (parked.endNanos - now) / 1_000_000 : 0
    var request = parked.request
    CommandTable.waitField(ofMethod: parked.method)?.write(
      UInt32(clamping: max(1, left)), into: &request)
    return request
  }
}
