// Which field of the enclosing message a call or a reply is written to. The messages inside have
// the same numbers on both sides of a router, so one set of writers serves Pipeline and link.

package enum CallField: Sendable {
  /// `calls` of CallBatch.
  case pipeline
  /// `calls` of RouterFrame.
  case link

  var number: Int { self == .pipeline ? 1 : 2 }
}

package enum ReplyField: Sendable {
  /// `replies` of ReplyBatch.
  case pipeline
  /// `replies` of ShardFrame.
  case link

  var number: Int { self == .pipeline ? 1 : 2 }
}
