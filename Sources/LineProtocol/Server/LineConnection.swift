// One client's connection: reads for its session, writes the session's output, and closes. The
// session decides; this handler has the socket. One event loop.
//
// Back-pressure is on reading: while the session takes no bytes, none are read, and the client's
// own socket fills up. (When the client ends its side, the system's buffer is read in any case.)
//
// What the client makes the node hold is in the loop's account as it is at the end of each read and
// flush.

import GRPC
import Logging
import NIOCore
import NodeCore
import RingstoreAPI
import Users

final class LineConnection: ChannelDuplexHandler, Flushable, MemoryHolder {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private enum Ending {
    case open
    /// Everything is written, and the socket has not accepted all of it yet.
    case flushing
    /// Our side is closed; further input is discarded for a while.
    case lingering
    case closed
  }

  private let loop: LineLoop
  /// The connection's share of the node's limits.
  private let place: ConnectionPlace
  /// What TLS has proven of the client.
  let peer: PeerIdentity
  private let writer: SocketWriter
  private var context: ChannelHandlerContext?
  private var session: LineSession?
  private var ending = Ending.open
  private var isReadHeldBack = false
  /// What the loop's memory is charged with.
  private(set) var charge = MemoryCharge()
  private var inputClosed = false
  var isMarkedDirty = false
  var listIndex = -1
  /// Whether a reason for the end is noted.
  private var wasCut = false
  /// Whether anything arrived since the last sweep, and when anything was last in progress.
  private var hasHeard = true
  private var activeNanos: UInt64 = 0
  private var openedNanos: UInt64 = 0
  /// Bytes passed to the channel, and how many of them the client has read.
  private var bytesWritten = 0
  private var taken = TakenBytes()
  private var progress = ProgressWindow()

  init(
    loop: LineLoop, place: ConnectionPlace, peer: PeerIdentity = .plaintext,
    writer: SocketWriter = SocketWriter()
  ) {
    self.loop = loop
    self.place = place
    self.peer = peer
    self.writer = writer
  }

  // MARK: - Life

