// One client connection: an HTTP/2 session, its calls, and the socket behind a channel handler.
// On its channel's event loop; not Sendable.
//
//   startCall -> [waiting, until the peer has a stream free] -> session stream -> ended
//   channelRead -> session.receive -> drain: touched streams (+Streams), connection events
//   anything that makes output -> FlushCoalescer -> flushNow: one write for the whole tick
//
// Invariants:
// 1. `ended` is called exactly once for each call, and before `connectionClosed`.
// 2. Handlers run only from `drain`, timers and explicit `cancel`/`close`; never inside nghttp2.
// 3. Streams are recycled only in `drain`, which is never re-entered.

import HTTP2
import NIOCore

/// One connection to one peer, multiplexing calls.
package final class ClientConnection: Flushable {
  package let eventLoop: any EventLoop
  package let configuration: ClientConfiguration
  /// Flushes this connection (and the loop's others) at the end of a tick.
  package let flusher: FlushCoalescer
  package var isMarkedDirty = false
  /// Whether no new calls are accepted: the peer or we have sent GOAWAY, or it is closed.
  package private(set) var isGoingAway = false
  /// Whether the connection is closed.
  package private(set) var isClosed = false
  /// Calls that have a stream.
  package private(set) var openCalls = 0

  let session: HTTP2Session
  let headers: RequestHeaders
  /// For calls whose messages are compressed.
  let gzip = GzipCodec()
  var context: ChannelHandlerContext?
  var waiting = WaitingCalls()
  var deadlines = DeadlineQueue<ClientCall>()
  var deadlineTimer: (dueNanos: UInt64, scheduled: Scheduled<Void>)?
  var liveness: Liveness?
  var livenessTimer: Scheduled<Void>?
  /// The owner; held until it was notified of the end.
  var delegate: (any ClientConnectionDelegate)?
  /// Called once when the peer's SETTINGS have arrived, or with the reason why they never will.
  var onReady: ((ConnectionLoss?) -> Void)?

  /// Streams to process again without new events: calls that resumed, or ended when their stream
  /// had already ended.
  private var revisited: [HTTP2Stream] = []
  private var lossReason: ConnectionLoss?
  private var writeBuffer = ByteBuffer()
  /// Set again before the channel is joined, if there is TLS below.
  var writer = SocketWriter()
  /// Whether the channel accepts more of the bytes that its socket doesn't.
  var isWritable = false
  private var isFlushing = false
  private var flushesAgain = false
  private var isDraining = false
  private var drainsAgain = false

  /// The maximum of bytes for one write, and for one turn of the loop.
  static let writeBytesMax = 256 << 10
  /// The capacity of their buffer that is kept for the next time.
  static let retainedOutputBytes = 64 << 10

  /// A connection that is not on a channel yet: add `makeHandler()` to one on the same loop.
  ///
  /// - Throws: `ConnectionLoss` if the HTTP/2 library has no memory.
  package init(
    eventLoop: any EventLoop, authority: String, configuration: ClientConfiguration,
    flusher: FlushCoalescer? = nil, delegate: (any ClientConnectionDelegate)?
  ) throws(ConnectionLoss) {
    eventLoop.preconditionInEventLoop()
    do {
      session = try HTTP2Session(role: .client, configuration: configuration.http2)
    } catch {
      throw .connectFailed("\(error)")
    }
    self.eventLoop = eventLoop
    self.configuration = configuration
    self.flusher = flusher ?? FlushCoalescer(eventLoop: eventLoop)
    self.delegate = delegate
    headers = RequestHeaders(
      authority: configuration.authority ?? authority, userAgent: configuration.userAgent,
      acceptsGzip: configuration.acceptsGzip, isEncrypted: configuration.tls != nil,
      token: configuration.token)
  }

  /// Nanoseconds of the clock that deadlines are counted in.
  package var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  // MARK: - Calls

  /// Starts a call. It waits if the peer allows no further stream now; `send` works at once.
  ///
  /// - Parameters:
  ///   - path: `/package.Service/Method`.
  ///   - timeoutNanos: sent as `grpc-timeout` and enforced here too; nil: none.
  ///   - encoding: the encoding of messages, if that makes them shorter. The peer must support it.
  ///   - handler: kept until the call has ended.
  /// If the connection is going away or too many calls wait, the call ends at the end of the tick
  /// with UNAVAILABLE or RESOURCE_EXHAUSTED, and `.no`.
  package func startCall(
    path: String, metadata: Metadata = Metadata(), timeoutNanos: UInt64? = nil,
    encoding: MessageEncoding = .identity,
    handler: any ClientCallHandler
  ) -> ClientCall {
    eventLoop.assertInEventLoop()
    let deadline = timeoutNanos.map { nowNanos.addingReportingOverflow($0) }
      .map { $0.overflow ? UInt64.max : $0.partialValue }
    let call = ClientCall(
      connection: self, path: path, metadata: metadata, deadlineNanos: deadline, encoding: encoding,
      handler: handler)
    if isGoingAway {
      endLater(call, RPCStatus(.unavailable, (lossReason ?? .goAway("no new calls")).description))
    } else if hasFreeStream, waiting.isEmpty {
      open(call)
    } else if waiting.count >= configuration.maxQueuedCalls {
      endLater(call, RPCStatus(.resourceExhausted, "too many calls wait for a stream"))
    } else {
      waiting.append(call)
    }
    if !call.isEnded { watchDeadline(of: call) }
    return call
  }

  /// Accepts no new calls, finishes those in progress, then closes. Waiting calls end with `.no`.
  package func shutdownGracefully() {
    guard !isClosed else { return }
    session.shutDown(code: .noError)
    goAway(.closedLocally, tellDelegate: false)
    markDirty()
    closeIfDone()
  }

  /// Closes at once. Every call ends with UNAVAILABLE before this returns, or, if this is called
  /// from within a handler's method, right after that returned.
  package func close() { close(reason: .closedLocally) }

  func close(reason: ConnectionLoss) {
    guard !isClosed else { return }
    if case .goAway? = lossReason { lossReason = nil }
    lossReason = lossReason ?? reason
    if configuration.resetsWhenClosed { resetWhenClosed() }
    context?.closeSoon()
    connectionLost()
  }

  private var hasFreeStream: Bool {
    openCalls < min(configuration.maxOpenCalls, session.remoteMaxConcurrentStreams)
  }

  private func open(_ call: ClientCall) {
    let timeout = call.deadlineNanos.map { $0 > nowNanos ? $0 - nowNanos : 0 }
    let block = headers.block(
      path: call.path, timeoutNanos: timeout, metadata: call.metadata, encoding: call.encoding)
    guard let stream = session.submitRequest(block) else {
      // Stream numbers are used up (or the session failed): this connection can't be used for new
      // calls.
      endLater(call, RPCStatus(.unavailable, "the connection accepts no new streams"))
      goAway(.goAway("stream numbers are used up"), tellDelegate: true)
      return
    }
    openCalls += 1
    call.stream = stream
    stream.context = call
    if call.queued.readableBytes > 0 {
      stream.outbound = call.queued
      call.queued = ByteBuffer()
      session.bodyChanged(stream)
      if call.isBlocked { stream.outboundMark = configuration.outboundLowWaterBytes }
    }
    if call.isHalfClosed { session.finish(stream) }
    call.metadata = Metadata()
    if openCalls == 1 { watchLiveness() }
    markDirty()
  }

  func streamReleased() {
    openCalls -= 1
    openWaiting()
  }

  /// Ends a call from our side.
  func end(_ call: ClientCall, _ status: RPCStatus) {
    guard !call.isEnded else { return }
    if call.stream == nil { waiting.remove(call) }
    end(call, status, processed: call.wasSent ? .maybe : .no)
  }

  /// The only place where calls end.
  func end(_ call: ClientCall, _ status: RPCStatus, processed: Processed) {
    guard !call.isEnded else { return }
    call.markEnded()
    if let handle = call.deadline { deadlines.remove(handle) }
    call.deadline = nil
    if let stream = call.stream {
      call.stream = nil
      // The stream may exist until RST_STREAM is written; data that arrives meanwhile is dropped.
      stream.discardInbound()
      if !stream.isClosed {
        // After the peer's trailers there is no error: NO_ERROR only says that we stop sending.
        if !stream.remoteEnded {
          session.reset(stream, code: .cancel)
        } else if !call.isHalfClosed || stream.outboundBytes > 0 {
          session.reset(stream, code: .noError)
        }
        markDirty()
      } else if call.slotReleased {
        revisit(stream)
      }
    }
    let handler = call.handler
    call.handler = nil
    call.queued = ByteBuffer()
    handler?.call(call, ended: status, processed: processed)
  }

  private func endLater(_ call: ClientCall, _ status: RPCStatus) {
    eventLoop.assumeIsolated().execute { self.end(call, status, processed: .no) }
  }

  // MARK: - Output

  func bodyChanged(_ stream: HTTP2Stream) {
    session.bodyChanged(stream)
    markDirty()
  }

  func finish(_ stream: HTTP2Stream) {
    session.finish(stream)
    markDirty()
  }

  /// Processes the stream again at the end of the tick.
  func revisit(_ stream: HTTP2Stream) {
    revisited.append(stream)
    markDirty()
  }

  func markDirty() {
    if isClosed { return }
    if isFlushing {
      flushesAgain = true
    } else {
      flusher.markDirty(self)
    }
  }

  /// Runs `body`, which sends, and writes at once rather than at the end of the tick: for an owner
  /// that is already at the end of the tick. Not inside a callback of this connection.
  package func sendNow(_ body: () -> Void) {
    let wasFlushing = isFlushing
    isFlushing = true
    body()
    isFlushing = wasFlushing
    // One that has its turn later has written as much as it may.
    if wasFlushing || isMarkedDirty { flushesAgain = true } else { flushNow() }
  }

  /// Writes finished output, as far as the socket accepts it and one write allows. Called by the
  /// flusher.
  package func flushNow() {
    isFlushing = true
    defer { isFlushing = false }
    if !revisited.isEmpty { drain() }
    flushesAgain = false
    guard !isClosed, isWritable, let context else { return }
    writeBuffer.clear()
    let hasMore = session.writePending(into: &writeBuffer, limit: Self.writeBytesMax)
    if writeBuffer.readableBytes > 0 { writer.write(&writeBuffer, context) }
    if writeBuffer.capacity > Self.retainedOutputBytes { writeBuffer = ByteBuffer() }
    // Output queued meanwhile, by calls that became writable, also waits for the next turn: a call
    // that continues as fast as the peer reads must not keep the loop from its sockets.
    drain()
    if hasMore || flushesAgain, !isClosed { flusher.markDirtyForNextTurn(self) }
  }

  // MARK: - Input

  func received(_ bytes: UnsafeRawBufferPointer) {
    liveness?.heard()
    session.receive(bytes)
    drain()
    if session.wantsWrite { markDirty() }
  }

  func drain() {
    if isDraining {
      drainsAgain = true
      return
    }
    isDraining = true
    repeat {
      drainsAgain = false
      // Events first: GOAWAY must be known before calls end because of it.
      while let event = session.nextConnectionEvent() { handle(event) }
      while let stream = revisited.popLast() { touched(stream) }
      session.forEachTouchedStream { touched($0) }
    } while drainsAgain
    isDraining = false
    closeIfDone()
  }

  private func handle(_ event: HTTP2ConnectionEvent) {
    switch event {
    case .settingsReceived:
      let ready = onReady
      onReady = nil
      ready?(nil)
      openWaiting()
    case .goAway(_, let code, let debug):
      goAway(.goAway(debug.isEmpty ? "\(code)" : "\(code), \(debug)"), tellDelegate: true)
    case .pingAcknowledged, .pingReceived, .settingsAcknowledged:
      break
    }
  }

  private func openWaiting() {
    while hasFreeStream, !isGoingAway, let next = waiting.popFirst() { open(next) }
  }

  private func goAway(_ reason: ConnectionLoss, tellDelegate: Bool) {
    guard !isGoingAway else { return }
    isGoingAway = true
    lossReason = lossReason ?? reason
    // The owner first: calls that end now may request another connection from it at once.
    if tellDelegate { delegate?.connectionGoingAway(self) }
    while let call = waiting.popFirst() {
      end(call, RPCStatus(.unavailable, reason.description), processed: .no)
    }
  }

  private func closeIfDone() {
    guard !isClosed, !isDraining else { return }
    if let failure = session.failure {
      close(reason: .failed(failure.description))
    } else if isGoingAway, openCalls == 0, !session.wantsWrite {
      close(reason: lossReason ?? .closedLocally)
    } else if session.isFinished {
      close(reason: .closedByPeer)
    }
  }

  /// The channel is closed, by either side: ends every call, then notifies the owner.
  func connectionLost(error: (any Error)? = nil) {
    guard !isClosed else { return }
    isClosed = true
    isGoingAway = true
    let reason =
      lossReason ?? error.map { .failed(TLSFailure.sentence($0) ?? "\($0)") } ?? .closedByPeer
    lossReason = reason
    cancelTimers()
    while let call = waiting.popFirst() {
      end(call, RPCStatus(.unavailable, reason.description), processed: .no)
    }
    session.connectionLost()
    // The loss touches the streams that it ends; ended streams with remaining messages, because
    // their calls are paused, must be processed too.
    revisited += session.liveStreams
    drain()
    // If this was called inside a drain, that drain ends the calls and only then notifies the
    // owner.
    if isDraining {
      eventLoop.assumeIsolated().execute { self.tellClosed(reason) }
    } else {
      tellClosed(reason)
    }
  }

  private func tellClosed(_ reason: ConnectionLoss) {
    for stream in session.liveStreams { stream.context = nil }
    revisited = []
    let owner = delegate
    delegate = nil
    let ready = onReady
    onReady = nil
    ready?(reason)
    owner?.connectionClosed(self, reason: reason)
  }

  /// The text for failed calls of this connection.
  var lossDescription: String {
    (lossReason ?? .closedByPeer).description
  }
}
