// What the core does for links and Pipelines: greeting routers, answering calls of a batch.

import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension ShardCore {
  /// Takes or refuses a router's Hello. Fills in whether it was accepted, or why it was
  /// not; says as well whether the map is new to the shard.
  func greet(
    _ hello: Ringstore_Internal_V1_Hello, _ map: SlotMap, lane: LinkLane
  ) -> (reply: Ringstore_Internal_V1_HelloReply, isNewMap: Bool) {
    var isNewMap = false
    var reply = Ringstore_Internal_V1_HelloReply()
    do throws(LinkRefusal) {
      guard hello.protocol == LinkProtocol.version else { throw .protocolVersion }
      // First whether it is meant at all: who is not may have another seed by right.
      try ownership.checkMeant(cluster: hello.cluster, expectedShard: hello.expectedShard)
      guard hasSeed(hello) else { throw .wrongHashSeed }
      isNewMap = try ownership.consider(
        cluster: hello.cluster, expectedShard: hello.expectedShard, map: map,
        isFree: { peers.isEmpty && store.totalKeyCount == 0 }
      ) { slot in
        (0..<Int(limits.databases)).contains { store.keyCount(database: $0, slot: slot) > 0 }
      }
      guard peers.admits(lane, router: hello.router, generation: hello.generation),
        generations.introduce(hello.router, hello.generation)
      else { throw .staleGeneration }
      reply.accepted = true
    } catch {
      reply.refusal = error.rawValue
      if error == .staleMap, let ours = ownership.map { reply.map = SlotMapMessage.encode(ours) }
    }
    return (reply, isNewMap)
  }

  private func hasSeed(_ hello: Ringstore_Internal_V1_Hello) -> Bool {
    let expected = limits.hashSeed.check(
      cluster: hello.cluster, router: hello.router, generation: hello.generation,
      shard: hello.expectedShard)
    return hello.hashSeedCheck.elementsEqual(expected)
  }

  /// Executes a call of a batch and appends its reply to the batch of replies.
  ///
  /// - Parameters:
  ///   - block: what the call lies in, where it may be kept.
  ///   - bytesMin: a longer response is not appended.
  /// - Returns: a reply that comes later; nil where the reply was appended. What either has to wait for
  ///   is in `latestMark`.
  package func answer(
    _ call: CallView, in block: LargeBlock? = nil, into output: inout ByteBuffer,
    as batch: ReplyField,
    largerThan bytesMin: Int = .max, _ context: CallContext
  ) -> (any LaterReply)? {
    latestMark = .none
    let reply = output.beginReply(batch, id: call.id)
    do throws(CallError) {
      if let field = call.unservedField { throw .unservedField(field) }
      // A router's frames are our own; a client's call may carry a condition we don't know.
      if call.hasUnknownField, batch == .pipeline { throw .unknownField }
      guard batch == .link || CommandTable.shape(ofMethod: call.method) != .other else {
        throw .unbatchable(method: call.method)
      }
      if let later = try execute(
        call.method, call.request, in: block, into: &output, largerThan: bytesMin, context)
      {
        output.abandonReply(reply)
        return later
      }
      output.endReply(reply)
    } catch {
      counters.failed()
      output.abandonReply(reply)
      output.writeReply(batch, id: call.id, error: error)
    }
    return nil
  }

  /// Executes a slice that a router has asked for, and appends the reply.
  func answer(
    _ method: UInt32, id: UInt64, _ request: UnsafeRawBufferPointer,
    into frame: inout ByteBuffer, _ context: CallContext
  ) {
    let reply = frame.beginReply(.link, id: id)
    do throws(CallError) {
      try execute(method, request, into: &frame, context)
      frame.endReply(reply)
    } catch {
      counters.failed()
      frame.abandonReply(reply)
      frame.writeReply(.link, id: id, error: error)
    }
  }
}
