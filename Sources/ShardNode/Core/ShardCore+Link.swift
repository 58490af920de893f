// What the core does for links and Pipelines: greeting routers, answering calls of a batch.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension ShardCore {
  /// Takes or refuses a router's Hello. Fills in whether it was accepted, or why it was
  /// not; says as well whether the map is new to the shard.
  func greet(
    _ hello: Ringstore_Internal_V1_Hello, _ map: SlotMap
  ) -> (reply: Ringstore_Internal_V1_HelloReply, isNewMap: Bool) {
    var isNewMap = false
    var reply = Ringstore_Internal_V1_HelloReply()
    do throws(LinkRefusal) {
      guard hello.protocol == LinkProtocol.version else { throw .protocolVersion }
      isNewMap = try ownership.consider(
        cluster: hello.cluster, expectedShard: hello.expectedShard, map: map
      ) { slot in
        (0..<Int(limits.databases)).contains { store.keyCount(database: $0, slot: slot) > 0 }
      }
      guard generations.introduce(hello.router, hello.generation) else { throw .staleGeneration }
      reply.accepted = true
    } catch {
      reply.refusal = error.rawValue
      if error == .staleMap, let ours = ownership.map { reply.map = SlotMapMessage.encode(ours) }
    }
    return (reply, isNewMap)
  }

  /// Executes a call of a batch and appends its reply to the batch of replies.
  package func answer(_ call: CallView, into output: inout ByteBuffer, as batch: ReplyField) {
    let reply = output.beginReply(batch, id: call.id)
    do throws(CallError) {
      if let field = call.unservedField { throw .unservedField(field) }
      // A router's frames are our own; a client's call may carry a condition we don't know.
      if call.hasUnknownField, batch == .pipeline { throw .unknownField }
      guard batch == .link || CommandTable.shape(ofMethod: call.method) != .other else {
        throw .unbatchable(method: call.method)
      }
      try execute(call.method, call.request, into: &output)
      output.endReply(reply)
    } catch {
      output.abandonReply(reply)
      output.writeReply(batch, id: call.id, error: error)
    }
  }
}
