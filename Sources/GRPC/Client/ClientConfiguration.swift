// The limits and habits of one client connection. A plain value, any thread.

import HTTP2
import NIOCore

/// How a client connection behaves.
package struct ClientConfiguration: Sendable {
  /// Longest message that is accepted; longer ones end their call with RESOURCE_EXHAUSTED.
  package var maxMessageBytes = 4 << 20
  /// Window of one stream: what a peer may send before we took it.
  package var streamWindowBytes: Int32 = 8 << 20
  /// Window of the whole connection. Calls that pause hold on to their share of it.
  package var connectionWindowBytes: Int32 = 16 << 20
  /// Most bytes of one header block from the peer.
  package var maxHeaderListBytes = 16 << 10
  /// Longest time for name resolution, TCP and the peer's first SETTINGS together.
  package var connectTimeout = TimeAmount.seconds(3)
  /// Silence after which a PING asks whether the peer lives, while calls are open; nil: never.
  /// Stock gRPC servers punish less than five minutes; our links are permitted every second.
  package var pingInterval: TimeAmount?
  /// How long the answer to that PING may take before the connection counts as dead.
  package var pingTimeout = TimeAmount.seconds(1)
  /// A call whose unsent bytes reach this is not writable ...
  package var outboundHighWaterBytes = 1 << 20
  /// ... until they are down to this.
  package var outboundLowWaterBytes = 256 << 10
  /// Open streams, if the peer allows that many.
  package var maxOpenCalls = 1 << 20
  /// Calls that may wait for a stream; more are refused with RESOURCE_EXHAUSTED.
  package var maxQueuedCalls = 1024
  /// The `:authority`; nil: host and port.
  package var authority: String?
  /// The `user-agent`.
  package var userAgent = "grpc-swift-ringstore/0.1.0"

  package init() {}

  /// What the links between router and shard use: a dead peer is noticed in about two seconds.
  package static var link: ClientConfiguration {
    var configuration = ClientConfiguration()
    configuration.pingInterval = .seconds(1)
    configuration.pingTimeout = .seconds(1)
    return configuration
  }

  var http2: HTTP2Configuration {
    var configuration = HTTP2Configuration()
    configuration.streamWindowBytes = streamWindowBytes
    configuration.connectionWindowBytes = connectionWindowBytes
    configuration.maxHeaderListBytes = maxHeaderListBytes
    return configuration
  }
}
