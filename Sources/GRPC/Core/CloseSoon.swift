// Closing a channel from its own handlers.

import NIOCore

extension ChannelHandlerContext {
  /// Closes the channel when the current event has been dealt with.
  ///
  /// SwiftNIO closes a channel itself after it has reported the end of the input
  /// (`channelReadComplete`) or a read error (`errorCaught`). It doesn't expect that a handler
  /// closed the channel in between (2.101 asserts), so no handler closes its channel at once.
  package func closeSoon() {
    let channel = channel
    eventLoop.execute { channel.close(promise: nil) }
  }
}
