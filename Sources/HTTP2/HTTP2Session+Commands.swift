// The commands of a session's owner. Every command only queues; `writePending` produces the bytes.
// Commands on a closed stream or an ended session do nothing: the peer may have closed it a moment
// ago, so this is no error of the owner.

internal import CNGHTTP2
import NIOCore

extension HTTP2Session {
  // MARK: - Streams

  /// Opens a stream with a request. Nil if the session has ended, the peer sent GOAWAY, or the
  /// stream numbers are used up. The owner must check the peer's concurrency limit
  /// (`remoteMaxConcurrentStreams`); above it the library holds the request back.
  ///
  /// - Parameter hasBody: false ends our side with the headers; true lets the body follow through
  ///   `stream.outbound`, until `finish`.
  package func submitRequest(_ headers: HeaderBlock, hasBody: Bool = true) -> HTTP2Stream? {
    guard role == .client, isUsable, nghttp2_session_check_request_allowed(handle) != 0 else {
      return nil
    }
    let stream = takeStream()
    let fields = layOut(headers)
    let id = CNGHTTP2_submit_request(
      handle, fields.baseAddress, fields.count, onReadBody,
      Unmanaged.passUnretained(stream).toOpaque())
    guard id > 0 else {
      abandon(stream)
      return nil
    }
    stream.id = id
    _ = stream.state.announce(hasBody: true)
    if !hasBody { finish(stream) }
    return stream
  }

  /// Responds to a request with headers laid out beforehand.
  ///
  /// - Parameter hasBody: false ends the stream with these headers (gRPC: Trailers-Only).
  package func submitResponse(
    _ stream: HTTP2Stream, headers: StaticHeaders, hasBody: Bool = true
  ) {
    respond(
      stream, UnsafeBufferPointer(start: headers.fields, count: headers.count), hasBody: hasBody)
  }

  /// Responds to a request with headers made for it.
  package func submitResponse(
    _ stream: HTTP2Stream, headers: HeaderBlock, hasBody: Bool = true
  ) {
    guard isUsable else { return }
    respond(stream, layOut(headers), hasBody: hasBody)
  }

  /// Responds to a request with headers, the body that is in `stream.outbound`, and trailers: the
  /// same as `submitResponse` and `finish`, in one step.
  package func submitResponse(
    _ stream: HTTP2Stream, headers: StaticHeaders, trailers: StaticHeaders
  ) {
    guard role == .server, isUsable, stream.id > 0, stream.state.announceWhole() else { return }
    stream.staticTrailers = trailers
    // A body of one frame has no turns to take; a client's own signal may order such replies among
    // its others.
    let takesTurns = stream.outboundBytes > Self.frameBytes
    submit(
      stream, UnsafeBufferPointer(start: headers.fields, count: headers.count), hasBody: true,
      takesTurns: takesTurns)
    endWithTrailers(stream)
  }

  /// To be called after appending to `stream.outbound`, or handing bytes over to the stream.
  package func bodyChanged(_ stream: HTTP2Stream) {
    guard isUsable, !stream.isClosed else { return }
    let waiting = stream.outboundBytes
    outboundBytes += waiting - stream.accountedOutbound
    stream.accountedOutbound = waiting
    if stream.state.bodyChanged() { nghttp2_session_resume_data(handle, stream.id) }
  }

  /// Ends our side with END_STREAM after the body that is in `stream.outbound`.
  package func finish(_ stream: HTTP2Stream) {
    guard isUsable, stream.state.finish() else { return }
    bodyChanged(stream)
  }

  /// Ends our side with trailers after the body that is in `stream.outbound`.
  package func finish(_ stream: HTTP2Stream, trailers: StaticHeaders) {
    guard isUsable, stream.state.finishWithTrailers() else { return }
    stream.staticTrailers = trailers
    endWithTrailers(stream)
  }

  /// Ends our side with trailers, copied, after the body that is in `stream.outbound`.
  package func finish(_ stream: HTTP2Stream, trailers: HeaderBlock) {
    guard isUsable, stream.state.finishWithTrailers() else { return }
    let copy = stream.outboundTrailers ?? HeaderBlock()
    copy.removeAll()
    copy.append(contentsOf: trailers)
    stream.outboundTrailers = copy
    endWithTrailers(stream)
  }

