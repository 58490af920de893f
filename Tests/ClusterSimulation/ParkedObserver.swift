// Which calls wait for values at the shards, as their replies show, and who comes first: of those
// that wait for a list the one that came first, and any of them before a call that comes later.
//
// Owns its records. One thread; part of the observer.

import Commands

struct ParkedObserver {
  struct Wait {
    /// Its place among all calls that have been parked.
    let number: Int
    let call: SimulatedCall
    let lists: [[UInt8]]
    /// Its shard has been told that its caller is gone.
    var isGone = false
  }

  private var waits: [ExecutionObserver.LinkCallKey: Wait] = [:]
  private var total = 0
  /// Connections over which a Hello was accepted.
  private var greeted: Set<Int> = []

  subscript(key: ExecutionObserver.LinkCallKey) -> Wait? { waits[key] }

  mutating func park(_ key: ExecutionObserver.LinkCallKey, _ call: SimulatedCall) {
    total += 1
    waits[key] = Wait(number: total, call: call, lists: call.items[0].lists)
  }

  mutating func end(_ key: ExecutionObserver.LinkCallKey) { waits[key] = nil }

  mutating func callerGone(_ key: ExecutionObserver.LinkCallKey) { waits[key]?.isGone = true }

  /// A call that waits for a list at a shard, and came before a number.
  func first(
    for list: [UInt8], at place: ExecutionObserver.LinkCallKey, before number: Int = .max
  ) -> Wait? {
    waits.filter { key, wait in
      (key.shard, key.incarnation) == (place.shard, place.incarnation) && wait.number < number
        && !wait.isGone && wait.lists.contains(list)
    }.values.min { $0.number < $1.number }
  }

  /// Another call over the same link that does the same to the same lists.
  func rival(of key: ExecutionObserver.LinkCallKey) -> ExecutionObserver.LinkCallKey? {
    guard let wait = waits[key] else { return nil }
    return waits.filter { other, others in
      other.router == key.router && other.shard == key.shard && other.incarnation == key.incarnation
        && other.generation == key.generation && other.id != key.id
        && others.lists == wait.lists
        && others.call.items[0].call.model == wait.call.items[0].call.model
    }.keys.min { $0.id < $1.id }
  }

  // MARK: - Connections

  /// A shard has accepted a connection: what came over older ones waits no more.
  mutating func greeted(_ connection: SimulatedConnection, incarnation: Int) {
    greeted.insert(connection.number)
    drop(connection, incarnation) { $0 < connection.generation }
  }

  /// A shard has learnt that a connection is gone, and drops what came over its link.
  mutating func left(_ connection: SimulatedConnection, incarnation: Int) {
    guard greeted.contains(connection.number) else { return }
    drop(connection, incarnation) { $0 == connection.generation }
  }

  private mutating func drop(
    _ connection: SimulatedConnection, _ incarnation: Int, where isOver: (UInt64) -> Bool
  ) {
    waits = waits.filter { key, _ in
      (key.router, key.shard) != (connection.router, connection.shard)
        || key.incarnation == incarnation && !isOver(key.generation)
    }
  }
}

extension SimulatedCall.Item {
  /// The lists from which it takes a value, or waits for one.
  var lists: [[UInt8]] { call.isCall(of: .lMove) ? [key] : keys }

  /// The list from which a call has taken something, by its reply.
  func listTaken(by reply: KeyReply) -> [UInt8]? {
    let taking = [Command.lPop, .rPop, .lPopMany, .rPopMany, .lMove]
    guard taking.contains(where: call.isCall(of:)) else { return nil }
    switch reply {
    case .value(.some), .elements(.some): return key
    case .popped(_, let place):
      return zip([call.place] + call.others, [key] + call.otherKeys).first { $0.0 == place }?.1
    default: return nil
    }
  }
}
