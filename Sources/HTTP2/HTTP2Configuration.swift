// The limits and windows of one HTTP/2 connection. A plain value; any thread.

/// What a session sends to its peer in SETTINGS, and the limits that it enforces itself.
package struct HTTP2Configuration: Sendable {
  /// Streams the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS). Servers only.
  package var maxConcurrentStreams: UInt32 = 1024
  /// Bytes a peer may send on one stream before we consumed them.
  package var streamWindowBytes: Int32 = 1 << 20
  /// Bytes a peer may send on the whole connection before we consumed them.
  package var connectionWindowBytes: Int32 = 16 << 20
  /// Bytes that parked streams may hold beyond the connection's window; see `HTTP2Session.park`.
  package var maxParkedBytes = 64 << 20
  /// Capacity up to which a stream keeps its outbound buffer while it is empty. Long streams send
  /// in bursts; without this limit each would keep the memory of its largest burst.
  package var retainedOutboundBytes = 128 << 10
  /// Size of one received header block: names + values + 32 for each field. Trailers likewise.
  package var maxHeaderListBytes = 16 << 10
  /// Number of fields in one received header block.
  package var maxHeaderFields = 100
  /// Acknowledgements (PING, SETTINGS) that may wait to be sent. More is a flood: the session ends.
  package var maxOutboundAcknowledgements = 100
  /// Back-stop of the library against rapid resets: a burst, then this many a second. It counts
  /// every RST_STREAM, including those of calls with part of their reply, so it is generous; owners
  /// that serve unknown clients also compare `HTTP2Counters.resetsBeforeResponse` with their own
  /// limit.
  package var resetBurst: UInt64 = 20_000
  package var resetsPerSecond: UInt64 = 1_000
  /// CONTINUATION frames accepted for one header block.
  package var maxContinuations = 8

  package init() {}

  /// Capacity up to which a pooled stream keeps a body buffer. Larger ones are freed, so that one
  /// burst of large messages doesn't hold memory until the connection ends.
  static let retainedBufferBytes = 16 << 10
  /// Header lists of more than this are counted in `HTTP2Session.largeHeaderBytes`.
  static let smallHeaderBytes = 1 << 10
  /// As above, for the bytes of a header block.
  static let retainedHeaderBytes = 2 << 10
}
