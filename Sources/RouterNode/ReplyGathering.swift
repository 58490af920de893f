// When the replies that a Pipeline has gathered are sent. Pure; one for each Pipeline.
//
// The calls of one message go to several shards, and their replies come in as many events. Sent as
// they come, they would cost the router and the client a write and a read each, which is most of
// what a small call costs. So replies go out about as many at a time as calls came in: a client
// whose messages have one call gets each reply at once, and one that sends sixteen gets them
// together, a slow shard's excepted.

struct ReplyGathering {
  /// How long a reply may wait for others, in nanoseconds.
  static let waitNanosMax: UInt64 = 500_000
  /// Bytes that are worth a message of their own, however many replies they are.
  static let bytesMax = 16 << 10

  /// Calls of the client's latest message.
  private var messageCalls = 0
  /// Replies gathered.
  private var count = 0

  /// A message with so many calls has come.
  mutating func received(calls: Int) {
    messageCalls = calls
  }

  mutating func gathered() {
    count += 1
  }

  mutating func sent() {
    count = 0
  }

  /// Whether to wait for more replies.
  ///
  /// - Parameters:
  ///   - byteCount: of the replies gathered.
  ///   - callsUnderWay: calls from which replies can come at all.
  func shouldWait(byteCount: Int, callsUnderWay: Int) -> Bool {
    count < min(messageCalls, count + callsUnderWay) && byteCount < Self.bytesMax
  }
}