  func handlerAdded(context: ChannelHandlerContext) {
    // It has had a handshake before.
    if context.channel.isActive { begin(context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    self.context = context
    writer.open(context)
    openedNanos = loop.eventLoop.now.uptimeNanoseconds
    activeNanos = openedNanos
    let session = LineSession(
      port: loop.node.port, limits: loop.limits,
      clock: { NIODeadline.now().uptimeNanoseconds },
      identity: loop.node.authorizer.map {
        CallerIdentity($0, certificateNames: peer.names.map(\.certificateName))
      },
      peer: context.remoteAddress?.shown ?? "",
      onWork: { [weak self] in self?.hasWork() })
    self.session = session
    loop.add(self)
    if let refusal = place.excess {
      refuse(session, refusal, loop.connections.sentence(refusal))
    }
    // It may have been accepted just before the drain began.
    if loop.isDraining { session.drain() }
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    end()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    // A connection reset by its client is not worth a line.
    loop.logger.debug("line connection failed", metadata: ["error": "\(error)"])
    if let sentence = TLSFailure.sentence(error) { note(.protocolError, "TLS: \(sentence)") }
    if SilentPeers.isGivenUp(error) { note(.keepaliveTimeout) }
    writer.close()
    context.closeSoon()
  }

  private func end() {
    // The channel may fail before it was active.
    place.close()
    writer.close()
    guard let session else { return }
    ending = .closed
    setCharge(0)
    self.session = nil
    context = nil
    loop.remove(self)
    // Thousands may end at once, and each has calls to cancel and memory to free.
    loop.node.flusher.scheduler.yieldThenRun { session.disconnected() }
  }

  // MARK: - Telling administrators

  var id: UInt64 { place.id }

  func report(nowNanos: UInt64) -> ClientReport {
    ClientReport(
      id: place.id, kind: .line, address: context?.remoteAddress?.shown ?? "",
      user: session?.principal?.name ?? "", isEncrypted: peer.isEncrypted,
      ageNanos: nowNanos &- openedNanos,
      idleNanos: session?.isBusy == true ? 0 : nowNanos &- activeNanos,
      openCalls: session?.openCommands ?? 0, calls: session?.commandsReceived ?? 0,
      heldBytes: charge.bytes)
  }

  // MARK: - Ending

  /// Counts and logs, once, that the node ends the connection.
  private func note(_ reason: ConnectionEnd, _ detail: String? = nil) {
    guard !wasCut else { return }
    wasCut = true
    loop.connections.ended(reason)
    var metadata: Logger.Metadata = [
      "peer": "\(context?.remoteAddress?.shown ?? "unknown")", "reason": "\(reason.name)",
    ]
    if let detail { metadata["detail"] = "\(detail)" }
    let level: Logger.Level = reason.isOrdinary ? .info : .warning
    loop.logger.log(
      level: level, reason.isRefusal ? "refusing a line connection" : "cutting a line connection",
      metadata: metadata)
  }

  /// Ends the connection with an error after the replies that are due.
  private func refuse(_ session: LineSession, _ reason: ConnectionEnd, _ sentence: String) {
    note(reason)
    session.refuse(.overloaded(sentence))
  }

  /// Ends the connection without notice: its client reads nothing, or sent no request.
  func cut(_ reason: ConnectionEnd) {
    note(reason)
    closeNow()
  }

  func drain() -> EventLoopFuture<Void> {
    session?.drain()
    return context?.channel.closeFuture ?? loop.eventLoop.makeSucceededVoidFuture()
  }

  func closeNow() {
    context?.closeSoon()
  }

  // MARK: - Reading

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    hasHeard = true
    let buffer = unwrapInboundIn(data)
    loop.scheduler.beginTick()
    loop.scheduler.meter.lines.received &+= UInt64(buffer.readableBytes)
    if ending == .open, let session {
      session.received(buffer)
      account()
    }
    // The buffer of decrypted bytes belongs to TLS.
    if !peer.isEncrypted { loop.receiveBuffer.recycle(buffer) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent {
      inputClosed = true
      // Thousands may end at once. If they were marked for this tick's flush, the replies to all
      // others would wait behind them.
      loop.node.flusher.scheduler.yieldThenRun { [weak self] in self?.noteInputClosed() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func noteInputClosed() {
    if ending == .lingering { closeNow() } else { session?.inputClosed() }
  }

  func read(context: ChannelHandlerContext) {
    if session?.wantsBytes == false {
      isReadHeldBack = true
    } else {
      context.read()
    }
  }

  // MARK: - Memory

  /// What the client makes the node hold now.
  private var heldBytes: Int {
    (session.map { $0.heldBytes + $0.replyBytes } ?? 0) + writer.queuedBytes
  }

  /// Charges the loop's memory with what has changed. Connections are ended by this, perhaps this
  /// one.
  private func account() {
    let held = heldBytes
    guard session != nil, held != charge.bytes else { return }
    setCharge(held)
    if loop.clientMemory.isOver || held > loop.clientMemory.connectionBytesMax {
      loop.clientMemory.relieve(after: self)
    }
  }

  private func setCharge(_ bytes: Int) {
    loop.clientMemory.charge(charge.set(bytes))
  }

  /// A client that reads its replies gets the error; one that doesn't can't.
  func endForMemory() {
    guard let session, let context else { return }
    let unread = session.replyBytes + writer.queuedBytes
    if ending == .open, !wasCut, unread <= min(charge.bytes / 2, Self.toldBytesMax) {
      refuse(session, .memoryBudget, "The node holds too many bytes of unfinished requests.")
      setCharge(heldBytes)
    } else {
      note(.memoryBudget)
      end()
      context.closeSoon()
    }
  }

  /// Where more replies wait, the client is not believed to read another one.
  private static let toldBytesMax = 64 << 10

  // MARK: - Writing

  /// The session has something to do at the end of the tick. The node may request that even after
  /// the connection has gone.
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
    if loop.node.flusher.isHeld {
      loop.node.flusher.markDirty(self)
      return account()
    }
    var hasWritten = false
    while context.channel.isWritable,
      var bytes = session.takeOutput(max: LineConfiguration.writeChunkBytes)
    {
      bytesWritten += bytes.readableBytes
      loop.scheduler.meter.lines.sent &+= UInt64(bytes.readableBytes)
      writer.write(&bytes, context)
      hasWritten = true
    }
    account()
    // A write that fails closes the connection from within, and so may the account.
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

  /// The replies are written. A channel that is closed drops what its socket has not taken, so that
  /// comes first.
  private func close(_ context: ChannelHandlerContext, _ session: LineSession) {
    if let failure = session.endingFailure, failure != .truncated {
      note(.protocolError, failure.text ?? "HTTP")
    }
    ending = .flushing
    if writer.isEmpty { return allTaken() }
    writer.whenEmpty { [weak self] in self?.allTaken() }
  }

  /// The socket has the replies. They are still in transit to the client: a reset because of unread
  /// bytes must not overtake them.
  private func allTaken() {
    guard ending == .flushing, let context, let session else { return }
    guard session.shouldLinger, !inputClosed else {
      ending = .closed
      context.closeSoon()
      return
    }
    ending = .lingering
    context.close(mode: .output, promise: nil)
    let linger = TimeAmount.nanoseconds(LineConfiguration.lingerNanos)
    loop.eventLoop.assumeIsolated().scheduleTask(in: linger) { [weak self] in self?.closeNow() }
  }

  // MARK: - Progress

  /// Closes the connection if its client reads too little.
  func sweep(nowNanos: UInt64) {
    guard let context, let session else { return }
    // There is no event when a socket has accepted the last of what waited for it.
    setCharge(heldBytes)
    charge.beginPeriod()
    if hasHeard || session.isBusy {
      hasHeard = false
      activeNanos = nowNanos
    } else if loop.configuration.idleNanosMax > 0,
      Int64(clamping: nowNanos &- activeNanos) > loop.configuration.idleNanosMax
    {
      return cut(.idle)
    }
    if taken.count < bytesWritten { taken.look(written: bytesWritten, context.channel) }
    guard taken.count < bytesWritten || session.hasOutput else { return progress.restart() }
    let isSystems = taken.queued == 0 && !session.hasOutput
    let isSlow = progress.isSlow(
      bytes: taken.count, nowNanos: nowNanos,
      periodNanos: UInt64(
        isSystems
          ? loop.configuration.systemProgressNanosMax : loop.configuration.progressNanosMax),
      bytesMin: loop.configuration.minProgressBytes)
    if isSlow { cut(.unreadReplies) }
  }
}
