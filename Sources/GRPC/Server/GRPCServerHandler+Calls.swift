// From HTTP/2 streams to calls and back: the rules of gRPC's PROTOCOL-HTTP2 for a server.

import HTTP2
import NIOCore

extension GRPCServerHandler {
  /// Something happened on a stream: headers, body, its end, or its close.
  func streamTouched(_ stream: HTTP2Stream) {
    let call = self.call(of: stream)
    guard !stream.isClosed else {
      streamClosed(call)
      return
    }
    if call.phase == .waiting, stream.headersReceived {
      if session.outboundBytes > configuration.maxOutboundBytes {
        hold(call)
        return
      }
      begin(call)
    }
    if call.phase == .open { deliver(call) }
    if stream.isClosed { streamClosed(call) }
  }

  /// Keeps a call from the service until answers were taken. Its body gets no window meanwhile, so
  /// the connection's window bounds what all of them hold.
  private func hold(_ call: ServerCall) {
    if call.isHeld { return }
    call.isHeld = true
    heldCalls.append(call)
  }

  /// Lets calls go on that waited for answers to be taken.
  func releaseHeld() {
    guard !heldCalls.isEmpty, session.outboundBytes <= configuration.maxOutboundBytes else {
      return
    }
    let calls = heldCalls
    heldCalls.removeAll(keepingCapacity: true)
    // The bound may be passed again on the way; the rest is held once more, in the same order.
    for call in calls where call.isHeld {
      call.isHeld = false
      streamTouched(call.stream)
    }
  }

  private func call(of stream: HTTP2Stream) -> ServerCall {
    if let partner = stream.context { return unsafeDowncast(partner, to: ServerCall.self) }
    let call = ServerCall(stream: stream, handler: self)
    stream.context = call
    return call
  }

  // MARK: - Beginning

  private func begin(_ call: ServerCall) {
    let stream = call.stream
    let head = RequestHead(stream.headers)
    call.phase = .open
    openCalls += 1
    if state.drain == .final {
      // Above the last id that GOAWAY names: the client is right to send this call elsewhere.
      retire(call)
      session.reset(stream, code: .refusedStream)
      needsFlush()
    } else if stream.headersTooLarge {
      complete(call, RPCStatus(.resourceExhausted, "header list is over the limit"))
    } else if !head.isPost {
      refuse(call, ServerHeaders.methodNotAllowed)
    } else if !head.isGRPC {
      refuse(call, ServerHeaders.unsupportedMediaType)
    } else if let method = loop.method(path: head.path) {
      open(call, method, head)
    } else {
      let path = String(decoding: head.path.prefix(256), as: UTF8.self)
      complete(call, RPCStatus(.unimplemented, "unknown method \(path)"))
    }
  }

  private func open(_ call: ServerCall, _ method: ServerMethod, _ head: RequestHead) {
    call.methodID = method.id
    call.kind = method.kind
    if head.isEncoded {
      complete(call, RPCStatus(.unimplemented, "only the identity encoding is supported"))
      return
    }
    if let text = head.timeout {
      guard let timeoutNanos = GRPCTimeout.parse(text) else {
        complete(call, RPCStatus(.internal, "malformed grpc-timeout"))
        return
      }
      let (deadline, overflow) = loop.nowNanos.addingReportingOverflow(timeoutNanos)
      loop.watchDeadline(of: call, at: overflow ? .max : deadline)
    }
    if method.kind == .streaming {
      call.isKnownToService = true
      service.streamOpened(call)
    }
  }

  private func refuse(_ call: ServerCall, _ headers: StaticHeaders) {
    retire(call)
    session.submitResponse(call.stream, headers: headers, hasBody: false)
    dropInbound(call.stream)
    needsFlush()
  }

  // MARK: - Messages in

  private func deliver(_ call: ServerCall) {
    switch call.kind {
    case .unary: deliverUnary(call)
    case .streaming: deliverStreaming(call)
    }
  }

  private func deliverUnary(_ call: ServerCall) {
    let stream = call.stream
    guard !call.isDelivering, !call.wasHalfClosed else { return }
    // A unary message is gathered in the stream's own buffer, which its length bounds.
    session.consume(stream, stream.unconsumed)
    let check = stream.inbound.withUnsafeReadableBytes {
      UnaryFraming.check($0, isEnded: stream.remoteEnded, limit: configuration.maxMessageBytes)
    }
    switch check {
    case .incomplete:
      account(call, buffered: stream.inbound.readableBytes)
    case .failed(let status):
      complete(call, status)
    case .complete:
      call.isKnownToService = true
      call.wasHalfClosed = true
      call.isDelivering = true
      // The stream is kept from the pool meanwhile, and its client has ended: the buffer stays.
      stream.inbound.withUnsafeReadableBytes {
        service.unary(
          call, message: UnsafeRawBufferPointer(rebasing: $0[MessageFrame.prefixBytes...]))
      }
      call.isDelivering = false
      stream.inbound.clear()
    }
  }

