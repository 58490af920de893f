// Replies: messages and statuses are appended to a stream's outbound buffer, and the service is
// notified when more may follow.

import HTTP2
import NIOCore

extension GRPCServerHandler {
  /// The service appended to a call: a message, or a piece of one.
  func messageAppended(_ call: ServerCall) {
    let stream = call.stream
    if !stream.isAnnounced { announce(call) }
    session.bodyChanged(stream)
    if !call.state.isStalled, !call.isWritable { stall(call) }
    needsFlush()
  }

  /// Sends the reply's headers.
  @inline(__always)
  private func announce(_ call: ServerCall) {
    if hasNamedEncodings, call.extras == nil {
      session.submitResponse(call.stream, headers: ServerHeaders.response)
    } else {
      announceWithCare(call)
    }
  }

  @inline(never)
  private func announceWithCare(_ call: ServerCall) {
    hasNamedEncodings = true
    guard let extras = call.extras else {
      return session.submitResponse(call.stream, headers: ServerHeaders.firstResponse)
    }
    ServerHeaders.response(extras, into: loop.statusBlock)
    session.submitResponse(call.stream, headers: loop.statusBlock)
  }

  /// Ends a call with a status, after the contents of its outbound buffer. Returns whether the
  /// service had been notified of the call.
  @discardableResult
  func complete(_ call: ServerCall, _ status: RPCStatus) -> Bool {
    if call.pieces.missing > 0 { return complete(call, abandonMessage(of: call, status)) }
    tellEnd(of: call, status)
    let stream = call.stream
    let wasKnown = retire(call)
    tally.reply()
    if status.isOK { tally.succeed() }
    let isAnnounced = stream.isAnnounced
    let isEmpty = !isAnnounced && stream.outboundBytes == 0
    if !isAnnounced, !isEmpty, status.isOK, call.extras == nil, hasNamedEncodings {
      // As nearly all unary calls end.
      session.submitResponse(
        stream, headers: ServerHeaders.response, trailers: ServerHeaders.okTrailers)
    } else if isEmpty {
      ServerHeaders.trailersOnly(status, into: loop.statusBlock)
      if let extras = call.extras {
        ServerHeaders.append(extras.initialMetadata, to: loop.statusBlock)
        ServerHeaders.append(extras.trailingMetadata, to: loop.statusBlock)
      }
      session.submitResponse(stream, headers: loop.statusBlock, hasBody: false)
    } else {
      if !isAnnounced { announce(call) }
      if status.isOK, call.extras == nil {
        session.finish(stream, trailers: ServerHeaders.okTrailers)
      } else {
        ServerHeaders.trailers(status, into: loop.statusBlock)
        if let extras = call.extras {
          ServerHeaders.append(extras.trailingMetadata, to: loop.statusBlock)
        }
        session.finish(stream, trailers: loop.statusBlock)
      }
    }
    dropInbound(stream)
    needsFlush()
    return wasKnown
  }

  /// A call ends within a message. The part that was not sent yet is removed: if that is the whole
  /// message, the client sees an ordinary error. Otherwise it sees a truncated message and then the
  /// status, which must not be OK.
  private func abandonMessage(of call: ServerCall, _ status: RPCStatus) -> RPCStatus {
    let buffer = call.stream.outbound
    let unsent = min(buffer.readableBytes, call.pieces.appended)
    call.stream.outbound.moveWriterIndex(to: buffer.writerIndex - unsent)
    call.pieces = MessageInPieces()
    return status.isOK ? RPCStatus(.internal, "the reply ended before it was complete") : status
  }

  /// Ends a call whose deadline has passed before the service got it, or more of it: nothing that
  /// arrived too late is executed. The timer alone can't ensure that, as it waits for its turn.
  func endIfExpired(_ call: ServerCall) -> Bool {
    guard let deadlineNanos = call.deadlineNanos, deadlineNanos <= loop.nowNanos else {
      return false
    }
    deadlinePassed(call)
    return true
  }

  /// The deadline of a call passed: the service stops, the client gets the status. Data that waits
  /// to be sent would delay that as long as the client opens no window, and the client no longer
  /// waits for it.
  func deadlinePassed(_ call: ServerCall) {
    guard call.isOpen else {
      // Replied to, and not read by the client.
      if call.stream.outboundBytes > 0 {
        session.reset(call.stream, code: .cancel)
        needsFlush()
      }
      return
    }
    session.dropOutbound(call.stream)
    if complete(call, RPCStatus(.deadlineExceeded, "deadline exceeded")) {
      service.callEnded(call, .deadline)
    }
  }

  // MARK: - Back-pressure

  /// The call has reached its high water mark: its stream reports when it is down to the low one.
  private func stall(_ call: ServerCall) {
    guard call.state.stall() else { return }
    call.stream.outboundMark = configuration.lowWaterBytes
  }

  /// Something happened on the stream of a call that had reached its high water mark.
  func tellIfDrained(_ call: ServerCall) {
    guard call.isOpen, call.stream.outboundBytes <= configuration.lowWaterBytes
    else { return }
    switch call.state.drain() {
    case .queueForRoom: callsAwaitingRoom.append(call)
    case .tellService: service.streamWritable(call)
    }
  }

  /// The service is to be notified when the call is writable and its connection has room.
  func awaitRoom(_ call: ServerCall) {
    guard call.state.awaitRoom() else { return }
    if call.isWritable {
      callsAwaitingRoom.append(call)
      needsFlush()
    } else {
      stall(call)
    }
  }

  /// Notifies calls that waited for room, in their order, as long as there is some.
  func tellRoom() {
    // What they append, or reserve, is seen at once; calls that wait again do so for the next time.
    for _ in 0..<callsAwaitingRoom.count {
      guard hasOutboundRoom, let call = callsAwaitingRoom.popFirst() else { return }
      guard call.state.awaitsRoom, call.isOpen, call.handler === self else { continue }
      if call.isWritable {
        call.state.takeRoom()
        service.streamWritable(call)
      } else {
        stall(call)
      }
    }
  }

  /// Whether replies may be added without exceeding the connection's limit.
  var hasOutboundRoom: Bool {
    session.outboundBytes + callBytes.reserved < configuration.maxOutboundBytes
  }

  func reserveOutbound(_ call: ServerCall, _ bytes: Int) {
    callBytes.reserve(bytes, for: &call.bytes)
  }

  /// Subtracts bytes from what a call has reserved, down to zero at most.
  func releaseOutbound(_ call: ServerCall, _ bytes: Int) {
    callBytes.release(bytes, of: &call.bytes)
  }
}
