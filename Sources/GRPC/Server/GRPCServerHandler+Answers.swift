// Answers out: messages and statuses into a stream's outbound buffer, and word to the service when
// more may follow.

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

  /// Ends a call with a status, after whatever its outbound buffer holds. Returns whether the
  /// service knew of it.
  @discardableResult
  func complete(_ call: ServerCall, _ status: RPCStatus) -> Bool {
    if call.messageBytesLeft > 0 { return complete(call, abandonMessage(of: call, status)) }
    tellEnd(of: call, status)
    let stream = call.stream
    let wasKnown = retire(call)
    answeredCalls += 1
    if status.isOK { succeededCalls += 1 }
    if !stream.isAnnounced, stream.outboundBytes == 0 {
      ServerHeaders.trailersOnly(status, into: loop.statusBlock)
      if let extras = call.extras {
        ServerHeaders.append(extras.initialMetadata, to: loop.statusBlock)
        ServerHeaders.append(extras.trailingMetadata, to: loop.statusBlock)
      }
      session.submitResponse(stream, headers: loop.statusBlock, hasBody: false)
    } else {
      if !stream.isAnnounced { announce(call) }
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

  /// A call ends within a message. What of it was not sent yet is taken back: if that is all of it,
  /// the client sees an ordinary error. Else it sees a message that is cut off and then the status,
  /// which must not be OK.
  private func abandonMessage(of call: ServerCall, _ status: RPCStatus) -> RPCStatus {
    let buffer = call.stream.outbound
    let unsent = min(buffer.readableBytes, call.messageBytesAppended)
    call.stream.outbound.moveWriterIndex(to: buffer.writerIndex - unsent)
    call.messageBytesLeft = 0
    call.messageBytesAppended = 0
    return status.isOK ? RPCStatus(.internal, "the answer ended before it was whole") : status
  }

  /// Ends a call whose deadline has passed before the service got it, or more of it: nothing that
  /// came too late is carried out. The timer alone can't see to that, as it waits for its turn.
  func endIfExpired(_ call: ServerCall) -> Bool {
    guard let deadlineNanos = call.deadlineNanos, deadlineNanos <= loop.nowNanos else {
      return false
    }
    deadlinePassed(call)
    return true
  }

  /// The deadline of a call passed: the service stops, the client is told. What waits to be sent
  /// would hold that up for as long as the client gives no window, and the client has given up.
  func deadlinePassed(_ call: ServerCall) {
    guard call.isOpen else {
      // Answered, and not taken.
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

  /// The call has reached its high water mark: its stream says when it is down to the low one.
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

  /// The service wants to be told when the call is writable and its connection has room.
  func awaitRoom(_ call: ServerCall) {
    guard call.state.awaitRoom() else { return }
    if call.isWritable {
      callsAwaitingRoom.append(call)
      needsFlush()
    } else {
      stall(call)
    }
  }

  /// Tells calls that waited for room, in their order, for as long as there is some.
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

  /// Whether answers may be added without passing the connection's bound.
  var hasOutboundRoom: Bool {
    session.outboundBytes + reservedOutboundBytes < configuration.maxOutboundBytes
  }

  func reserveOutbound(_ call: ServerCall, _ bytes: Int) {
    call.reservedOutboundBytes += bytes
    reservedOutboundBytes += bytes
  }

  /// Takes bytes off what a call has reserved, as far as it has.
  func releaseOutbound(_ call: ServerCall, _ bytes: Int) {
    let released = min(bytes, call.reservedOutboundBytes)
    call.reservedOutboundBytes -= released
    reservedOutboundBytes -= released
  }
}