  private func deliverStreaming(_ call: ServerCall) {
    let stream = call.stream
    guard !call.isDelivering, !call.isReadingPaused else { return }
    call.isDelivering = true
    // The service may do anything to the stream meanwhile, so the bytes are taken out of it.
    var chunk = ByteBuffer()
    swap(&chunk, &stream.inbound)
    var failure: MessageFramingError?
    let taken = chunk.readWithUnsafeReadableBytes { bytes -> Int in
      var rest = bytes
      do throws(MessageFramingError) {
        while call.phase == .open, !call.isReadingPaused,
          let message = try call.deframer.next(&rest)
        {
          service.stream(call, received: message)
        }
      } catch {
        failure = error
      }
      return bytes.count - rest.count
    }
    call.isDelivering = false
    session.consume(stream, taken)
    giveBack(&chunk, to: stream)
    if stream.isClosed || call.phase != .open { return }
    if let failure {
      complete(call, failure.status(limit: configuration.maxMessageBytes))
      return
    }
    account(call, buffered: call.deframer.bufferedBytes)
    halfCloseIfDone(call)
  }

  private func halfCloseIfDone(_ call: ServerCall) {
    let stream = call.stream
    guard call.phase == .open, !call.isReadingPaused, stream.remoteEnded, !call.wasHalfClosed,
      stream.inbound.readableBytes == 0
    else { return }
    call.wasHalfClosed = true
    do throws(MessageFramingError) {
      try call.deframer.finish()
    } catch {
      complete(call, error.status(limit: configuration.maxMessageBytes))
      return
    }
    service.streamHalfClosed(call)
  }

  /// Puts back what was not taken, and the memory in any case.
  private func giveBack(_ chunk: inout ByteBuffer, to stream: HTTP2Stream) {
    if stream.discardsInbound || stream.isClosed { return }
    if chunk.readableBytes == 0 { chunk.clear() }
    if stream.inbound.readableBytes > 0 {
      chunk.writeBuffer(&stream.inbound)
    }
    swap(&chunk, &stream.inbound)
  }

  /// Keeps the connection's sum of unfinished messages, and its bound.
  private func account(_ call: ServerCall, buffered: Int) {
    bufferedBytes += buffered - call.bufferedBytes
    call.bufferedBytes = buffered
    if bufferedBytes > configuration.maxBufferedBytes, call.phase == .open {
      complete(call, RPCStatus(.resourceExhausted, "too many unfinished messages"))
    }
  }

  func readingResumed(_ call: ServerCall) {
    resumedCalls.append(call)
    needsFlush()
  }

  func deliverResumed() {
    guard !resumedCalls.isEmpty else { return }
    let calls = resumedCalls
    resumedCalls.removeAll(keepingCapacity: true)
    // A call that is over, or another one by now, is served no worse for a second look.
    for call in calls where call.phase == .open {
      deliver(call)
      if call.stream.isClosed { streamClosed(call) }
    }
  }

  // MARK: - Answers out

  /// The service appended a message to a streaming call.
  func messageAppended(_ call: ServerCall) {
    let stream = call.stream
    if !stream.isAnnounced {
      session.submitResponse(stream, headers: ServerHeaders.response)
    }
    session.bodyChanged(stream)
    if !call.isStalled, !call.isWritable {
      call.isStalled = true
      stalledCalls.append(call)
    }
    needsFlush()
  }

  /// Ends a call with a status, after whatever its outbound buffer holds.
  func complete(_ call: ServerCall, _ status: RPCStatus) {
    let stream = call.stream
    retire(call)
    answeredCalls += 1
    if !stream.isAnnounced, stream.outbound.readableBytes == 0 {
      ServerHeaders.trailersOnly(status, into: statusBlock)
      session.submitResponse(stream, headers: statusBlock, hasBody: false)
    } else {
      if !stream.isAnnounced {
        session.submitResponse(stream, headers: ServerHeaders.response)
      }
      if status.isOK {
        session.finish(stream, trailers: ServerHeaders.okTrailers)
      } else {
        ServerHeaders.trailers(status, into: statusBlock)
        session.finish(stream, trailers: statusBlock)
      }
    }
    dropInbound(stream)
    needsFlush()
  }

  /// The deadline of a call passed: the service stops, the client is told.
  func deadlinePassed(_ call: ServerCall) {
    guard call.phase == .open else { return }
    let isKnown = call.isKnownToService
    complete(call, RPCStatus(.deadlineExceeded, "deadline exceeded"))
    if isKnown { service.callEnded(call, .deadline) }
  }

  // MARK: - Ending

  /// The stream is over; the call with it, answered or not.
  private func streamClosed(_ call: ServerCall) {
    // While the service is inside a delivery of this call its objects must stay what they are; the
    // delivery comes back here.
    guard !call.isDelivering else { return }
    if call.phase == .open {
      retire(call)
      if call.isKnownToService { service.callEnded(call, .cancelled) }
    }
    let stream = call.stream
    call.clear()
    session.recycle(stream)
  }

  /// Marks a call as answered or ended: from here on the service can do nothing with it.
  private func retire(_ call: ServerCall) {
    call.phase = .over
    openCalls -= 1
    bufferedBytes -= call.bufferedBytes
    call.bufferedBytes = 0
    loop.forgetDeadline(of: call)
  }

  /// What else the client sends on this stream interests nobody: credited and dropped.
  private func dropInbound(_ stream: HTTP2Stream) {
    guard !stream.remoteEnded else { return }
    stream.discardsInbound = true
    session.consume(stream, stream.unconsumed)
    stream.inbound.clear()
  }
}
