// How a connection ends: for a reason of the server's (`cut`), because everything was sent
// (`closeIfFinished`), or because the client closed its side (`inputClosed`) or is gone
// (`channelGone`).
//
// A socket that is closed while it has unread bytes of the client resets the connection, and the
// reset overtakes the last data sent. So our side is closed first, and what still arrives is
// discarded for a moment; the connection counts towards the node's limits meanwhile. A client that
// closes its side still gets all its replies, as on the line port.
//
// Thousands of connections may end at once. A client's end is therefore followed in a turn of its
// own, between which the loop serves the others.

import HTTP2
import Logging
import NIOCore

extension GRPCServerHandler {
  // MARK: - For a reason

  /// The only way in which this server ends a connection: counted, logged, and reported to the
  /// client by GOAWAY if its socket accepts that. Nothing happens if the connection is being ended
  /// already.
  ///
  /// - Parameter detail: what the log line adds.
  func cut(_ reason: ConnectionEnd, _ detail: String? = nil) {
    guard let context, ending.decide() else { return }
    note(reason, detail)
    // A client that reads nothing can't be notified.
    guard ending.isOpen, isWritable else { return context.closeSoon() }
    ending.refuseStreams()
    if session.failure == nil {
      session.terminate(code: reason.code, debug: reason.name)
    } else {
      writeGoodbye(reason, reason.code)
    }
    needsFlush()
  }

  /// Counts and logs that the connection is being ended.
  func note(_ reason: ConnectionEnd, _ detail: String? = nil) {
    loop.connections.ended(reason)
    var metadata: Logger.Metadata = ["peer": "\(remoteAddress)", "reason": "\(reason.name)"]
    if let detail { metadata["detail"] = "\(detail)" }
    let level: Logger.Level = reason.isOrdinary ? .info : .warning
    loop.logger.log(
      level: level, reason.isRefusal ? "refusing a connection" : "cutting a connection",
      metadata: metadata)
  }

  func closeNow(_ reason: ConnectionEnd?) {
    if let reason { cut(reason) }
    context?.closeSoon()
  }

  /// Ends the connection now, so that its memory is free when this returns.
  func endForMemory() {
    // All is said, and it is what the socket doesn't take; or the client is gone, and what it held
    // was to be freed in a later turn.
    guard ending.isOpen, let context else {
      close()
      return tearDown()
    }
    cut(.memoryBudget)
    // Where output is held, or much of it waits for the socket, there is no time for a goodbye.
    guard isWritable, ending.isOpen, !loop.flusher.isHeld,
      writer.queuedBytes <= min(charge.bytes / 2, ServerConfiguration.retainedOutputBytes)
    else {
      leave()
      tearDown()
      context.closeSoon()
      return
    }
    var goodbye = ByteBuffer()
    session.writePending(into: &goodbye)
    if goodbye.readableBytes > 0 { writer.write(&goodbye, context) }
    finish()
  }

  // MARK: - Everything was sent

  func closeIfFinished() {
    guard ending.isOpen, session.isFinished, let context else { return }
    switch session.failure {
    case .flooded?: sayGoodbye(.tooManyControlFrames, .enhanceYourCalm)
    case .nghttp2(let text)?: sayGoodbye(.protocolError, .protocolError, text)
    case .connectionLost?: break
    case nil:
      if let code = session.errorSent { sayGoodbye(.protocolError, code, "\(code)") }
    }
    if session.failure != nil, !isWritable { return context.closeSoon() }
    finish()
  }

  /// Names the reason for which the library ended the session; the peer gets an error code at most.
  private func sayGoodbye(
    _ reason: ConnectionEnd, _ code: HTTP2ErrorCode, _ detail: String? = nil
  ) {
    guard ending.decide() else { return }
    note(reason, detail)
    if isWritable { writeGoodbye(reason, code) }
  }

