// Who waits for the answer of a call that a router's loop has under way.

import GRPC

enum RouterCaller {
  /// A client's unary call.
  case unary(ServerCall)
  /// A call of a client's Pipeline, by the id that the client gave it.
  case pipelined(RouterPipeline, id: UInt64)
}
