// The limits and habits of one client connection. A plain value, any thread.

import HTTP2
import NIOCore

/// How a client connection behaves.
package struct ClientConfiguration: Sendable {
  /// The longest accepted message; longer ones end their call with RESOURCE_EXHAUSTED.
  package var maxMessageBytes = 4 << 20
  /// Window of one stream: the bytes that a peer may send before we have read them.
  package var streamWindowBytes: Int32 = 8 << 20
  /// Window of the whole connection.
  package var connectionWindowBytes: Int32 = 16 << 20
  /// Further bytes that paused calls may hold; past it they use their share of the window.
  package var maxParkedBytes = 64 << 20
  /// Most bytes of one header block from the peer.
  package var maxHeaderListBytes = 16 << 10
  /// Longest time for name resolution, TCP and the peer's first SETTINGS together.
  package var connectTimeout = TimeAmount.seconds(3)
  /// Silence after which a PING checks the peer, while calls are open; nil: never. Stock gRPC
  /// servers refuse less than five minutes; our links may use every second.
  package var pingInterval: TimeAmount?
  /// How long the reply to that PING may take before the connection counts as lost.
  package var pingTimeout = TimeAmount.seconds(1)
  /// A call whose unsent bytes reach this is not writable ...
  package var outboundHighWaterBytes = 1 << 20
  /// ... until they are down to this.
  package var outboundLowWaterBytes = 256 << 10
  /// Open streams, if the peer allows that many.
  package var maxOpenCalls = 1 << 20
  /// Calls that may wait for a stream; more are refused with RESOURCE_EXHAUSTED.
  package var maxQueuedCalls = 1024
  /// Whether a connection is reset when it is closed here, so that sent and unread data is dropped
  /// on both sides. With an ordinary close the system still delivers it.
  package var resetsWhenClosed = false
  /// Whether compressed messages are accepted, and announced to the peer.
  package var acceptsGzip = true
  /// How the connection is encrypted; nil: not at all.
  package var tls: ClientTLS?
  /// The `:authority`; nil: host and port.
  package var authority: String?
  /// A token that each call sends as its `authorization`; nil: none.
  package var token: String?
  /// The `user-agent`.
  package var userAgent = "grpc-swift-ringstore/0.1.0"

  package init() {}

  /// Capacity up to which a stream keeps its outbound buffer while nothing waits in it: links send
  /// in bursts, and there are few of them.
  static let retainedOutboundBytes = 1 << 20
  /// As above, for what was received.
  static let retainedInboundBytes = 256 << 10
  /// Bytes of an unfinished message that must have arrived before memory for all of it is reserved:
  /// a few bytes from the peer can't reserve memory.
  static let reserveFromBytes = 256 << 10

  /// What the links between router and shard use.
  ///
  /// - Parameter silenceNanosMax: how long the peer may be silent while calls wait, half of it
  ///   before a PING.
  package static func link(silenceNanosMax: UInt64) -> ClientConfiguration {
    var configuration = ClientConfiguration()
    configuration.pingInterval = .nanoseconds(Int64(silenceNanosMax / 2))
    configuration.pingTimeout = .nanoseconds(Int64(silenceNanosMax / 2))
    configuration.resetsWhenClosed = true
    configuration.acceptsGzip = false
    return configuration
  }

  var http2: HTTP2Configuration {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = streamWindowBytes
    configuration.connectionWindowBytes = connectionWindowBytes
    configuration.maxHeaderListBytes = maxHeaderListBytes
    configuration.maxParkedBytes = maxParkedBytes
    configuration.retainedOutboundBytes = Self.retainedOutboundBytes
    return configuration
  }
}