  private func writeGoodbye(_ reason: ConnectionEnd, _ code: HTTP2ErrorCode) {
    guard let context else { return }
    var goodbye = ByteBuffer()
    session.writeGoodbye(code: code, debug: reason.name, into: &goodbye)
    writer.write(&goodbye, context)
  }

  /// Ends the calls, writes what was queued to the socket, and closes our side.
  private func finish() {
    ending.finish()
    endCalls()
    state.progress.restartOutput()
    if writer.isEmpty { return closeOutput() }
    writer.whenEmpty { self.closeOutput() }
  }

  private func closeOutput() {
    guard let context else { return }
    switch ending.wroteAll() {
    case .nothing: return
    case .closeSocket: return close()
    case .closeSide: break
    }
    let closed = context.eventLoop.makePromise(of: Void.self)
    closed.futureResult.assumeIsolated().whenFailure { _ in self.close() }
    context.close(mode: .output, promise: closed)
    guard ending.isLingering else { return }
    let linger = TimeAmount.nanoseconds(ServerConfiguration.lingerNanos)
    loop.eventLoop.assumeIsolated().scheduleTask(in: linger) { [weak self] in self?.close() }
    readIfHeldBack()
  }

  /// Discards what arrives after the end.
  func discard(_ buffer: ByteBuffer) {
    let isTooMuch = ending.discard(buffer.readableBytes)
    if !peer.isEncrypted { loop.receiveBuffer.recycle(buffer) }
    if isTooMuch { close() }
  }

  /// Whether a client whose connection is ending reads its last replies. It has as long as for any
  /// other reply.
  func sweepEnding(nowNanos: UInt64) {
    guard ending.hasLastWords, let channel = context?.channel else { return }
    renewCharge()
    state.progress.look(written: session.bodyBytesSent, channel)
    let isSlow = state.progress.isSlowToTake(
      nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos, bytesMin: configuration.minProgressBytes)
    guard isSlow else { return }
    // An endless stream whose client has gone has nothing left to send.
    closeNow(session.outboundBytes > 0 || !writer.isEmpty ? .unreadReplies : nil)
  }

  // MARK: - The client's end

  func inputClosed() {
    switch ending.inputClosed() {
    case .completeTheRest: loop.flusher.scheduler.yieldThenRun { self.completeTheRest() }
    case .closeSocket: close()
    case .nothing: break
    }
  }

  /// The client sends no more: calls that arrived completely get their replies, the others can't.
  private func completeTheRest() {
    guard ending.isOpen, context != nil else { return }
    state.progress.restartOutput()
    if session.failure == nil, session.liveStreamCount > 0 {
      for stream in session.liveStreams where !stream.remoteEnded {
        session.reset(stream, code: .cancel)
      }
      ending.refuseStreams()
      session.shutDown()
      flushNow()
    }
    if ending.isOpen, session.liveStreamCount == 0 { finish() }
  }

  // MARK: - The end

  /// Closes the socket, even if data is left.
  private func close() {
    guard !ending.isGone, let context else { return }
    leave()
    tearDown()
    context.closeSoon()
  }

  /// The channel is gone: the client or the system closed it. Each connection has calls to end and
  /// memory to free: that is done in turns.
  func channelGone() {
    guard context != nil, !ending.isGone else { return }
    leave()
    loop.flusher.scheduler.yieldThenRun { self.tearDown() }
  }

  /// Nothing is read or written any more.
  private func leave() {
    guard ending.leave() else { return }
    writer.close()
    loop.connections.callsGone(lastCallCounts)
    place?.close()
  }

  private func tearDown() {
    guard context != nil else { return }
    endCalls()
    context = nil
    serviceContext = nil
    loop.remove(self)
  }

  /// Ends what is in progress, and frees what it held.
  private func endCalls() {
    session.connectionLost()
    drain()
    resumedCalls.removeAll()
    callsAwaitingRoom.removeAll()
    largeMessages.removeAll()
    heldCalls.removeAll()
    session.releaseContexts()
    chargeRest()
  }
}
