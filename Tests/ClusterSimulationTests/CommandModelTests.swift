// The meaning of commands, beside the command table and beside a shard.

import ClusterSimulation
import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import ShardNode
import Testing

@Suite struct CommandModelTests {
  @Test func everyCommandOnOneKeyIsModelledOrIsNamedWithTheReasonWhyNot() {
    for command in CommandTable.all where command.routing == .oneKey {
      let isModelled = CommandModel.of(command) != nil
      let reason = CommandModel.notModelled[command.id]
      #expect(isModelled != (reason != nil), "\(command.name): model, or a reason for none?")
    }
  }

  /// Random calls, one after another, on a shard and on plain keys.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func aShardDoesWhatTheModelSays(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let generator = CallGenerator(keyCount: 7, random: &random)
    let shard = Shard()
    var states: [[UInt8]: ObjectState] = [:]
    var knowledge: [[UInt8]: CallGenerator.Knowledge] = [:]
    var told: [Bool: Int] = [:]
    var asked: Set<CommandID> = []
    var refused = 0
    for step in 0..<5_000 {
      let caller = CallGenerator.Caller(client: step % 7, sequence: step)
      let (key, made) = generator.oneKey(
        by: caller, knowledge: { knowledge[$0] ?? .init() }, random: &random)
      let (object, call) = (generator.object(of: key), generator.placed(made, on: key))
      let before = states[object] ?? ObjectState(count: generator.keys.count)
      var after = before
      let reply = try shard.execute(call, key)
      let isMeant = after.apply(call, replying: reply)
      #expect(isMeant, "step \(step): \(call) -> \(reply) on \(before)")
      states[object] = after
      knowledge[key, default: .init()].learn(call, reply)
      if case .versioned(let done, _) = reply, !call.isRead { told[done == .done, default: 0] += 1 }
      if call.isRead { #expect(after.isSame(as: before), "\(call) reads") }
      if case .refused = reply {
        refused += 1
        #expect(after == before, "\(call) was refused")
      }
      if let command = call.model.command { asked.insert(command.id) }
    }
    #expect(refused > 100)
    #expect(told[true] ?? 0 > 20 && told[false] ?? 0 > 5, "conditions: \(told)")
    let all = CommandModel.all.compactMap { $0.command?.id }
    #expect(asked == Set(all), "clients never ask for some commands")
  }

  @Test func aVersionBelongsToOneWriteOnly() {
    let first = KeyReply.versioned(.value(b("a")), 7)
    let start = [set(1, 2, "a"), versioned(3, 4, .get, first)]
    #expect(isLinearizable(start + [versioned(5, 6, .get, first)]))
    #expect(isViolation(start + [versioned(5, 6, .get, .versioned(.value(b("a")), 8))]))
    let later = start + [set(5, 6, "b")]
    #expect(isLinearizable(later + [versioned(7, 8, .get, .versioned(.value(b("b")), 8))]))
    #expect(isViolation(later + [versioned(7, 8, .get, .versioned(.value(b("b")), 7))]))
    #expect(isViolation([versioned(1, 2, .get, .versioned(.value(nil), 3))]))
    // Which of two states with one value a version belongs to may show later.
    let counted = [op(1, 2, "INCRBY 1", .integer(1)), unknown(3, 4, "INCRBY 1")]
    let back =
      counted + [versioned(3, 9, .get, .versioned(.value(b("1")), 9)), unknown(5, 6, "INCRBY -1")]
    #expect(isLinearizable(back + [versioned(10, 11, .get, .versioned(.value(b("1")), 9))]))
  }

