// The limits and habits of a ClientChannel. A plain value, any thread.

import NIOCore

/// How a client channel connects, waits and retries.
package struct ClientChannelConfiguration: Sendable {
  /// Its connection. Windows are smaller than on links: a stream without a reader holds a whole
  /// window in memory, and there may be many.
  package var connection: ClientConfiguration = {
    var configuration = ClientConfiguration()
    configuration.streamWindowBytes = 1 << 20
    return configuration
  }()
  /// The pauses between connect attempts.
  package var backoff = Backoff()
  /// Most times one call is sent, the first included.
  package var maxAttempts = 4
  /// Calls that may wait for a connection; more are refused with RESOURCE_EXHAUSTED.
  package var maxWaitingCalls = 4096
  /// Received and not yet read bytes of one stream at which it pauses ...
  package var inboundHighWaterBytes = 1 << 20
  /// ... and at which it continues.
  package var inboundLowWaterBytes = 256 << 10

  package init() {}
}
