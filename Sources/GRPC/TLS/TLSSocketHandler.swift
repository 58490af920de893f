// Between TLS and the socket, for a connection's whole life: writes ciphertext straight to the
// socket, returns the buffers of reads, and closes no channel from within an event. Until the
// handshake of an accepted connection is over, input goes to its ServerHandshake first. Connections
// without TLS have no such handler.
//
// Thread: the channel's event loop.

import NIOCore

final class TLSSocketHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  let writer = SocketWriter()
  /// Where the buffers of reads are from; nil: they are the channel's.
  private let receiveBuffer: SharedReceiveBuffer?
  /// The handshake of a connection that was accepted; nil once it is over, and for clients.
  private var handshake: ServerHandshake?
  private var isReadHeldBack = false
  /// The client sends no more; TLS gets that event once its handshake has had its turn.
  private var isEndHeldBack = false

  init(receiveBuffer: SharedReceiveBuffer? = nil, handshake: ServerHandshake? = nil) {
    self.receiveBuffer = receiveBuffer
    self.handshake = handshake
  }

  func handlerAdded(context: ChannelHandlerContext) {
    handshake?.began(context)
    if context.channel.isActive { writer.open(context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    writer.open(context)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    writer.close()
    handshakeIsOver()?.connectionGone()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    writer.close()
    handshakeIsOver()?.connectionGone()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    writer.close()
    guard let handshake = handshakeIsOver() else { return context.fireErrorCaught(error) }
    handshake.connectionGone()
    close(context: context, mode: .all, promise: nil)
  }

  // MARK: - Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    if let handshake {
      handshake.received(buffer)
    } else {
      context.fireChannelRead(data)
    }
    // TLS has copied what it could not decrypt yet.
    receiveBuffer?.recycle(buffer)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if handshake == nil { context.fireChannelReadComplete() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent, let handshake {
      // Its last bytes may be the end of the handshake and all its requests.
      if handshake.hasBegun, handshake.isWaiting {
        isEndHeldBack = true
        return
      }
      handshakeIsOver()
      handshake.connectionGone()
      return close(context: context, mode: .all, promise: nil)
    }
    context.fireUserInboundEventTriggered(event)
  }

  func read(context: ChannelHandlerContext) {
    if handshake?.isWaiting == true { isReadHeldBack = true } else { context.read() }
  }

  /// Gives TLS the received part of the handshake.
  func deliver(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
    context.fireChannelRead(wrapInboundOut(bytes))
    context.fireChannelReadComplete()
    if isEndHeldBack {
      isEndHeldBack = false
      context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }
    guard isReadHeldBack else { return }
    isReadHeldBack = false
    context.read()
  }

  /// Bytes go directly to TLS from here on. Returns the handshake, if it hadn't ended.
  @discardableResult
  func handshakeIsOver() -> ServerHandshake? {
    defer { handshake = nil }
    return handshake
  }

  // MARK: - Writing

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    var bytes = unwrapOutboundIn(data)
    writer.write(&bytes, context, taken: promise)
  }

  /// The writer flushes what the socket didn't accept, and not from within an event.
  func flush(context: ChannelHandlerContext) {}

  /// TLS closes as soon as it finds something wrong, which may be in the middle of a read; see
  /// `closeSoon`.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .all else { return context.close(mode: mode, promise: promise) }
    writer.close()
    context.eventLoop.assumeIsolated().execute { context.close(promise: promise) }
  }
}
