// Looks over the shards' shoulders: which calls were executed, how often and in which order, as
// their replies show. Clients know nothing of it; it sees at once what histories show only with
// luck.
//
// Owns its records. One thread.

import NIOCore
import RingstoreAPI

final class ExecutionProbe {
  private struct CallKey: Hashable {
    let router: Int
    let id: UInt64
  }

  private struct PipelineKey: Hashable {
    let client: Int
    let key: [UInt8]
  }

  private struct LoopAtShard: Hashable {
    let router: Int
    let shard: Int
    let incarnation: Int
  }

  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  private var executions: [CallKey: Int] = [:]
  /// The values of MSets' parts: whose they are, and which were written.
  private var parts: [[UInt8]: (call: SimulatedCall, place: Int)] = [:]
  private var written: Set<[UInt8]> = []
  private struct Link: Hashable {
    let router: Int
    let shard: Int
  }

  private var newestOfLink: [Link: Int] = [:]
  private var newestInPipeline: [PipelineKey: Int] = [:]
  private var newestGeneration: [LoopAtShard: UInt64] = [:]

  init(context: SimulationContext, cluster: SimulatedCluster) {
    self.context = context
    self.cluster = cluster
  }

  // MARK: - What happens

  /// A client makes a call.
  func began(_ call: SimulatedCall) {
    guard case .manyKeys(.mSet) = call.kind else { return }
    for (place, item) in call.items.enumerated() {
      if case .set(let value) = item.call { parts[value] = (call, place) }
    }
  }

  func greeted(_ connection: SimulatedConnection, incarnation: Int) {
    let loop = LoopAtShard(
      router: connection.router, shard: connection.shard, incarnation: incarnation)
    newestGeneration[loop] = max(newestGeneration[loop] ?? 0, connection.generation)
  }

  /// A shard has taken in a frame and has answered.
  func observed(
    _ frame: ByteBuffer, _ output: [ByteBuffer], _ connection: SimulatedConnection, endsStream: Bool
  ) {
    // Slices of fan-outs have their turn after the calls behind them, so replies go by their ids.
    var replies: [UInt64: (response: ByteBuffer, error: CallError?)] = [:]
    for frame in output {
      frame.withUnsafeReadableBytes { bytes in
        var reader = ShardFrameReader(bytes)
        while let part = try? reader.next() {
          guard case .reply(let reply) = part else { continue }
          if reply.statusCode == .cancelled { context.cover(.cancelledInTime) }
          replies[reply.id] = (ByteBuffer(bytes: reply.response), reply.error)
        }
      }
    }
    var place = 0
    frame.withUnsafeReadableBytes { bytes in
      var reader = RouterFrameReader(bytes)
      while let part = try? reader.next() {
        guard case .call(let call) = part else { continue }
        guard let reply = replies[call.id] else { continue }
        note(call, reply.response, reply.error, connection)
        place += 1
      }
    }
    if !endsStream, place != replies.count {
      context.found(.wrongOutcome, "a shard answered other calls than it got")
    }
  }

  private func note(
    _ call: CallView, _ response: ByteBuffer, _ error: CallError?, _ connection: SimulatedConnection
  ) {
    let known = cluster.routers[connection.router].callsByID[call.id]
    var reply: KeyReply?
    if let error {
      // An error that tells of the key's state tells of an execution too.
      guard case .ok(let refusal) = CallCodec.outcome(of: error) else { return }
      reply = refusal
    } else if let known {
      reply = response.withUnsafeReadableBytes { try? CallCodec.reply(to: known.items[0].call, $0) }
    }
    let isFirst = executed(call, connection)
    guard let known else { return }
    checkOrder(known, connection)
    if isFirst, let reply { cluster.executed(known, item: 0, reply) }
  }

  /// Returns whether it was the first time.
  private func executed(_ call: CallView, _ connection: SimulatedConnection) -> Bool {
    context.note(
      .executed, connection.router, connection.shard, connection.generation, call.id)
    let name = CallKey(router: connection.router, id: call.id)
    executions[name, default: 0] += 1
    if executions[name] == 2 {
      context.found(
        .executedTwice, "call \(call.id) of router \(connection.router) was executed twice")
    }
    let loop = LoopAtShard(
      router: connection.router, shard: connection.shard,
      incarnation: cluster.shards[connection.shard].incarnations)
    if connection.generation < newestGeneration[loop] ?? 0 {
      context.found(
        .fencePassed,
        "call \(call.id) of router \(connection.router) came over an older connection")
    }
    notePart(call)
    return executions[name] == 1
  }

  /// Parts of an MSet are known by what they write; their ids are the router's own business.
  private func notePart(_ call: CallView) {
    guard CommandID(rawValue: Int(call.method)) == .set, let view = try? KeyValueView(call.request),
      let (owner, place) = parts[Array(view.value)], written.insert(Array(view.value)).inserted
    else { return }
    cluster.executed(owner, item: place, .done)
  }

  private func checkOrder(_ call: SimulatedCall, _ connection: SimulatedConnection) {
    // The rule of the cores, from which promise 4 follows.
    let link = Link(router: connection.router, shard: connection.shard)
    if let newest = newestOfLink[link], newest > call.order {
      context.found(.orderOfLink, "a call submitted later was executed before \(call.text)")
    }
    newestOfLink[link] = max(newestOfLink[link] ?? 0, call.order)
    guard call.client.isPipeline else { return }
    let name = PipelineKey(client: call.client.number, key: call.items[0].key)
    if let newest = newestInPipeline[name], newest > call.sequence {
      context.found(.outOfOrder, "a call sent later was executed before \(call.text)")
    }
    newestInPipeline[name] = max(newestInPipeline[name] ?? 0, call.sequence)
  }

  // MARK: - What clients were told

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
    case .ok:
      if times == 0 {
        context.found(.wrongOutcome, "answered and never executed: \(call.text)")
      }
    case .notExecuted:
      if times ?? 0 > 0 {
        context.found(.wrongOutcome, "executed, and called not executed: \(call.text)")
      }
    case .unknown:
      context.cover(times ?? 0 > 0 ? .executedUnknown : .unexecutedUnknown)
    case .pending: break
    }
  }

  /// Nil where it can't be told: for reads and deletes among the parts of other calls.
  func timesExecuted(_ item: SimulatedCall.Item, of call: SimulatedCall) -> Int? {
    if case .oneKey = call.kind {
      guard let id = call.id else { return 0 }
      return executions[CallKey(router: call.client.router.number, id: id)] ?? 0
    }
    if case .set(let value) = item.call { return written.contains(value) ? 1 : 0 }
    return nil
  }
}
