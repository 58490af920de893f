// Calls from within a node whose requests and replies are encoded, as tests write and read them.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension LocalDispatcher {
  /// Makes a call the way its command takes: in the types of its messages, or made of parts.
  @discardableResult
  package func call(
    _ command: Command, encoded request: [UInt8], _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping (Result<ByteBuffer, CallError>) -> Void
  ) -> LocalCall? {
    let told: LocalReply = { outcome in
      reply(
        outcome.map { message in
          var response = ByteBuffer()
          message.write(into: &response)
          return response
        })
    }
    return request.withUnsafeBytes { bytes in
      if let made = try? command.call(encoded: bytes) {
        return call(made, context, for: caller, reply: told)
      }
      return call(
        command, request: ByteBuffer(bytes: bytes), context, for: caller, reply: told)
    }
  }
}
