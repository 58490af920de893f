// Clients that don't continue: requests that stay unfinished, replies that aren't read. Checked
// every few seconds, one connection after the other. Progress is a rate, `minProgressBytes` in each
// `progressTimeoutNanos`: a client that sends or reads a byte a second holds as much memory as one
// that does nothing.

import HTTP2
import Logging
import NIOCore

/// What the client reads of one call's reply. The system acknowledges bytes of the whole
/// connection, so a stream's bytes count as read once everything sent up to them was acknowledged.
struct ReplyProgress {
  var window = ProgressWindow()
  /// Bytes of the stream that the client has read.
  private(set) var taken = 0
  /// Bytes of the stream that were sent, and of the connection, when that was last looked at.
  private var sent = 0
  private var sentOfAll = 0

  /// Whether the client has read what had been sent at the last check.
  var hasTakenAll: Bool { taken == sent }

  /// - Parameters:
  ///   - sent: bytes of the stream that were sent so far.
  ///   - ofAll: bytes of all the connection's streams that were.
  ///   - allTaken: those of them that the client has read.
  mutating func look(sent newSent: Int, ofAll: Int, taken allTaken: Int) {
    if allTaken >= sentOfAll {
      taken = sent
      // If nothing is being sent, this doesn't wait for the next check.
      if allTaken >= ofAll { taken = newSent }
      (sent, sentOfAll) = (newSent, ofAll)
    }
  }
}

extension GRPCServerHandler {
  /// Ends what has made no progress: all such calls at once, and the connection if its socket
  /// accepts nothing.
  func sweepCalls(nowNanos: UInt64) {
    renewCharge()
    let isSlow = isConnectionSlow(nowNanos: nowNanos)
    if isSlow.toTake, session.outboundBytes == 0 { return closeNow(.unreadReplies) }
    guard session.liveStreamCount > 0 else { return }
    var unfinished: [ServerCall] = []
    var untaken: [ServerCall] = []
    for stream in session.liveStreams {
      guard let partner = stream.context else { continue }
      let call = unsafeDowncast(partner, to: ServerCall.self)
      if isUntaken(call, connectionIsSlow: isSlow.toTake, nowNanos: nowNanos) {
        untaken.append(call)
      } else if isUnfinished(call, connectionIsSlow: isSlow.toSend, nowNanos: nowNanos) {
        unfinished.append(call)
      }
    }
    for call in unfinished { endUnfinished(call) }
    guard !untaken.isEmpty else { return }
    loop.logger.info(
      "ending calls whose replies aren't read",
      metadata: ["calls": "\(untaken.count)", "peer": "\(remoteAddress)"])
    for call in untaken { endUntaken(call) }
    // With a full socket not even RST_STREAM can be sent: then the whole connection is stuck.
    if isSlow.toTake, !isWritable { cut(.unreadReplies) }
  }

  /// Whether the client reads too little of its pending replies on the whole connection, or sends
  /// too little.
  private func isConnectionSlow(nowNanos: UInt64) -> (toTake: Bool, toSend: Bool) {
    let isSlowToSend = state.progress.isSlowToSend(
      bytes: session.bytesReceived, nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos,
      bytesMin: configuration.minConnectionProgressBytes)
    let isWaiting = session.outboundBytes > 0
    let written = session.bodyBytesSent
    if let channel = context?.channel, isWaiting || state.progress.takenBytes < written {
      // A PING may be queued behind megabytes that the client has yet to read.
      if state.progress.look(written: written, channel) { state.heard() }
    }
    guard isWaiting || state.progress.takenBytes < written else {
      state.progress.restartOutput()
      return (false, isSlowToSend)
    }
    // The rest of replies that were passed to the socket completely is judged like a single reply.
    let isSlowToTake = state.progress.isSlowToTake(
      nowNanos: nowNanos,
      periodNanos: isWaiting || !writer.isEmpty
        ? configuration.progressTimeoutNanos : configuration.systemProgressTimeoutNanos,
      bytesMin: isWaiting
        ? configuration.minConnectionProgressBytes : configuration.minProgressBytes)
    return (isSlowToTake, isSlowToSend)
  }

  // MARK: - Replies

  /// Whether a call has waited too long for its client to read: bytes that are ready, or those of
  /// other calls ahead of its own. The client must have stopped reading this stream, or the whole
  /// connection: a client that reads slowly, with a thousand replies waiting for the same socket or
  /// the connection's window, reads each of them in its turn.
  private func isUntaken(
    _ call: ServerCall, connectionIsSlow: Bool, nowNanos: UInt64
  ) -> Bool {
    let stream = call.stream
    guard stream.outboundBytes > 0 || call.state.isHeld || call.state.awaitsRoom else {
      call.replyProgress.window.restart()
      return false
    }
    call.replyProgress.look(
      sent: stream.bodyBytesSent, ofAll: session.bodyBytesSent, taken: state.progress.takenBytes)
    let isSlow = call.replyProgress.window.isSlow(
      bytes: call.replyProgress.taken, nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos, bytesMin: configuration.minProgressBytes)
    // Once the client has received what was sent, a closed window is the client's choice.
    let isShut = session.isWindowShut(stream) && call.replyProgress.hasTakenAll
    return isSlow && (connectionIsSlow || isShut)
  }

  private func endUntaken(_ call: ServerCall) {
    loop.connections.callRefused()
    if call.isOpen, !call.state.isKnownToService, call.stream.outboundBytes == 0 {
      // The service has not had it, and a status needs no window.
      complete(
        call,
        RPCStatus(.resourceExhausted, "earlier replies on this connection were not read in time"))
    } else {
      session.reset(call.stream, code: .cancel)
      needsFlush()
    }
  }

  // MARK: - Requests

  /// Whether a call has waited too long for more of its request. Data that the server itself holds
  /// back doesn't count against the client.
  private func isUnfinished(
    _ call: ServerCall, connectionIsSlow: Bool, nowNanos: UInt64
  ) -> Bool {
    guard call.isOpen, awaitsClient(call) else {
      call.inboundProgress.restart()
      return false
    }
    let bytes = call.stream.inbound.readableBytes + call.deframer.filledBytes
    let isSlow = call.inboundProgress.isSlow(
      bytes: bytes, nowNanos: nowNanos, periodNanos: configuration.progressTimeoutNanos,
      bytesMin: configuration.minProgressBytes)
    // Requests of which nothing has arrived may be queued behind others of the same client.
    return isSlow && (bytes > 0 || connectionIsSlow)
  }

  /// Whether it is for the client to send more of a message.
  private func awaitsClient(_ call: ServerCall) -> Bool {
    if call.state.isHeld || call.state.isReadingPaused || call.largeMessage.awaited > 0
      || isReadingStopped || session.isReceiveWindowShut
    {
      return false
    }
    switch call.kind {
    case .unary: return !call.state.isHalfClosed
    case .streaming: return call.deframer.bufferedBytes > 0
    }
  }

  private func endUnfinished(_ call: ServerCall) {
    guard call.isOpen else { return }
    loop.connections.callRefused()
    if complete(call, RPCStatus(.resourceExhausted, "the request was not complete in time")) {
      service.callEnded(call, .cancelled)
    }
  }
}
