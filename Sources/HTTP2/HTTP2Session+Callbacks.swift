// The functions nghttp2 calls. Each unwraps its pointers and records the event; none runs code of
// the session's owner, and none calls the library except to queue a frame, which nghttp2 allows.
// Pointers to frames are valid only during the callback.

internal import CNGHTTP2
import NIOCore

private let stopTheSession = Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
private let endStreamFlag = UInt8(truncatingIfNeeded: NGHTTP2_FLAG_END_STREAM.rawValue)
private let paddedFlag = UInt8(truncatingIfNeeded: NGHTTP2_FLAG_PADDED.rawValue)
private let ackFlag = UInt8(truncatingIfNeeded: NGHTTP2_FLAG_ACK.rawValue)

/// Runs `body` with the session, without touching its reference count: the session outlives every
/// call of the library.
@inline(__always)
private func withOwner(
  _ userData: UnsafeMutableRawPointer?, _ body: (HTTP2Session) -> Int32
) -> Int32 {
  guard let userData else { return stopTheSession }
  return Unmanaged<HTTP2Session>.fromOpaque(userData)._withUnsafeGuaranteedRef(body)
}

/// The same for a stream of the library: `HTTP2Session.live` retains it. Nil if the library has
/// none.
@inline(__always)
private func withStream<Result>(
  _ native: OpaquePointer?, _ id: Int32, _ body: (HTTP2Stream?) -> Result
) -> Result {
  guard let pointer = nghttp2_session_get_stream_user_data(native, id) else { return body(nil) }
  return Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef { body($0) }
}

/// The same for a data source, which is a stream.
@inline(__always)
private func withSource(
  _ source: UnsafeMutablePointer<nghttp2_data_source>?, _ body: (HTTP2Stream) -> Int
) -> Int {
  guard let source, let pointer = CNGHTTP2_source_pointer(source) else {
    return Int(stopTheSession)
  }
  return Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
}

func onBeginHeaders(
  _ native: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?,
  _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame else { return stopTheSession }
  return withOwner(userData) { session in
    let id = CNGHTTP2_frame_stream(frame)
    let isKnown = withStream(native, id) { stream in
      if let stream { session.beginDecoding(stream) }
      return stream != nil
    }
    if isKnown { return 0 }
    guard session.role == .server else {
      session.endDecoding()
      return 0
    }
    let stream = session.takeStream()
    stream.id = id
    session.counters.streamsOpened += 1
    nghttp2_session_set_stream_user_data(native, id, Unmanaged.passUnretained(stream).toOpaque())
    session.beginDecoding(stream)
    return 0
  }
}

func onHeader(
  _ native: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?,
  _ nameLength: Int, _ value: UnsafePointer<UInt8>?, _ valueLength: Int, _ flags: UInt8,
  _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let userData, let frame else { return stopTheSession }
  let decoding = Unmanaged<HTTP2Session>.fromOpaque(userData)._withUnsafeGuaranteedRef {
    $0.headerDecoding
  }
  guard let target = decoding.pointee.target,
    decoding.pointee.streamID == CNGHTTP2_frame_stream(frame)
  else { return 0 }
  let count = target.pointee.count
  let listBytes = target.pointee.used + nameLength + valueLength + 32 * (count + 1)
  if count >= decoding.pointee.fieldsMax || listBytes > decoding.pointee.bytesMax {
    return withOwner(userData) { $0.headerOverrun() }
  }
  target.pointee.append(name, nameLength, value, valueLength, indexed: true)
  return 0
}

func onDataChunk(
  _ native: OpaquePointer?, _ flags: UInt8, _ id: Int32, _ data: UnsafePointer<UInt8>?,
  _ length: Int, _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  withOwner(userData) { session in
    withStream(native, id) { stream in
      guard let stream, !stream.state.discardsBody else {
        session.connectionCredit += length
        return 0
      }
      stream.inbound.append(UnsafeRawBufferPointer(start: data, count: length))
      stream.unconsumed += length
      session.touch(stream)
      return 0
    }
  }
}

