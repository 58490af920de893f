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
    if call.state.isWaiting, stream.headersReceived {
      begin(call, stream)
    } else if stream.headersTooLarge, call.isOpen {
      refuseTrailers(of: call)
    }
    if call.isOpen, call.state.isAdmitted || admit(call) { deliver(call, stream) }
    if call.state.isStalled { tellIfDrained(call) }
    if stream.isClosed { streamClosed(call) }
  }

  /// Passes a call to the service, unless too many replies wait to be read by the client. Its
  /// deadline counts in either case.
  private func admit(_ call: ServerCall) -> Bool {
    guard session.outboundBytes <= configuration.holdBytes else {
      hold(call)
      return false
    }
    call.state.admit()
    if call.kind == .streaming {
      if endIfExpired(call) { return false }
      call.state.introduce()
      service.streamOpened(call)
    }
    return call.isOpen
  }

  /// Holds a call back from the service until the client has read replies. Its body is parked
  /// meanwhile: it gets no window, and calls that were admitted get theirs.
  func hold(_ call: ServerCall) {
    session.park(call.stream)
    noteInbound(call)
    if call.state.hold() { heldCalls.append(call) }
  }

  /// Resumes calls that waited until the client had read replies, in order and as far as the limit
  /// allows.
  func releaseHeld() {
    while session.outboundBytes <= configuration.holdBytes, let call = heldCalls.popFirst() {
      // Calls that ended while they waited are still on the list, and their objects may be in use
      // for other calls by now.
      guard call.handler === self, call.state.release() else { continue }
      streamTouched(call.stream)
    }
  }

  private func call(of stream: HTTP2Stream) -> ServerCall {
    guard let partner = stream.context else {
      let call = ServerCall(stream: stream, configuration: configuration)
      call.handler = self
      stream.context = call
      return call
    }
    let call = unsafeDowncast(partner, to: ServerCall.self)
    if call.handler == nil { call.handler = self }
    return call
  }

  // MARK: - Beginning

  /// - Parameter stream: the call's, as a parameter: reading it from the call counts a reference.
  private func begin(_ call: ServerCall, _ stream: HTTP2Stream) {
    let head = RequestHead(stream.headers)
    call.state.begin()
    tally.begin()
    loop.meter.openStreams += 1
    if ending.refusesStreams {
      loop.connections.callRefused()
      // Above the last id that GOAWAY names: the client is right to send this call elsewhere.
      retire(call)
      session.reset(stream, code: .refusedStream)
      needsFlush()
    } else if stream.headersTooLarge {
      reject(call, Self.headersTooLarge(configuration))
    } else if let refusal = place?.excess, !isReserved(head) {
      refuseExcess(call, refusal)
    } else if isRefusedForMemory {
      reject(
        call,
        RPCStatus(
          .resourceExhausted,
          "the memory for clients is nearly full, and this connection uses much of it"))
    } else if !head.isPost {
      if let method = head.pageMethod, let page = service.page(path: head.path) {
        reply(to: call, page, method)
      } else {
        refuse(call, ServerHeaders.methodNotAllowed)
      }
    } else if !head.isGRPC {
      refuse(call, ServerHeaders.unsupportedMediaType)
    } else if let method = loop.method(path: head.path) {
      open(call, method, head)
    } else {
      let path = String(decoding: head.path.prefix(256), as: UTF8.self)
      reject(call, RPCStatus(.unimplemented, "unknown method \(path)"))
    }
  }

  /// Whether a connection above the node's limits may carry the request.
  private func isReserved(_ head: RequestHead) -> Bool {
    head.pageMethod != nil && service.page(path: head.path) != nil
      || loop.method(path: head.path)?.isReserved == true
  }

  private func open(_ call: ServerCall, _ method: ServerMethod, _ head: RequestHead) {
    call.methodID = method.id
    call.kind = method.kind
    call.authorizationPlace = head.authorization
    switch head.encoding {
    case .identity: break
    case .gzip: call.beginGzip()
    case nil:
      reject(call, RPCStatus(.unimplemented, "only the encodings identity and gzip are supported"))
      return
    }
    if let text = head.timeout {
      guard let timeoutNanos = GRPCTimeout.parse(text) else {
        reject(call, RPCStatus(.internal, "malformed grpc-timeout"))
        return
      }
      if readNanos == 0 { readNanos = loop.nowNanos }
      let (deadline, overflow) = readNanos.addingReportingOverflow(timeoutNanos)
      loop.watchDeadline(of: call, at: overflow ? .max : deadline)
    }
  }

  private static func headersTooLarge(_ configuration: ServerConfiguration) -> RPCStatus {
    RPCStatus(
      .resourceExhausted,
      "the header list is over the limit of \(configuration.maxHeaderFields) fields or "
        + "\(configuration.maxHeaderListBytes) bytes")
  }

  /// Ends a call whose trailers are above the limit, like one whose headers are.
  private func refuseTrailers(of call: ServerCall) {
    loop.connections.callRefused()
    if complete(call, Self.headersTooLarge(configuration)) { service.callEnded(call, .cancelled) }
  }

  private func refuse(_ call: ServerCall, _ headers: StaticHeaders) {
    loop.connections.callRefused()
    retire(call)
    session.submitResponse(call.stream, headers: headers, hasBody: false)
    dropInbound(call.stream)
    needsFlush()
  }

  /// Ends a call that the service doesn't see, or doesn't see to its end.
  func reject(_ call: ServerCall, _ status: RPCStatus) {
    loop.connections.callRefused()
    // The call's object will be another call's, so the service must not use it any more.
    if complete(call, status) { service.callEnded(call, .cancelled) }
  }

  // MARK: - Ending

  /// The stream has ended, and with it the call, with or without a reply.
  func streamClosed(_ call: ServerCall) {
    // While the service is inside a delivery of this call, its objects must not be reused; the
    // delivery calls this again.
    guard !call.state.isDelivering else { return }
    if call.isOpen {
      tellEnd(of: call, RPCStatus(.cancelled))
      if retire(call) { service.callEnded(call, .cancelled) }
    }
    let stream = call.stream
    loop.forgetDeadline(of: call)
    call.clear()
    session.recycle(stream)
  }

  /// Reports how a call has ended, if the service asked for that.
  @inline(__always)
  func tellEnd(of call: ServerCall, _ status: RPCStatus) {
    guard let tell = call.onEnd else { return }
    call.onEnd = nil
    tell(status)
  }

  /// Marks a call as replied to or ended: from here on the service can do nothing with it. Returns
  /// whether the service had been notified of it.
  @discardableResult
  func retire(_ call: ServerCall) -> Bool {
    let wasKnown = call.state.end()
    tally.end()
    loop.meter.openStreams -= 1
    callBytes.releaseAll(of: &call.bytes)
    if call.largeMessage.admitted > 0 { dismiss(call) }
    return wasKnown
  }

  /// What else the client sends on this stream is credited and dropped.
  func dropInbound(_ stream: HTTP2Stream) {
    guard !stream.remoteEnded else { return }
    stream.discardInbound()
    session.consume(stream, stream.unconsumed)
    stream.inbound.clear()
  }
}
