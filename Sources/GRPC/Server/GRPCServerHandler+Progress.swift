// Clients that don't go on: requests that stay unfinished, answers that aren't taken. Looked at every
// few seconds, one connection after the other. Progress is a rate, `minProgressBytes` in each
// `progressTimeoutNanos`: who sends or takes a byte a second holds as much as who does nothing.

import HTTP2
import Logging
import NIOCore

extension GRPCServerHandler {
  /// Ends what has made no progress: all such calls at once, and the connection if its socket takes
  /// nothing.
  func sweepCalls(nowNanos: UInt64) {
    heldThroughout = chargedBytes
    let isSlow = isConnectionSlow(nowNanos: nowNanos)
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
      "ending calls whose answers aren't taken",
      metadata: ["calls": "\(untaken.count)", "peer": "\(remoteAddress)"])
    for call in untaken { endUntaken(call) }
    // With a full socket not even RST_STREAM can leave: then the whole connection is stuck.
    if isSlow.toTake, !isWritable { cut(.unreadReplies) }
  }

  /// Whether the connection as a whole takes too little of what waits for it, or sends too little.
  private func isConnectionSlow(nowNanos: UInt64) -> (toTake: Bool, toSend: Bool) {
    let isSlowToSend = state.inboundProgress.isSlow(
      bytes: session.bytesReceived, nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos,
      bytesMin: configuration.minConnectionProgressBytes)
    guard session.outboundBytes > 0 else {
      state.outboundProgress.restart()
      return (false, isSlowToSend)
    }
    // Bytes that left for the socket.
    let buffered = (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    let isSlowToTake = state.outboundProgress.isSlow(
      bytes: session.bodyBytesSent - buffered, nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos,
      bytesMin: configuration.minConnectionProgressBytes)
    return (isSlowToTake, isSlowToSend)
  }

  // MARK: - Answers

  /// Whether a call has waited in vain for its client to take something: bytes that lie ready, or
  /// those of other calls that are in front of its own. It must be this stream that isn't taken, or
  /// the whole connection: a client that reads slowly, with a thousand answers waiting for the same
  /// socket or the connection's window, gets to each of them in its turn.
  private func isUntaken(
    _ call: ServerCall, connectionIsSlow: Bool, nowNanos: UInt64
  ) -> Bool {
    let stream = call.stream
    guard stream.outboundBytes > 0 || call.isHeld || call.awaitsRoom else {
      call.outboundProgress.restart()
      return false
    }
    let isSlow = call.outboundProgress.isSlow(
      bytes: stream.bodyBytesSent, nowNanos: nowNanos,
      periodNanos: configuration.progressTimeoutNanos, bytesMin: configuration.minProgressBytes)
    return isSlow && (connectionIsSlow || session.isWindowShut(stream))
  }

  private func endUntaken(_ call: ServerCall) {
    if call.phase == .open, !call.isKnownToService, call.stream.outboundBytes == 0 {
      // The service has not had it, and a status needs no window.
      complete(
        call,
        RPCStatus(.resourceExhausted, "earlier answers on this connection were not taken in time"))
    } else {
      session.reset(call.stream, code: .cancel)
      needsFlush()
    }
  }

  // MARK: - Requests

  /// Whether a call has waited in vain for more of its request. What the server itself holds back is
  /// not the client's fault.
  private func isUnfinished(
    _ call: ServerCall, connectionIsSlow: Bool, nowNanos: UInt64
  ) -> Bool {
    guard call.phase == .open, awaitsClient(call) else {
      call.inboundProgress.restart()
      return false
    }
    let bytes = call.stream.inbound.readableBytes + call.deframer.filledBytes
    let isSlow = call.inboundProgress.isSlow(
      bytes: bytes, nowNanos: nowNanos, periodNanos: configuration.progressTimeoutNanos,
      bytesMin: configuration.minProgressBytes)
    // Requests of which nothing has come may stand in line behind others of the same client.
    return isSlow && (bytes > 0 || connectionIsSlow)
  }

  /// Whether it is for the client to send more of a message.
  private func awaitsClient(_ call: ServerCall) -> Bool {
    if call.isHeld || call.isReadingPaused || call.awaitedBytes > 0 || isReadingStopped
      || session.isReceiveWindowShut
    {
      return false
    }
    switch call.kind {
    case .unary: return !call.wasHalfClosed
    case .streaming: return call.deframer.bufferedBytes > 0
    }
  }

  private func endUnfinished(_ call: ServerCall) {
    guard call.phase == .open else { return }
    let isKnown = call.isKnownToService
    complete(call, RPCStatus(.resourceExhausted, "the request was not complete in time"))
    if isKnown { service.callEnded(call, .cancelled) }
  }
}
