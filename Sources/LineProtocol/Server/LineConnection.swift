// One client's connection: reads for its session, writes what that has to say, and closes. The
// session decides; this handler has the socket. One event loop.
//
// Back-pressure is on reading: while the session takes no bytes, none are read, and the client's
// own socket fills up. (When the client ends its side, the system's buffer is read in any case.)

import GRPC
import Logging
import NIOCore
import RingstoreAPI

final class LineConnection: ChannelDuplexHandler, Flushable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private enum Ending {
    case open
    /// Our side is closed; what the client still sends is thrown away for a while.
    case lingering
    case closed
  }

  private let loop: LineLoop
  private var context: ChannelHandlerContext?
  private var session: LineSession?
  private var ending = Ending.open
  private var isReadHeldBack = false
  private var heldBytes = 0
  private var inputClosed = false
  var isMarkedDirty = false
  /// Bytes handed to the channel, and how many of them it had sent when progress was last seen.
  private var bytesWritten = 0
  private var bytesSentSeen = 0
  private var progressNanos: UInt64 = 0

  init(loop: LineLoop) {
    self.loop = loop
  }

  // MARK: - Life

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    let session = LineSession(
      port: loop.node.port, limits: loop.limits,
      clock: { NIODeadline.now().uptimeNanoseconds },
      onWork: { [weak self] in self?.hasWork() })
    self.session = session
    if !loop.add(self) {
      loop.logger.warning(
        "too many line connections", metadata: ["max": "\(loop.configuration.maxConnections)"])
      session.refuse(
        .overloaded("The node has \(loop.configuration.maxConnections) connections already."))
    }
    // It may have been accepted just before the drain began.
    if loop.isDraining { session.drain() }
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    end()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A connection reset by its client is not worth a line.
    loop.logger.debug("line connection failed", metadata: ["error": "\(error)"])
    context.close(promise: nil)
  }

  private func end() {
    guard session != nil else { return }
    ending = .closed
    loop.heldBytes -= heldBytes
    heldBytes = 0
    session?.disconnected()
    session = nil
    context = nil
    loop.remove(self)
  }

  func drain() -> EventLoopFuture<Void> {
    session?.drain()
    return context?.channel.closeFuture ?? loop.eventLoop.makeSucceededVoidFuture()
  }

  func closeNow() {
    context?.close(promise: nil)
  }

  // MARK: - Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    if ending == .open, let session {
      session.received(buffer)
      noteHeldBytes()
    }
    loop.receiveBuffer.giveBack(buffer)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent {
      inputClosed = true
      if ending == .lingering { context.close(promise: nil) } else { session?.inputClosed() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func read(context: ChannelHandlerContext) {
    if session?.wantsBytes == false {
      isReadHeldBack = true
    } else {
      context.read()
    }
  }

  private func noteHeldBytes() {
    guard let session else { return }
    loop.heldBytes += session.heldBytes - heldBytes
    heldBytes = session.heldBytes
    if loop.heldBytes > loop.configuration.maxHeldBytes,
      heldBytes > SharedReceiveBuffer.capacity
    {
      loop.logger.warning("line connections hold too many bytes of requests")
      session.refuse(.overloaded("The node holds too many bytes of unfinished requests."))
      noteHeldBytes()
    }
  }

  // MARK: - Writing

  /// The session has something to do at the end of the tick. The node may tell it so even after the
  /// connection has gone.
  private func hasWork() {
    loop.node.flusher.markDirty(self)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { loop.node.flusher.markDirty(self) }
    context.fireChannelWritabilityChanged()
  }

  func flushNow() {
    guard let context, let session, ending == .open else { return }
    session.advance()
    noteHeldBytes()
    var hasWritten = false
    while context.channel.isWritable,
      let bytes = session.takeOutput(max: LineConfiguration.writeChunkBytes)
    {
      bytesWritten += bytes.readableBytes
      context.write(wrapOutboundOut(bytes), promise: nil)
      hasWritten = true
    }
    if hasWritten { context.flush() }
    // A write that fails closes the connection from within.
    guard self.session != nil else { return }
    if session.isFinished {
      close(context, session)
    } else if hasWritten, session.hasWork || session.hasOutput, context.channel.isWritable {
      loop.node.flusher.markDirtyForNextTurn(self)
    }
    if isReadHeldBack, session.wantsBytes {
      isReadHeldBack = false
      context.read()
    }
  }

  /// The replies are out. They are still on their way to the client, who must not be sent a reset
  /// before them because of bytes that nobody has read.
  private func close(_ context: ChannelHandlerContext, _ session: LineSession) {
    guard session.shouldLinger, !inputClosed else {
      ending = .closed
      context.close(promise: nil)
      return
    }
    ending = .lingering
    context.close(mode: .output, promise: nil)
    let linger = TimeAmount.nanoseconds(LineConfiguration.lingerNanos)
    loop.eventLoop.assumeIsolated().scheduleTask(in: linger) { [weak self] in self?.closeNow() }
  }

  // MARK: - Progress

  /// Closes the connection if its client has read nothing for too long.
  func sweep(nowNanos: UInt64) {
    guard let context, let session else { return }
    let buffered = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    let sent = bytesWritten - buffered
    guard sent == bytesSentSeen, buffered > 0 || session.hasOutput, progressNanos > 0 else {
      bytesSentSeen = sent
      progressNanos = nowNanos
      return
    }
    guard Int64(clamping: nowNanos &- progressNanos) > loop.configuration.progressNanosMax else {
      return
    }
    loop.logger.warning("a line client reads nothing, its connection is closed")
    closeNow()
  }
}