  /// Discards what waits to be sent on the stream. A message that was sent in part stays
  /// incomplete.
  package func dropOutbound(_ stream: HTTP2Stream) {
    outboundBytes -= stream.accountedOutbound
    stream.accountedOutbound = 0
    stream.ahead = nil
    stream.outbound = ByteBuffer()
  }

  /// Ends the stream with RST_STREAM. What waits to be sent is discarded at once; the stream is
  /// touched as closed once the frame was sent.
  package func reset(_ stream: HTTP2Stream, code: HTTP2ErrorCode) {
    guard isUsable, stream.id > 0, stream.state.reset() else { return }
    dropOutbound(stream)
    nghttp2_submit_rst_stream(handle, 0, stream.id, code.rawValue)
  }

  /// Gives the peer window credit for `count` body bytes that need no memory any more.
  package func consume(_ stream: HTTP2Stream, _ count: Int) {
    let credit = min(count, stream.unconsumed)
    guard credit > 0 else { return }
    connectionCredit += credit - repay(stream, credit)
    stream.unconsumed -= credit
    // A stream that the peer has ended needs no window.
    if stream.remoteEnded || stream.isClosed || !isUsable { return }
    nghttp2_session_consume_stream(handle, stream.id, credit)
  }

  /// Lets the other streams of the connection continue while this one isn't read: the bytes it
  /// holds are credited to the connection's window and not to its own, which limits them. Call this
  /// whenever more has arrived. All streams together may hold `maxParkedBytes` in this way; bytes
  /// above that keep their share of the connection's window, until that is closed too. O(1).
  package func park(_ stream: HTTP2Stream) {
    let more = stream.unconsumed - stream.parked
    guard more > 0 else { return }
    stream.parked += more
    parkedBytes += more
    let lent = min(parkedBytes, configuration.maxParkedBytes)
    connectionCredit += lent - lentBytes
    lentBytes = lent
  }

  /// Subtracts `count` consumed bytes of a stream from the parked bytes. Returns for how many of
  /// them the connection was already credited. It doesn't matter which stream's bytes those were:
  /// room that becomes free goes to the other parked bytes.
  @inline(__always)
  func repay(_ stream: HTTP2Stream, _ count: Int) -> Int {
    if stream.parked == 0 { return 0 }
    let freed = min(count, stream.parked)
    stream.parked -= freed
    parkedBytes -= freed
    let lent = min(parkedBytes, configuration.maxParkedBytes)
    defer { lentBytes = lent }
    return lentBytes - lent
  }

  /// Whether the peer gives this stream no window, so that only it can let the body continue.
  package func isWindowShut(_ stream: HTTP2Stream) -> Bool {
    guard failure == nil, stream.id > 0, !stream.isClosed else { return false }
    return nghttp2_session_get_stream_remote_window_size(handle, stream.id) <= 0
  }

  /// Whether the peer may send no body bytes on any stream before some were consumed.
  package var isReceiveWindowShut: Bool {
    failure == nil && nghttp2_session_get_local_window_size(handle) <= 0
  }

  // MARK: - The connection

  /// Sends a PING with this payload; its acknowledgement is a connection event.
  package func ping(payload: UInt64) {
    guard isUsable else { return }
    withUnsafeBytes(of: payload.bigEndian) {
      _ = nghttp2_submit_ping(handle, 0, $0.bindMemory(to: UInt8.self).baseAddress)
    }
  }

  /// First step of a drain: GOAWAY with the highest id, so that no stream in transit is lost.
  package func announceShutdown() {
    guard isUsable, role == .server else { return }
    nghttp2_submit_shutdown_notice(handle)
  }

  /// Second step: GOAWAY with the last stream seen. Streams up to it continue; the session is
  /// finished when they are.
  package func shutDown(code: HTTP2ErrorCode = .noError, debug: StaticString = "") {
    guard isUsable else { return }
    nghttp2_submit_goaway(
      handle, 0, nghttp2_session_get_last_proc_stream_id(handle), code.rawValue, debug.utf8Start,
      debug.utf8CodeUnitCount)
  }