  @Test func aWriteUnderAConditionHappensWhereItIsMetAndOnlyThere() {
    let start = [set(1, 2, "a"), versioned(3, 4, .get, .versioned(.value(b("a")), 7))]
    let met = versioned(5, 6, .setIf("b", version: 7), .versioned(.done, 9))
    let unmet = versioned(5, 6, .setIf("b", version: 6), .versioned(.notDone, 7))
    #expect(isLinearizable(start + [met, get(7, 8, "b")]))
    #expect(isViolation(start + [met, get(7, 8, "a")]))
    #expect(isLinearizable(start + [unmet, get(7, 8, "a")]))
    #expect(isViolation(start + [unmet, get(7, 8, "b")]))
    #expect(isViolation(start + [versioned(5, 6, .setIf("b", version: 6), .versioned(.done, 9))]))
    #expect(
      isViolation(start + [versioned(5, 6, .setIf("b", version: 7), .versioned(.notDone, 7))]))
    #expect(isViolation(start + [versioned(5, 6, .setIf("b", version: 7), .versioned(.done, 7))]))
    #expect(isLinearizable(start + [versioned(5, 6, .deleteIf(version: 7), .versioned(.done, 8))]))
    #expect(isViolation(start + [versioned(5, 6, .deleteIf(version: 6), .versioned(.done, 8))]))
    let deleted = versioned(5, 6, .deleteIf(value: "a"), .versioned(.done, 8))
    #expect(isLinearizable(start + [deleted, get(7, 8, nil)]))
    #expect(isViolation(start + [versioned(5, 6, .deleteIf(value: "b"), .versioned(.done, 8))]))
    #expect(isViolation(start + [versioned(5, 6, .deleteIf(value: "a"), .versioned(.notDone, 7))]))
    // Both ways are open where it isn't known whether it was met.
    let open = HistoryOperation(
      client: 1, call: .setIfVersion(b("b"), 7), invoked: 3, returned: 4, outcome: .executed)
    #expect(isLinearizable([set(1, 2, "a"), open, get(5, 6, "a")]))
    #expect(isLinearizable([set(1, 2, "a"), open, get(5, 6, "b")]))
  }

  @Test func aSetReturnsWhatWasThereBefore() {
    var state = KeyState.absent
    #expect(state.apply("SET a GET") == .previous(isDone: true, nil))
    #expect(state.apply("SET b NX GET") == .previous(isDone: false, b("a")))
    #expect(state.apply("SET c XX GET") == .previous(isDone: true, b("a")))
    #expect(state == .string(b("c")))
    state = .list([b("x")])
    #expect(state.apply("SET d GET") == .refused(.wrongType))
    #expect(state.apply("SET d") == .done)
  }

  @Test func aClockThatIsSetTakesWhatIsDueAndGivesTimeToTheRest() {
    let moment = "1000"
    let start = [
      op(1, 2, "SET a PXAT \(moment)", .done),
      HistoryOperation(
        client: 1, call: .clock(990), invoked: 3, returned: 3, outcome: .ok(.done)),
    ]
    #expect(isLinearizable(start + [get(4, 5, "a")]))
    #expect(isViolation(start + [get(4, 5, nil)]))
    let forward = HistoryOperation(
      client: 1, call: .clock(1_000), invoked: 6, returned: 6, outcome: .ok(.done))
    #expect(isLinearizable(start + [forward, get(7, 8, nil)]))
    #expect(isViolation(start + [forward, get(7, 8, "a")]))
    // Set back: what is to expire at a moment that had passed is stored again.
    let back = HistoryOperation(
      client: 1, call: .clock(10), invoked: 9, returned: 9, outcome: .ok(.done))
    let again = [op(10, 11, "SET b PXAT 500", .done), get(12, 13, "b")]
    #expect(isLinearizable(start + [forward, back] + again))
    #expect(isViolation(start + [forward] + again))
  }

  @Test func whatMayHaveHappenedByAMomentDoesNotHappenLater() {
    let perhaps = HistoryOperation(
      client: 1, call: "LPOP", invoked: 3, returned: 6, outcome: .perhaps)
    let start = [op(1, 2, "RPUSH a b", .count(2)), perhaps]
    #expect(isLinearizable(start + [op(7, 8, "LLEN", .count(1))]))
    #expect(isLinearizable(start + [op(7, 8, "LLEN", .count(2))]))
    #expect(
      isViolation(start + [op(7, 8, "LLEN", .count(2)), op(9, 10, "LLEN", .count(1))]))
    #expect(isLinearizable(start + [op(5, 8, "LLEN", .count(2)), op(9, 10, "LLEN", .count(1))]))
    // What changes nothing must not be placed before it, where it has to come behind.
    let idle = op(7, 8, "PERSIST", .count(0))
    #expect(isLinearizable(start + [idle, op(9, 10, "LLEN", .count(1))]))
  }

  @Test func appendingTwiceAndALengthThatIsOffAreNoMeaningOfAppend() {
    var state = KeyState.absent
    #expect(state.apply("APPEND ab") == .count(2))
    #expect(state.apply("APPEND c") == .count(3))
    #expect(state == .string(b("abc")))
    #expect(state.apply("STRLEN") == .count(3))
    let history = [op(1, 2, "APPEND ab", .count(2)), op(3, 4, "APPEND c", .count(3))]
    #expect(isLinearizable(history + [get(5, 6, "abc")]))
    #expect(isViolation(history + [get(5, 6, "abcc")]))
    #expect(isViolation(history + [op(5, 6, "STRLEN", .count(4))]))
    #expect(isViolation([op(1, 2, "APPEND ab", .count(3))]))
  }

  @Test func anAppendOfUnknownOutcomeAppendsOnceAtMost() {
    let history = [op(1, 2, "APPEND a", .count(1)), unknown(3, 4, "APPEND b")]
    #expect(isLinearizable(history + [get(5, 6, "a"), get(7, 8, "ab")]))
    #expect(isViolation(history + [get(5, 6, "abb")]))
    #expect(isViolation(history + [get(5, 6, "ba")]))
  }
}

/// A shard without a cluster.
private struct Shard {
  private let core = ShardCore(
    cluster: "c", id: "a", incarnation: 1, version: "0", limits: Limits(), uptimeMillis: { 0 })

  func execute(_ call: KeyCall, _ key: [UInt8]) throws -> KeyReply {
    var (request, response) = (ByteBuffer(), ByteBuffer())
    call.write(key: key, into: &request)
    let method = try #require(call.model.command?.method)
    do throws(CallError) {
      _ = try request.withUnsafeReadableBytes { request throws(CallError) in
        try core.execute(method, request, into: &response, CallContext())
      }
    } catch {
      guard case .ok(let refusal) = Outcome(error) else { throw error }
      return refusal
    }
    return try response.withUnsafeReadableBytes { try KeyReply($0, to: call) }
  }
}
