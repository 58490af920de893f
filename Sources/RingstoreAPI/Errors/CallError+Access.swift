// The errors of callers without valid credentials or permission. None reveals anything about the
// stored data.

extension CallError {
  package static var unauthenticated: CallError {
    CallError(
      .unauthenticated, "The call has no credentials. Send a token, as \(howToSend).")
  }

  package static var unauthenticatedScheme: CallError {
    CallError(.unauthenticated, "The credentials are not a token. Send one, as \(howToSend).")
  }

  package static var unauthenticatedToken: CallError {
    CallError(.unauthenticated, "The token belongs to none of this node's users.")
  }

  package static var unauthenticatedCertificate: CallError {
    CallError(
      .unauthenticated, "The connection's certificate belongs to none of this node's users.")
  }

  package static var unauthenticatedAnymore: CallError {
    CallError(.unauthenticated, "The credentials are no longer valid.")
  }

  /// Of a line connection.
  package static var unauthenticatedLine: CallError {
    CallError(.unauthenticated, "First authenticate with AUTH and a token.")
  }

  private static var howToSend: String { "the metadata `authorization: Bearer TOKEN`" }

  package static func permissionDenied(_ sentence: String) -> CallError {
    CallError(.permissionDenied, sentence)
  }

  package static func rateLimited(_ rate: UInt32, retryDelayMillis: Int) -> CallError {
    CallError(
      .rateLimited, "The user may make at most \(rate) calls a second.",
      retryDelayMillis: retryDelayMillis)
  }

  package static func tooManyConnections(_ max: UInt32) -> CallError {
    CallError(
      .tooManyConnections, "The user already has \(max) connections to this node, the maximum.",
      retryDelayMillis: 1_000)
  }
}
