// Records what clients do to keys, in the order in which it happens, for the checker. A key is that
// of an object here: several keys of a slot may make up one.
//
// Owns the operations. A value for one thread; the simulation has only one. Its clock is a count of
// recorded events: in one thread that orders everything, more finely than virtual time could.

package struct History: Sendable {
  /// A call in progress, from `invoke` to `complete`.
  package struct CallID: Sendable, Hashable {
    fileprivate let key: [UInt8]
    fileprivate let index: Int
  }

  /// The operations of each key in the order of invocation.
  package private(set) var operations: [[UInt8]: [HistoryOperation]] = [:]
  private var clock: UInt64 = 0

  package init() {}

  /// A client sends `call` on `key` now.
  package mutating func invoke(client: Int, key: [UInt8], call: KeyCall) -> CallID {
    let operation = HistoryOperation(
      client: client, call: call, invoked: tick(), returned: nil, outcome: .pending)
    operations[key, default: []].append(operation)
    return CallID(key: key, index: operations[key, default: []].count - 1)
  }

  /// It has become known what a call in progress exactly asks for.
  package mutating func specify(_ id: CallID, _ call: KeyCall) {
    operations[id.key]?[id.index].call = call
  }

  /// The client learns the outcome now. A call that is never completed stays pending.
  package mutating func complete(_ id: CallID, _ outcome: Outcome) {
    let now = tick()
    operations[id.key]?[id.index].returned = now
    operations[id.key]?[id.index].outcome = outcome
  }

  /// A call that has just ended may have taken effect once more before it ended.
  mutating func perhapsAgain(_ id: CallID) {
    guard var again = operations[id.key]?[id.index] else { return }
    again.outcome = .perhaps
    operations[id.key]?.append(again)
  }

  /// A shard has just crashed: the moment to hand to `endWipe`.
  package mutating func beginWipe() -> UInt64 {
    tick()
  }

  /// The shard is back without memory: each known object that `isLost` names became absent at some
  /// moment since `crash`.
  package mutating func endWipe(since crash: UInt64, where isLost: ([UInt8]) -> Bool) {
    let restart = tick()
    for key in operations.keys where isLost(key) {
      operations[key]?.append(.wipe(from: crash, to: restart))
    }
  }

  private mutating func tick() -> UInt64 {
    clock += 1
    return clock
  }
}
