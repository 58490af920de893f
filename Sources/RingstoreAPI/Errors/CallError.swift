// A call's failure, the same type from the store's edge to the client. Value type; any thread.
//
// It travels in three forms: gRPC status with details in trailers, fields of a batched Reply, and
// message Error of one item in a reply that is otherwise OK. All three are made from this type.

import StatusCodes

package struct CallError: Error, Sendable, Hashable {
  package var code: StatusCode
  /// nil if the code is enough (DEADLINE_EXCEEDED, an undecodable message), or if a newer peer sent
  /// a reason that this version does not have.
  package var reason: ErrorReason?
  /// One sentence for a person: what is wrong and what to do about it.
  package var message: String
  /// The shard concerned: the one that failed, or the owner to which the call should be sent
  /// instead.
  package var shard: String?
  /// How long the caller should wait before it tries again, in milliseconds.
  package var retryDelayMillis: Int?
  /// The call may have been executed: libraries must not repeat it. Sent as
  /// `grpc-retry-pushback-ms: -1`.
  package var doNotRetry: Bool

  package init(
    code: StatusCode, reason: ErrorReason? = nil, message: String, shard: String? = nil,
    retryDelayMillis: Int? = nil, doNotRetry: Bool = false
  ) {
    self.code = code
    self.reason = reason
    self.message = message
    self.shard = shard
    self.retryDelayMillis = retryDelayMillis
    self.doNotRetry = doNotRetry
  }

  /// An error whose code follows from its reason.
  package init(
    _ reason: ErrorReason, _ message: String, shard: String? = nil, retryDelayMillis: Int? = nil
  ) {
    self.init(
      code: reason.code, reason: reason, message: message, shard: shard,
      retryDelayMillis: retryDelayMillis, doNotRetry: reason == .outcomeUnknown)
  }

  /// The error that a batched reply or a gRPC status carries.
  ///
  /// Details that can't be decoded are left out: the code and the message are still valid.
  package init(code: StatusCode, message: String, details: UnsafeRawBufferPointer) {
    self.init(code: code, message: message)
    guard let decoded = try? ErrorDetails(status: details) else { return }
    reason = decoded.reason.flatMap(ErrorReason.init(rawValue:))
    shard = decoded.shard
    retryDelayMillis = decoded.retryDelayMillis
    doNotRetry = reason == .outcomeUnknown
  }

  package init(code: StatusCode, message: String, details: [UInt8]) {
    self = details.withUnsafeBytes { CallError(code: code, message: message, details: $0) }
  }

  /// The error encoded as google.rpc.Status, or empty if code and message are enough.
  package func details() -> [UInt8] {
    guard reason != nil || shard != nil || retryDelayMillis != nil else { return [] }
    return ErrorDetails(
      reason: reason?.rawValue, shard: shard, retryDelayMillis: retryDelayMillis
    ).encoded(code: code, message: message)
  }
}
