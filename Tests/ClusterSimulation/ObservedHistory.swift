// The history as the shards show it: each call that was executed at the moment at which it was,
// with the reply given then, whether its client came to know it or not.
//
// Owns the operations and a count of events as their clock. A value; one thread.
//
// Why: nothing is open in it but the few calls whose execution can't be told, so whether it is in
// order is found out at once. And it implies more than what clients know, who know less and learn
// it later: an order found here is one for their history too. A run with many unknown outcomes,
// whose own history could not be searched to the end, is checked in full that way.

struct ObservedHistory {
  /// By object.
  private(set) var operations: [[UInt8]: [HistoryOperation]] = [:]
  /// Objects of which clients were told something that doesn't follow from what was observed.
  private(set) var doubtful: Set<[UInt8]> = []
  private var clock: UInt64 = 0

  /// The present moment, after all earlier ones.
  mutating func now() -> UInt64 {
    clock += 1
    return clock
  }

  /// An event of the simulation begins.
  mutating func begin(event: UInt64) { clock = max(clock, event * Self.momentsPerEvent) }

  /// From the beginning of the present event to its end.
  var presentEvent: (from: UInt64, to: UInt64) {
    let began = clock - clock % Self.momentsPerEvent
    return (began, began + Self.momentsPerEvent - 1)
  }

  private static let momentsPerEvent: UInt64 = 1 << 24

  /// A shard has executed a call for the first time, between two moments or at one.
  ///
  /// - Parameter connection: behind the earlier calls of this connection; nil: perhaps not.
  mutating func executed(
    _ item: SimulatedCall.Item, client: Int, _ reply: KeyReply,
    _ interval: (from: UInt64, to: UInt64), behindOthersOf connection: Int?
  ) {
    add(item, client, from: interval.from, to: interval.to, .ok(reply), connection)
  }

  /// A shard has just lost its memory; all these objects are gone.
  mutating func lost(_ objects: Set<[UInt8]>, _ moment: UInt64) {
    for object in objects {
      operations[object, default: []].append(.wipe(from: moment, to: moment))
    }
  }

  /// A key of an object that expires at the moment that the call names has, since `from`.
  mutating func wasDue(_ object: [UInt8], _ call: KeyCall, _ from: UInt64, _ to: UInt64) {
    operations[object, default: []].append(
      HistoryOperation(
        client: HistoryOperation.wiper, call: call, invoked: from, returned: to,
        outcome: .ok(.done)))
  }

  /// A client has just been told the outcome of a call.
  ///
  /// - Parameter isLost: what the call did is lost with its shard, so it may be said not to have
  ///   been executed.
  mutating func ended(
    _ item: SimulatedCall.Item, _ client: Int, _ outcome: Outcome, _ moment: UInt64, isLost: Bool
  ) {
    switch outcome {
    case .ok where item.seen == nil && !item.isRecorded:
      add(item, client, from: item.invoked, to: moment, outcome)
    case .ok(let reply) where item.seen != reply:
      doubtful.insert(item.object)
    case .notExecuted where item.changedSomething && !isLost:
      doubtful.insert(item.object)
    case .ok, .executed, .notExecuted, .unknown, .perhaps, .pending: break
    }
  }

  /// A shard has executed a call between two moments, and its reply was never sent.
  mutating func executedWithoutReply(
    _ item: SimulatedCall.Item, client: Int, _ interval: (from: UInt64, to: UInt64)
  ) {
    add(item, client, from: interval.from, to: interval.to, .executed)
  }

  /// A shard may have executed a call between two moments, and tells nothing of it.
  mutating func perhapsExecuted(
    _ item: SimulatedCall.Item, client: Int, _ interval: (from: UInt64, to: UInt64)
  ) {
    add(item, client, from: interval.from, to: interval.to, .perhaps)
  }

  /// It isn't known whether the call was executed: it may have been from a moment on, or up to
  /// another one.
  mutating func mayHaveHappened(
    _ item: SimulatedCall.Item, client: Int, _ interval: (from: UInt64, to: UInt64?)
  ) {
    add(
      item, client, from: interval.from, to: interval.to,
      interval.to == nil ? .unknown : .perhaps)
  }

  private mutating func add(
    _ item: SimulatedCall.Item, _ client: Int, from: UInt64, to: UInt64?, _ outcome: Outcome,
    _ connection: Int? = nil
  ) {
    operations[item.object, default: []].append(
      HistoryOperation(
        client: client, call: item.checked, invoked: from, returned: to, outcome: outcome,
        connection: connection))
  }
}
