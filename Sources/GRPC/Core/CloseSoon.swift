// Closing a channel from its own handlers.

import NIOCore

extension ChannelHandlerContext {
  /// Closes the channel when the current event has been dealt with.
  ///
  /// SwiftNIO tells of the end of the input by `channelReadComplete` first and closes the input then; a
  /// channel that its handler has closed in between is one that it doesn't expect (2.101 asserts).
  package func closeSoon() {
    let channel = channel
    eventLoop.execute { channel.close(promise: nil) }
  }
}
