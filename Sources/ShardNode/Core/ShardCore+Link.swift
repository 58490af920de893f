// What the core does for links and Pipelines: greeting routers, answering calls of a batch.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension ShardCore {
  /// Takes or refuses a router's Hello. Fills in whether it was accepted, or why it was not.
  func greet(
    _ hello: Ringstore_Internal_V1_Hello, _ map: SlotMap
  ) -> Ringstore_Internal_V1_HelloReply {
    var reply = Ringstore_Internal_V1_HelloReply()
    guard hello.protocol == LinkProtocol.version else {
      reply.refusal = "PROTOCOL_VERSION"
      return reply
    }
    do throws(SlotOwnership.Refusal) {
      _ = try ownership.consider(
        cluster: hello.cluster, expectedShard: hello.expectedShard, map: map
      ) { slot in
        (0..<limits.databases).contains { store.keyCount(database: $0, slot: slot) > 0 }
      }
    } catch {
      reply.refusal = error.rawValue
      if error == .staleMap, let ours = ownership.map { reply.map = SlotMapMessage.encode(ours) }
      return reply
    }
    guard generations.introduce(hello.router, hello.generation) else {
      reply.refusal = "STALE_GENERATION"
      return reply
    }
    reply.accepted = true
    return reply
  }

  /// Executes a call of a batch and appends its reply to the batch of replies.
  package func answer(_ call: CallView, into output: inout ByteBuffer, as batch: BatchKind) {
    let reply = output.beginReply(batch, id: call.id)
    do throws(CallError) {
      guard call.requestID.isEmpty else { throw .unservedField("request_id") }
      guard batch.allows(method: Int(call.method)) else {
        throw .unimplemented("method \(call.method) can't travel in a batch")
      }
      try execute(Int(call.method), call.request, into: &output)
      output.endReply(reply)
    } catch {
      output.abandonReply(reply)
      output.writeReply(batch, id: call.id, error: error)
    }
  }
}
