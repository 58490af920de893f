// Making an nghttp2 session: callbacks, options and the first frames. No state of its own.

internal import CNGHTTP2

enum NativeSession {
  /// The table of callbacks; nghttp2 copies it into each session, so one serves all.
  private static let callbacks: CallbackTable = CallbackTable()

  /// - Parameter memory: the source of the session's memory; nil: malloc.
  static func make(
    role: HTTP2Session.Role, configuration: HTTP2Configuration,
    memory: UnsafeMutablePointer<SessionMemory>?
  ) throws -> OpaquePointer {
    var option: OpaquePointer?
    guard nghttp2_option_new(&option) == 0, let option else {
      throw HTTP2SessionFailure.nghttp2("no memory for options")
    }
    defer { nghttp2_option_del(option) }
    nghttp2_option_set_no_auto_window_update(option, 1)
    nghttp2_option_set_no_closed_streams(option, 1)
    nghttp2_option_set_max_outbound_ack(option, configuration.maxOutboundAcknowledgements)
    nghttp2_option_set_max_continuations(option, configuration.maxContinuations)
    nghttp2_option_set_stream_reset_rate_limit(
      option, configuration.resetBurst, configuration.resetsPerSecond)
    // Until the peer's SETTINGS arrive the library would hold back requests at 100.
    nghttp2_option_set_peer_max_concurrent_streams(option, 100)

    var session: OpaquePointer?
    // The session copies it.
    var functions = memory.map(SessionMemory.functions)
    let code = withUnsafeMutablePointer(to: &functions) { functions in
      let functions = functions.pointee == nil ? nil : UnsafeMutableRawPointer(functions)
      let mem = functions?.assumingMemoryBound(to: nghttp2_mem.self)
      return switch role {
      case .server: nghttp2_session_server_new3(&session, callbacks.table, nil, option, mem)
      case .client: nghttp2_session_client_new3(&session, callbacks.table, nil, option, mem)
      }
    }
    guard code == 0, let session else {
      throw HTTP2SessionFailure.nghttp2(String(cString: nghttp2_strerror(code)))
    }
    return session
  }

  static func submitFirstFrames(
    _ session: OpaquePointer, role: HTTP2Session.Role, configuration: HTTP2Configuration
  ) throws {
    func entry(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
      nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value)
    }
    var settings = [
      entry(
        NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(max(0, configuration.streamWindowBytes))),
      entry(
        NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
        UInt32(clamping: configuration.maxHeaderListBytes)),
    ]
    switch role {
    case .server:
      settings.append(
        entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, configuration.maxConcurrentStreams))
      // Without this, DATA frames of several responses can't alternate: RFC 9218 priorities are
      // used only when the older ones are off, and the older ones are ignored by most clients.
      settings.append(entry(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1))
    case .client:
      settings.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
    }
    var code = settings.withUnsafeBufferPointer {
      nghttp2_submit_settings(
        session, UInt8(truncatingIfNeeded: NGHTTP2_FLAG_NONE.rawValue), $0.baseAddress, $0.count)
    }
    if code == 0 {
      code = nghttp2_session_set_local_window_size(
        session, UInt8(truncatingIfNeeded: NGHTTP2_FLAG_NONE.rawValue), 0,
        configuration.connectionWindowBytes)
    }
    guard code == 0 else {
      throw HTTP2SessionFailure.nghttp2(String(cString: nghttp2_strerror(code)))
    }
  }
}

/// Owns the C table of callbacks. Immutable once made.
private final class CallbackTable: @unchecked Sendable {
  // Sendable although it holds a pointer: nothing is written after init.
  let table: OpaquePointer?

  init() {
    var made: OpaquePointer?
    nghttp2_session_callbacks_new(&made)
    table = made
    guard let made else { return }
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, onBeginHeaders)
    nghttp2_session_callbacks_set_on_header_callback(made, onHeader)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, onDataChunk)
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, onFrameReceived)
    nghttp2_session_callbacks_set_on_frame_send_callback(made, onFrameSent)
    nghttp2_session_callbacks_set_on_stream_close_callback(made, onStreamClose)
    nghttp2_session_callbacks_set_send_data_callback(made, onSendData)
    nghttp2_session_callbacks_set_error_callback2(made, onError)
  }

  deinit {
    nghttp2_session_callbacks_del(table)
  }
}
