// The channel handler of a client connection: it only forwards. It is directly above the socket,
// which the connection writes to (SocketWriter). On the channel's event loop.

import NIOCore

/// Joins a `ClientConnection` to its channel.
package final class ClientConnectionHandler: ChannelInboundHandler {
  package typealias InboundIn = ByteBuffer
  package typealias OutboundOut = ByteBuffer

  private let connection: ClientConnection
  private var error: (any Error)?

  init(_ connection: ClientConnection) { self.connection = connection }

  package func handlerAdded(context: ChannelHandlerContext) {
    connection.context = context
    connection.isWritable = context.channel.isWritable
    guard context.channel.isActive else { return }
    connection.writer.open(context)
    connection.markDirty()
  }

  package func handlerRemoved(context: ChannelHandlerContext) {
    connection.writer.close()
    connection.connectionLost(error: error)
    connection.context = nil
  }

  package func channelActive(context: ChannelHandlerContext) {
    connection.writer.open(context)
    connection.isWritable = context.channel.isWritable
    connection.markDirty()
    context.fireChannelActive()
  }

  package func channelInactive(context: ChannelHandlerContext) {
    connection.writer.close()
    connection.connectionLost(error: error)
    context.fireChannelInactive()
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    connection.flusher.scheduler.beginTick()
    buffer.withUnsafeReadableBytes { connection.received($0) }
  }

  package func channelWritabilityChanged(context: ChannelHandlerContext) {
    connection.isWritable = context.channel.isWritable
    if connection.isWritable { connection.markDirty() }
    context.fireChannelWritabilityChanged()
  }

  package func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    self.error = self.error ?? error
    connection.writer.close()
    context.closeSoon()
  }
}

extension ClientConnection {
  /// The handler that joins this connection to a channel on its loop. Use it once.
  package func makeHandler() -> ClientConnectionHandler { ClientConnectionHandler(self) }
}