  /// Sends GOAWAY with this code and text and ignores further input. The session is finished once
  /// that is written, and writes nothing else: the library's own function to terminate adds a
  /// second GOAWAY without a text, and clients show that one to applications.
  package func terminate(code: HTTP2ErrorCode, debug: StaticString) {
    guard isUsable, beginTermination() else { return }
    assert(debug.utf8CodeUnitCount > 0, "it is told from others by its text")
    nghttp2_submit_goaway(
      handle, 0, nghttp2_session_get_last_proc_stream_id(handle), code.rawValue, debug.utf8Start,
      debug.utf8CodeUnitCount)
  }

  /// Streams the peer allows us to have open at once.
  package var remoteMaxConcurrentStreams: Int {
    guard failure == nil else { return 0 }
    return Int(
      nghttp2_session_get_remote_settings(handle, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
  }

  /// Frames other than DATA that wait in the library to be written.
  package var queuedFrames: Int {
    failure == nil ? nghttp2_session_get_outbound_queue_size(handle) : 0
  }

  // MARK: - Inside

  /// Every peer accepts DATA frames of this size (RFC 9113 section 4.2).
  private static let frameBytes = 16 << 10

  private var isUsable: Bool {
    assert(!isInsideLibrary, "nghttp2 may not be re-entered")
    return failure == nil && !isInsideLibrary
  }

  private func respond(
    _ stream: HTTP2Stream, _ fields: UnsafeBufferPointer<nghttp2_nv>, hasBody: Bool
  ) {
    guard role == .server, isUsable, stream.id > 0, stream.state.announce(hasBody: hasBody)
    else { return }
    submit(stream, fields, hasBody: hasBody, takesTurns: hasBody)
  }

  @inline(__always)
  private func submit(
    _ stream: HTTP2Stream, _ fields: UnsafeBufferPointer<nghttp2_nv>, hasBody: Bool,
    takesTurns: Bool
  ) {
    if takesTurns { CNGHTTP2_make_incremental(handle, stream.id) }
    CNGHTTP2_submit_response(
      handle, stream.id, fields.baseAddress, fields.count, hasBody ? onReadBody : nil,
      Unmanaged.passUnretained(stream).toOpaque())
  }

  /// While a body waits, the trailers follow its last frame. Otherwise they are sent at once:
  /// HEADERS need no window, but the library would wait for a window before it asks for more of the
  /// body.
  private func endWithTrailers(_ stream: HTTP2Stream) {
    if stream.outboundBytes == 0 { submitTrailers(of: stream) }
    bodyChanged(stream)
  }

  /// Lays a block out for the library, which copies it. Valid until the next one is laid out.
  func layOut(_ block: HeaderBlock) -> UnsafeBufferPointer<nghttp2_nv> {
    let scratch = scratch(for: block.count)
    for index in 0..<block.count {
      let name = block.name(at: index)
      let value = block.value(at: index)
      let flags = block.isIndexed(at: index) ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX
      (scratch + index).initialize(
        to: nghttp2_nv(
          name: UnsafeMutableRawPointer(mutating: name.baseAddress)?.assumingMemoryBound(
            to: UInt8.self),
          value: UnsafeMutableRawPointer(mutating: value.baseAddress)?.assumingMemoryBound(
            to: UInt8.self),
          namelen: name.count, valuelen: value.count,
          flags: UInt8(truncatingIfNeeded: flags.rawValue)))
    }
    return UnsafeBufferPointer(start: scratch, count: block.count)
  }

  private func scratch(for count: Int) -> UnsafeMutablePointer<nghttp2_nv> {
    if let fieldScratch, count <= fieldScratchCapacity { return fieldScratch }
    fieldScratch?.deallocate()
    fieldScratchCapacity = max(16, count * 2)
    let made = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: fieldScratchCapacity)
    fieldScratch = made
    return made
  }
}