func onFrameReceived(
  _ native: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?,
  _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame else { return stopTheSession }
  return withOwner(userData) { session in
    switch UInt32(CNGHTTP2_frame_type(frame)) {
    case NGHTTP2_HEADERS.rawValue:
      session.headersFrameReceived(frame)
    case NGHTTP2_DATA.rawValue:
      session.dataFrameReceived(frame)
    default:
      session.otherFrameReceived(frame)
    }
    return 0
  }
}

func onFrameSent(
  _ native: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?,
  _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let frame else { return stopTheSession }
  return withOwner(userData) { session in
    switch UInt32(CNGHTTP2_frame_type(frame)) {
    case NGHTTP2_HEADERS.rawValue:
      session.counters.usefulFramesSent += 1
      let endsStream = CNGHTTP2_frame_flags(frame) & endStreamFlag != 0
      if endsStream || session.role == .client {
        session.headersFrameSent(CNGHTTP2_frame_stream(frame), endsStream: endsStream)
      }
    case NGHTTP2_DATA.rawValue:
      session.counters.usefulFramesSent += 1
      // A server's body that ends without trailers: a page.
      if CNGHTTP2_frame_flags(frame) & endStreamFlag != 0, session.role == .server {
        session.headersFrameSent(CNGHTTP2_frame_stream(frame), endsStream: true)
      }
    case NGHTTP2_RST_STREAM.rawValue:
      withStream(native, CNGHTTP2_frame_stream(frame)) { stream in
        if stream?.state.isResetting != true { session.counters.resetsForPeerErrors += 1 }
      }
    case NGHTTP2_GOAWAY.rawValue:
      session.goAwaySent(hasText: CNGHTTP2_frame_goaway(frame).pointee.opaque_data_len > 0)
      let code = CNGHTTP2_frame_goaway(frame).pointee.error_code
      if code != HTTP2ErrorCode.noError.rawValue {
        session.errorSent = HTTP2ErrorCode(rawValue: code)
      }
    default:
      break
    }
    return 0
  }
}

func onStreamClose(
  _ native: OpaquePointer?, _ id: Int32, _ code: UInt32, _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  withOwner(userData) { session in
    if session.headerDecoding.pointee.streamID == id { session.endDecoding() }
    withStream(native, id) { stream in
      if let stream { session.markClosed(stream, code: HTTP2ErrorCode(rawValue: code)) }
    }
    return 0
  }
}

func onSendData(
  _ native: OpaquePointer?, _ frame: UnsafeMutablePointer<nghttp2_frame>?,
  _ header: UnsafePointer<UInt8>?, _ length: Int,
  _ source: UnsafeMutablePointer<nghttp2_data_source>?, _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let header else { return stopTheSession }
  return withOwner(userData) { session in
    let code = withSource(source) { stream in
      Int(session.appendData(of: stream, frameHeader: header, length: length))
    }
    return Int32(truncatingIfNeeded: code)
  }
}

/// The data provider's callback: returns how much of a stream's body goes into the next DATA frame.
func onReadBody(
  _ native: OpaquePointer?, _ id: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ length: Int,
  _ flags: UnsafeMutablePointer<UInt32>?, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
  _ userData: UnsafeMutableRawPointer?
) -> Int {
  guard let userData, let flags else { return Int(stopTheSession) }
  return Unmanaged<HTTP2Session>.fromOpaque(userData)._withUnsafeGuaranteedRef { session in
    withSource(source) { session.offerBody(of: $0, limit: length, flags: flags) }
  }
}

func onError(
  _ native: OpaquePointer?, _ code: Int32, _ text: UnsafePointer<CChar>?, _ length: Int,
  _ userData: UnsafeMutableRawPointer?
) -> Int32 {
  guard let text else { return 0 }
  return withOwner(userData) { session in
    session.nghttp2Message = String(
      decoding: UnsafeRawBufferPointer(start: text, count: min(length, 200)), as: UTF8.self)
    return 0
  }
}

extension HTTP2Session {
  /// A field after the limit of its block is dropped. Ending the stream here would save very
  /// little, as the rest must still be decoded to update the table, and the owner could not send
  /// the reason to the peer. The library limits the bytes of a block.
  fileprivate func headerOverrun() -> Int32 {
    headerDecoding.pointee.stream?._withUnsafeGuaranteedRef { $0.state.overranHeaders() }
    return 0
  }

