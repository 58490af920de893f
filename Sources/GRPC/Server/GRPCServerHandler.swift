// One client connection: bytes between NIO and the HTTP/2 session. The calls are in
// GRPCServerHandler+Calls.swift, what concerns the connection itself (drain, keep-alive, floods,
// time limits) in GRPCServerHandler+Connection.swift, its end in GRPCServerHandler+Ending.swift.
//
// Thread: the channel's event loop. Owns its session and, through the session's streams, its calls;
// the cycle call -> handler is broken when a call ends, and all calls end when the channel becomes
// inactive.
//
// The path of a read: `channelRead` feeds the session once, then processes the streams that
// changed, which calls the service; `channelReadComplete` writes all the replies at once. Replies
// made at any other time mark the connection in the loop's FlushCoalescer, which flushes at the end
// of the tick.

import HTTP2
import Logging
import NIOCore

/// The channel handler of a server connection.
final class GRPCServerHandler: ChannelDuplexHandler, Flushable, ServerConnection, MemoryHolder {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  let loop: ServerLoop
  let service: any ServerService
  let session: HTTP2Session
  /// The connection's share of the node's limits; nil: none, in tests.
  let place: ConnectionPlace?
  let peer: PeerIdentity

  /// Set by the service; see `ServerCall.connectionContext`.
  var serviceContext: AnyObject?
  var context: ChannelHandlerContext?
  var isMarkedDirty = false
  /// The stage of the connection's end; see GRPCServerHandler+Ending.swift.
  var ending = ConnectionEnding()
  private var flushing = FlushState()
  private var reading = ReadGate()
  var listIndex = -1
  var isWritable = true
  let writer: SocketWriter
  private(set) var bytesReceived = 0
  /// Whether the client has been sent the supported encodings.
  var hasNamedEncodings = false
  var tally = CallTally()
  /// When the bytes being processed arrived; 0: not read from the clock yet.
  var readNanos: UInt64 = 0
  /// What is held for calls; see GRPCServerHandler+Memory.swift.
  var callBytes = CallBytesSums()
  /// Another node's connection. It has its own memory limits, and ending it would end calls of
  /// clients that did nothing wrong: it isn't in the account.
  var isLink = false
  /// What the loop's memory is charged with.
  var charge = MemoryCharge()
  var largeMessages = LargeMessages()
  /// Calls that wait for the connection to have room for more of their replies.
  var callsAwaitingRoom = CallQueue()
  /// Calls whose reading was resumed and that may have messages waiting.
  var resumedCalls = CallQueue()
  /// Calls held back from the service while too many replies wait to be read by the client.
  var heldCalls = CallQueue()
  var state: ConnectionState

  init(
    loop: ServerLoop, place: ConnectionPlace? = nil, peer: PeerIdentity = .plaintext,
    openedNanos: UInt64? = nil, writer: SocketWriter = SocketWriter()
  ) throws {
    self.loop = loop
    self.place = place
    self.peer = peer
    self.writer = writer
    service = loop.service
    session = try HTTP2Session(
      role: .server, configuration: loop.configuration.http2, pool: loop.streams)
    state = ConnectionState(
      configuration: loop.configuration, nowNanos: openedNanos ?? loop.nowNanos,
      chance: loop.chance)
  }

  /// The loop's: a copy would be most of this object.
  var configuration: ServerConfiguration { loop.configuration }

