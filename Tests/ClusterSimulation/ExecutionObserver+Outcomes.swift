// What clients were told of their calls, held against what was seen at the shards.
//
// Owns nothing.

import Commands

extension ExecutionObserver {
  /// Holds the outcome of every call against what was seen.
  func check(_ calls: [SimulatedCall]) {
    for call in calls {
      if case .everyShard = call.kind { continue }
      for item in call.items { check(item, of: call) }
    }
  }

  private func check(_ item: SimulatedCall.Item, of call: SimulatedCall) {
    guard !item.call.isRead else { return }
    let times = timesExecuted(item, of: call)
    switch item.outcome {
    case .ok(let reply):
      if times == 0, !changesNothing(call, reply) {
        context.found(.wrongOutcome, "a reply, and never executed: \(call.text)")
      }
    case .notExecuted:
      // Of one that waited it counts whether it had been when that was said.
      if times ?? 0 > 0, !call.wasParked {
        context.found(.wrongOutcome, "executed, and called not executed: \(call.text)")
      }
    case .unknown:
      context.cover(times ?? 0 > 0 ? .executedUnknown : .unexecutedUnknown)
    case .executed, .perhaps, .pending: break
    }
  }

  func executions(of call: SimulatedCall) -> Executions? {
    call.id.flatMap { executions[CallKey(router: call.client.router.number, id: $0)] }
  }

  /// Whether a call that waited was executed by a shard that has lost its memory since.
  func isLost(_ call: SimulatedCall) -> Bool {
    call.wasParked && !keepsData && executions(of: call).map(isOver) ?? false
  }

  /// When and where a shard has received a call last.
  func arrival(of call: SimulatedCall) -> Arrival? {
    call.id.flatMap { arrivals[CallKey(router: call.client.router.number, id: $0)] }
  }

  var commitsLate: Bool { context.configuration.commitsLate }
  var keepsData: Bool { context.configuration.keepsData }

  /// Nil if it can't be told: for reads and deletes among the parts of other calls.
  func timesExecuted(_ item: SimulatedCall.Item, of call: SimulatedCall) -> Int? {
    if case .oneKey = call.kind {
      return executions(of: call)?.count ?? 0
    }
    if let value = item.valueSet { return written.contains(value) ? 1 : 0 }
    return nil
  }

  /// It isn't known whether a call was executed whose reply was held.
  func forgetHeld(_ key: LinkCallKey, _ call: Received) {
    heldCalls[CallKey(router: key.router, id: key.id)] = nil
    if let (owner, place) = call.part, let value = owner.items[place].valueSet {
      heldParts[value] = nil
    }
  }
}
