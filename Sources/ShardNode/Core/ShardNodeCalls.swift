// Calls about the shard itself, made through a router. The core has no connections and logs, so
// they are passed to the node around it. The core's event loop.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Users

/// Executes a call; calls back once, at once or later, on the core's event loop.
///
/// - Parameter rules: which keys the caller may access; nil: all.
package typealias NodeCallHandler = (
  _ command: CommandID, _ request: UnsafeRawBufferPointer, _ rules: KeyRules?,
  _ end: @escaping (Result<ByteBuffer, CallError>) -> Void
) -> Void

extension ShardCore {
  func replyToNodePart(_ part: ByteBuffer, _ context: CallContext, to reply: ReplyHandle) {
    part.withUnsafeReadableBytes { message in
      guard let request = try? LinkV1.NodePartRequest(message),
        let command = CommandID(rawValue: Int(request.method)), let nodeCalls
      else {
        return reply.fail(.unbatchable(method: InternalMethod.nodePart.rawValue))
      }
      let wait = NodeCallWait(reply)
      reply.worked(by: wait)
      nodeCalls(command, request.request, context.rules) { wait.end($0) }
    }
  }
}

/// Owned by the handle of its reply.
private final class NodeCallWait: ReplyWork {
  private weak var reply: ReplyHandle?

  init(_ reply: ReplyHandle) { self.reply = reply }

  func end(_ result: Result<ByteBuffer, CallError>) {
    let reply = self.reply
    drop()
    switch result {
    case .success(let response):
      var message = ByteBuffer()
      response.withUnsafeReadableBytes {
        LinkV1.NodePartReply(response: $0).write(into: &message)
      }
      reply?.respond(message, after: .none)
    case .failure(let error): reply?.fail(error)
    }
  }

  func wake() {}

  func drop() { reply = nil }
}
