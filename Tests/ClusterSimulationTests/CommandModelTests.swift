// The meaning of commands, beside the command table and beside a shard.

import ClusterSimulation
import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import ShardNode
import Testing

@Suite struct CommandModelTests {
  @Test func `every command on one key is modelled, or is named with the reason why not`() {
    for command in CommandTable.all where command.routing == .oneKey {
      let isModelled = CommandModel.of(command) != nil
      let reason = CommandModel.notModelled[command.id]
      #expect(isModelled != (reason != nil), "\(command.name): model, or a reason for none?")
    }
  }

  /// Random calls, one after another, on a shard and on plain keys.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `a shard does what the model says`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let generator = CallGenerator(keyCount: 7, random: &random)
    let shard = Shard()
    var states: [[UInt8]: ObjectState] = [:]
    var asked: Set<CommandID> = []
    var refused = 0
    for step in 0..<5_000 {
      let caller = CallGenerator.Caller(client: step % 7, sequence: step)
      let (key, made) = generator.oneKey(by: caller, random: &random)
      let (object, call) = (generator.object(of: key), generator.placed(made, on: key))
      let before = states[object] ?? ObjectState(count: generator.keys.count)
      var after = before
      let expected = after.apply(call)
      states[object] = after
      #expect(try shard.execute(call, key) == expected, "step \(step): \(call) on \(before)")
      if call.isRead { #expect(after == before, "\(call) reads") }
      if case .refused = expected {
        refused += 1
        #expect(after == before, "\(call) was refused")
      }
      if let command = call.model.command { asked.insert(command.id) }
    }
    #expect(refused > 100)
    let all = CommandModel.all.compactMap { $0.command?.id }
    #expect(asked == Set(all), "clients never ask for some commands")
  }

  @Test func `appending twice, and a length that is off, are no meaning of Append`() {
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

  @Test func `an Append of unknown outcome appends once at most`() {
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
