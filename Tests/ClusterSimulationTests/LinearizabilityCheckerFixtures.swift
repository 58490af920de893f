// What the checker's tests share: histories written as one line per operation, histories recorded
// from an atomic object, and a checker by brute force.
//
// Owns nothing. Any thread.

import ClusterSimulation
import Commands
import TestSeeds

/// A value from text, as short as the histories need it.
func b(_ text: String) -> [UInt8] { Array(text.utf8) }

extension KeyCall: ExpressibleByStringInterpolation {
  /// The command and its words behind the key, without the key: "RPUSH a b".
  public init(stringLiteral text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard let command = CommandTable.all.first(where: { $0.forms.first?.syntax.name == words[0] })
    else { preconditionFailure("\(words[0]) is no command") }
    self.init(command, words.dropFirst().map { Array($0.utf8) })
  }
}

/// An operation with a reply.
func op(_ from: UInt64, _ to: UInt64, _ call: KeyCall, _ reply: KeyReply) -> HistoryOperation {
  HistoryOperation(client: 1, call: call, invoked: from, returned: to, outcome: .ok(reply))
}

/// A call whose reply has a version.
struct VersionedCall {
  let call: KeyCall

  static let get = VersionedCall(call: .getWithVersion)

  static func setIf(_ value: String, version: UInt64) -> VersionedCall {
    VersionedCall(call: .setIfVersion(b(value), version))
  }

  static func deleteIf(version: UInt64) -> VersionedCall {
    VersionedCall(call: .deleteIfVersion(version))
  }

  static func deleteIf(value: String) -> VersionedCall {
    VersionedCall(call: .deleteIfValue(b(value)))
  }
}

func versioned(
  _ from: UInt64, _ to: UInt64, _ call: VersionedCall, _ reply: KeyReply
) -> HistoryOperation {
  op(from, to, call.call, reply)
}

/// An operation whose outcome its client never learnt.
func unknown(_ from: UInt64, _ to: UInt64, _ call: KeyCall) -> HistoryOperation {
  HistoryOperation(client: 2, call: call, invoked: from, returned: to, outcome: .unknown)
}

func set(_ from: UInt64, _ to: UInt64, _ value: String) -> HistoryOperation {
  op(from, to, "SET \(value)", .done)
}

func get(_ from: UInt64, _ to: UInt64, _ value: String?) -> HistoryOperation {
  op(from, to, "GET", .value(value.map(b)))
}

func isLinearizable(_ operations: [HistoryOperation]) -> Bool {
  LinearizabilityChecker().check(operations) == .linearizable
}

func isViolation(_ operations: [HistoryOperation]) -> Bool {
  if case .violation = LinearizabilityChecker().check(operations) { true } else { false }
}

/// Clients that work on an atomic object: each call takes effect at a random moment of its
/// interval. Whatever comes out is linearizable.
struct AtomicObject {
  var random: SeededRandom
  var clients = 6
  /// One in so many calls loses its reply; 0: none does.
  var lossEvery = 0
  /// One in so many steps wipes the key; 0: none does.
  var wipeEvery = 0

  private struct UnderWay {
    let index: Int
    let call: KeyCall
    var reply: KeyReply?
  }

  /// Records `count` operations; the calls come from `call`, which is given a fresh number.
  mutating func record(
    _ count: Int, call: (inout SeededRandom, Int) -> KeyCall
  ) -> [HistoryOperation] {
    var operations: [HistoryOperation] = []
    var underWay = [UnderWay?](repeating: nil, count: clients)
    var late: [KeyCall] = []
    var state = KeyState.absent
    var clock: UInt64 = 0
    while operations.count < count || underWay.contains(where: { $0 != nil }) {
      clock += 1
      let client = Int.random(in: 0..<clients, using: &random)
      if wipeEvery > 0, Int.random(in: 0..<wipeEvery, using: &random) == 0 {
        state = .absent
        operations.append(.wipe(from: clock, to: clock + 1))
        clock += 1
      }
      if let call = late.last, Bool.random(using: &random) {
        _ = state.apply(call)
        late.removeLast()
      }
      guard var current = underWay[client] else {
        guard operations.count < count else { continue }
        let made = call(&random, operations.count)
        underWay[client] = UnderWay(index: operations.count, call: made)
        operations.append(
          HistoryOperation(
            client: client, call: made, invoked: clock, returned: nil, outcome: .pending))
        continue
      }
      let isLost = lossEvery > 0 && Int.random(in: 0..<lossEvery, using: &random) == 0
      if let reply = current.reply {
        operations[current.index].returned = clock
        operations[current.index].outcome = isLost ? .unknown : .ok(reply)
        underWay[client] = nil
      } else if isLost {
        operations[current.index].returned = clock
        operations[current.index].outcome = .unknown
        if Bool.random(using: &random) { late.append(current.call) }
        underWay[client] = nil
      } else {
        current.reply = state.apply(current.call)
        underWay[client] = current
      }
    }
    return operations
  }
}

/// Tries every order of every choice of optional operations. For up to six operations.
func bruteForceIsLinearizable(_ operations: [HistoryOperation]) -> Bool {
  func isRequired(_ operation: HistoryOperation) -> Bool {
    switch operation.outcome {
    case .ok, .executed: true
    default: false
    }
  }
  func mayBeNext(_ operation: HistoryOperation, among rest: [HistoryOperation]) -> Bool {
    rest.allSatisfy { other in
      !isRequired(other) || (other.returned ?? .max) >= operation.invoked
    }
  }
  func search(_ rest: [HistoryOperation], _ state: KeyState) -> Bool {
    if !rest.contains(where: isRequired) { return true }
    for (index, operation) in rest.enumerated() where mayBeNext(operation, among: rest) {
      var after = state
      let reply = after.apply(operation.call)
      if case .ok(let told) = operation.outcome, told != reply { continue }
      var remaining = rest
      remaining.remove(at: index)
      if search(remaining, after) { return true }
    }
    return false
  }
  return search(operations.filter { $0.outcome != .notExecuted }, .absent)
}