  // MARK: - Channel events

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    isWritable = context.channel.isWritable
    loop.add(self)
    if place?.excess != nil { watchExcess() }
    guard context.channel.isActive else { return }
    // It has had a handshake before.
    writer.open(context)
    if loop.isDraining { beginDrain() }
    loop.flusher.markDirty(self)
  }

  func channelActive(context: ChannelHandlerContext) {
    writer.open(context)
    // It may have been accepted just before the drain began.
    if loop.isDraining { beginDrain() }
    // Our SETTINGS go out without waiting for the client's preface.
    flushNow()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard ending.isOpen else { return discard(buffer) }
    flushing.beginRead()
    readNanos = 0
    loop.flusher.scheduler.beginTick()
    bytesReceived &+= buffer.readableBytes
    loop.meter.grpc.received &+= UInt64(buffer.readableBytes)
    state.heard()
    buffer.withUnsafeReadableBytes { session.receive($0) }
    // The buffer of decrypted bytes belongs to TLS.
    if !peer.isEncrypted { loop.receiveBuffer.recycle(buffer) }
    drain()
    checkFloods()
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    flushing.endRead()
    flushNow()
    // While output is held, replies wait until that ends.
    if !loop.flusher.isHeld { loop.scheduler.commitCalls() }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    isWritable = context.channel.isWritable
    if isWritable {
      loop.flusher.markDirty(self)
      readIfHeldBack()
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent { inputClosed() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    channelGone()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    channelGone()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    loop.logger.debug("connection failed", metadata: ["error": "\(error)"])
    if let sentence = TLSFailure.sentence(error) { cut(.protocolError, "TLS: \(sentence)") }
    if SilentPeers.isGivenUp(error) { cut(.keepaliveTimeout) }
    writer.close()
    context.closeSoon()
  }

  // MARK: - Reading

  func read(context: ChannelHandlerContext) {
    if reading.read(isBlocked: isReadBlocked) { context.read() }
  }

  func pauseReading() {
    reading.pause()
  }

  func resumeReading() {
    reading.resume()
    readIfHeldBack()
  }

  private var isReadBlocked: Bool { isOutboundBlocked || !ending.reads }

  /// The client reads nothing from its socket while it causes more output. A full HTTP/2 window
  /// alone doesn't count: its opening is only seen by reading.
  private var isOutboundBlocked: Bool {
    !isWritable
      && (session.outboundBytes > configuration.connectionHighWaterBytes
        || session.queuedFrames > ServerConfiguration.maxQueuedFrames)
  }

  /// Whether it is the server that reads nothing.
  var isReadingStopped: Bool { reading.isShut }
  /// Whether a read is kept back.
  var isReadHeldBack: Bool { reading.isHeldBack }

  func readIfHeldBack() {
    guard let context, reading.makeUp(isBlocked: isReadBlocked) else { return }
    context.read()
  }

  // MARK: - Writing

  /// Makes sure that what was queued is written in this tick.
  func needsFlush() {
    if flushing.queued() { loop.flusher.markDirty(self) }
  }

  func flushNow() {
    guard let context, ending.isOpen else { return }
    flushing.beginFlush()
    deliverResumed()
    if loop.flusher.isHeld {
      _ = flushing.endFlush()
      return loop.flusher.markDirty(self)
    }
    guard isWritable else {
      _ = flushing.endFlush()
      if session.failure != nil { closeIfFinished() }
      accountMemory()
      return
    }
    flushing.beginWrite()
    loop.output.clear()
    if session.outboundBytes > ServerConfiguration.retainedOutputBytes {
      loop.output.reserveCapacity(
        min(session.outboundBytes + session.outboundBytes / 16, ServerConfiguration.writeChunkBytes)
      )
    }
    let hasMore = session.writePending(
      into: &loop.output, limit: ServerConfiguration.writeLimitBytes)
    if loop.output.readableBytes > 0 {
      loop.meter.grpc.sent &+= UInt64(loop.output.readableBytes)
      writer.write(&loop.output, context)
    }
    if loop.output.capacity > ServerConfiguration.retainedOutputBytes {
      loop.output = ByteBuffer()
    }
    // Streams ended by this write return to the pool; the service may reply in `streamWritable`.
    drain()
    if !callsAwaitingRoom.isEmpty { tellRoom() }
    if !heldCalls.isEmpty { releaseHeld() }
    let flushesAgain = flushing.endFlush()
    // Other connections must be read and get replies before the next chunk, or before the next part
    // of a reply that is produced as fast as the client reads it.
    if hasMore || flushesAgain { loop.flusher.markDirtyForNextTurn(self) }
    closeIfFinished()
    accountMemory()
  }

  // MARK: - Draining the session

  func drain() {
    session.forEachTouchedStream { streamTouched($0) }
    while let event = session.nextConnectionEvent() { connectionEvent(event) }
  }

  var remoteAddress: String {
    context?.remoteAddress?.shown ?? "unknown"
  }
}
