// Calls that wait for values, as the observer sees them: who is served, in which order, and what
// their callers are told.
//
// Owns nothing.

import RingstoreAPI

extension ExecutionObserver {
  /// The call has found nothing and waits.
  func noteParked(
    _ id: UInt64, _ key: LinkCallKey, _ connection: SimulatedConnection
  ) {
    guard let known = cluster.routers[connection.router].callsByID[id] else { return }
    if known.wasParked {
      context.cover(.parkedAgain)
    } else {
      context.cover(.parked)
      // That it found nothing has its place in the order; what becomes of it later has not.
      checkOrder(known, connection)
    }
    known.wasParked = true
    parked.park(key, known)
    if commitsLate { withoutReply[key] = cluster.moment() }
  }

  /// A shard is gone. What it has given to calls that waited, and whose replies it held, their
  /// callers never hear of: the calls wait again at its next incarnation. But others may have seen
  /// that it was taken.
  func crashed(_ shard: SimulatedShard) {
    let (number, incarnation) = (shard.number, shard.incarnations)
    let keys = withoutReply.keys.filter { ($0.shard, $0.incarnation) == (number, incarnation) }
    let now = cluster.moment()
    let run = ShardRun(shard: number, incarnation: incarnation)
    crashes[run] = now
    otherParts.crashed(run, now)
    if context.configuration.keepsData {
      for key in keys { withoutReply[key] = nil }
      return forgetWithoutReply(run)
    }
    for key in keys.sorted(by: { ($0.router, $0.id) < ($1.router, $1.id) }) {
      guard let since = withoutReply.removeValue(forKey: key),
        let call = cluster.routers[key.router].callsByID[key.id]
      else { continue }
      cluster.perhapsExecuted(call, (from: since, to: now))
    }
  }

  /// A shard that keeps its data is gone. What it has executed without a reply it may have again,
  /// or not.
  private func forgetWithoutReply(_ run: ShardRun) {
    for (key, call) in received
    where (key.shard, key.incarnation) == (run.shard, run.incarnation) && !call.wasExecuted {
      forgetHeld(key, call)
    }
  }

  /// A shard receives a call. If its wait has ended before without a value, that reply was lost, and
  /// tells nothing of what becomes of the call now.
  func waitsAgain(_ id: UInt64, _ connection: SimulatedConnection) {
    guard let known = cluster.routers[connection.router].callsByID[id],
      changesNothing(known, known.items[0].seen)
    else { return }
    known.items[0].seen = nil
  }

  /// A call that waits and ends without a value may be asked for again, if its reply gets lost.
  func changesNothing(_ call: SimulatedCall?, _ reply: KeyReply?) -> Bool {
    guard let call, call.items[0].call.model.waits, let reply else { return false }
    if case .refused = reply { return true }
    return reply == .value(nil)
  }

  /// Who waits for a list is served first, the longest waiting one before the others, and none
  /// whose caller is known to be gone.
  func checkTurn(
    _ call: SimulatedCall, _ reply: KeyReply?, _ wait: ParkedObserver.Wait?, _ key: LinkCallKey
  ) {
    if let wait {
      let isServed = reply.map { $0.value != nil } ?? true
      context.cover(isServed ? .parkedServed : .parkedEnded)
      // What was executed before is held, and leaves all the same.
      if isServed, wait.isGone, !commitsLate {
        context.found(.servedGone, "its shard knew that its caller was gone: \(call.text)")
      }
    }
    // A reply that is held leaves late.
    guard !commitsLate, let reply, let list = call.items[0].listTaken(by: reply) else { return }
    guard let wait else { return checkTurn(call, list, key, number: .max) }
    // What one event serves leaves over several connections, in any order.
    servedNow.append { [unowned self] in checkTurn(call, list, key, number: wait.number) }
  }

  func checkTurn(
    _ call: SimulatedCall, _ list: [UInt8], _ key: LinkCallKey, number: Int
  ) {
    guard let other = parked.first(for: list, at: key, before: number) else { return }
    context.found(
      .outOfTurn,
      "\(other.call.text)\nwaited for \(HistoryOperation.text(list)) before \(call.text)\n"
        + "which took a value")
  }

  /// A shard has done what an event has brought.
  func eventHandled() {
    for check in servedNow { check() }
    servedNow = []
  }

  // MARK: - Replies to clients

  /// A client has just been told what became of a call that waited for a value.
  func checkEnd(_ call: SimulatedCall) {
    guard call.items[0].outcome == .notExecuted else { return }
    context.cover(.parkedRefused)
    guard let done = executions(of: call), context.configuration.keepsData || !isOver(done)
    else { return }
    context.found(.wrongOutcome, "executed, and called not executed: \(call.text)")
  }

  /// A router tells the caller of a call that waits that its outcome is unknown. It has to know
  /// better unless the call has been executed, or its link was away for too long.
  func checkUnknown(_ call: SimulatedCall) {
    context.cover(.parkedUnknown)
    let limit = call.client.router.core.linkLimits.parkedNanosMax
    guard !commitsLate else { return }
    guard context.nowNanos < call.parkedNanos + limit else {
      context.cover(.parkedGivenUp)
      return
    }
    if let done = executions(of: call), !isOver(done) { return }
    context.found(
      .needlesslyUnknown, "it waited, and its shard knew that it had not run: \(call.text)")
  }

  // MARK: - For defects

  /// A call that waits at a shard for a value; nil if it doesn't.
  func waiting(_ id: UInt64, _ connection: SimulatedConnection) -> LinkCallKey? {
    let key = key(id, connection)
    return parked[key] == nil ? nil : key
  }

  /// Another call that waits for the same lists over the same link.
  func rival(of key: LinkCallKey) -> LinkCallKey? { parked.rival(of: key) }
}