  fileprivate func headersFrameSent(_ id: Int32, endsStream: Bool) {
    withStream(handle, id) { stream in
      guard let stream else { return }
      if stream.state.sentHeaders(endStream: endsStream, isServer: role == .server) {
        nghttp2_submit_rst_stream(handle, 0, id, HTTP2ErrorCode.noError.rawValue)
      }
    }
  }

  fileprivate func headersFrameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
    let decoding = headerDecoding.pointee
    endDecoding()
    guard decoding.streamID == CNGHTTP2_frame_stream(frame) else { return }
    decoding.stream?._withUnsafeGuaranteedRef { headersReceived(frame, $0) }
  }

  @inline(__always)
  private func headersReceived(_ frame: UnsafePointer<nghttp2_frame>, _ stream: HTTP2Stream) {
    if CNGHTTP2_frame_flags(frame) & paddedFlag == 0 { counters.callFramesReceived += 1 }
    let block = stream.state.receivedBlock(
      isInterim: role == .client && stream.headers.status.map { $0 < 200 } ?? false,
      endsStream: CNGHTTP2_frame_flags(frame) & endStreamFlag != 0)
    if block == .interim { return stream.headers.removeAll() }
    let bytes = stream.headers.storage.pointee.used + stream.trailers.storage.pointee.used
    if bytes > HTTP2Configuration.smallHeaderBytes {
      largeHeaderBytes += bytes - stream.largeHeaderBytes
      stream.largeHeaderBytes = bytes
    }
    touch(stream)
  }

  fileprivate func dataFrameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
    let flags = CNGHTTP2_frame_flags(frame)
    let length = CNGHTTP2_frame_length(frame)
    // Padding is of no use to a call, and has no other limit: its window is returned at once.
    if length < FrameMeter.largeDataBytes, flags & paddedFlag == 0,
      length > 0 || flags & endStreamFlag != 0
    {
      counters.callFramesReceived += 1
    }
    guard flags & endStreamFlag != 0 else { return }
    withStream(handle, CNGHTTP2_frame_stream(frame)) { stream in
      guard let stream else { return }
      stream.state.receivedEnd()
      touch(stream)
    }
  }

  fileprivate func otherFrameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
    let isAck = CNGHTTP2_frame_flags(frame) & ackFlag != 0
    switch UInt32(CNGHTTP2_frame_type(frame)) {
    case NGHTTP2_PING.rawValue:
      record(isAck ? .pingAcknowledged(payload: Self.pingPayload(frame)) : .pingReceived)
    case NGHTTP2_SETTINGS.rawValue:
      record(isAck ? .settingsAcknowledged : .settingsReceived)
    case NGHTTP2_RST_STREAM.rawValue:
      countReset(frame)
    case NGHTTP2_GOAWAY.rawValue:
      recordGoAway(frame)
    default:
      break
    }
  }

  /// The library closes the stream only after this. RST_STREAM for one that is closed already, as
  /// when it crossed our trailers, is no more than a frame.
  private func countReset(_ frame: UnsafePointer<nghttp2_frame>) {
    withStream(handle, CNGHTTP2_frame_stream(frame)) { stream in
      guard let stream else { return }
      counters.resetsReceived += 1
      counters.callFramesReceived += 1
      if stream.bodyBytesSent == 0 { counters.resetsBeforeResponse += 1 }
    }
  }

  private static func pingPayload(_ frame: UnsafePointer<nghttp2_frame>) -> UInt64 {
    guard let bytes = CNGHTTP2_frame_ping_payload(frame) else { return 0 }
    return (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
  }

  private func recordGoAway(_ frame: UnsafePointer<nghttp2_frame>) {
    guard let goAway = CNGHTTP2_frame_goaway(frame)?.pointee else { return }
    let debug = UnsafeRawBufferPointer(
      start: goAway.opaque_data, count: min(goAway.opaque_data_len, 200))
    record(
      .goAway(
        lastStreamID: goAway.last_stream_id, code: HTTP2ErrorCode(rawValue: goAway.error_code),
        debug: String(decoding: debug, as: UTF8.self)))
  }
}
