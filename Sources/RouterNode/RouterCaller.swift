// Who waits for the answer of a call that a router's loop has under way.

import GRPC
import NodeCore

enum RouterCaller {
  /// A client's unary call.
  case unary(ServerCall)
  /// A client's call whose answer is a stream.
  case stream(ServerCall)
  /// A call of a client's Pipeline, by the id that the client gave it.
  case pipelined(RouterPipeline, id: UInt64)
  /// A call made on the loop from within.
  case local(PortCall)

  func isPipelined(by pipeline: RouterPipeline) -> Bool {
    if case .pipelined(let own, _) = self { return own === pipeline }
    return false
  }
}

/// What the context of a streaming call is once its one request has come.
final class StartedStream: Sendable {
  static let shared = StartedStream()
}

/// What the context of a Stats call is while the counters of other loops are being fetched.
final class PendingStats {
  var isCancelled = false
}
