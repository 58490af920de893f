// HTTP/2 without sockets: bytes in, events out; commands in, bytes out. A thin owner of one
// nghttp2 session in either role.
//
// Thread: the connection's event loop, and nothing else. Not Sendable.
//
// The main rule of this room: nghttp2 must not be re-entered from its own callbacks (a documented
// crash). So the callbacks (HTTP2Session+Callbacks.swift) run no code of the owner; they record the
// event in the HTTP2Stream objects and put these on a list of touched streams. The owner processes
// that list after `receive` or `writePending` has returned and may then call any command:
//
//   session.receive(bytes)
//   session.forEachTouchedStream { stream in ... any command ... }
//   while let event = session.nextConnectionEvent() { ... any command ... }
//   session.writePending(into: &buffer)            // may close streams: drain once more
//
// Invariants:
// 1. A stream of nghttp2 is in `live`, which retains it for the library's raw pointer.
// 2. A stream leaves `live` only by `recycle`, which the owner calls once it has seen `isClosed`.
// 3. A stream is live, in the pool of its event loop, or freed.
// 4. A touched stream is live, so the list of them counts no references.
// 5. After a failure the library is never called again, except to free it.

internal import CNGHTTP2
import NIOCore

/// One HTTP/2 connection, sans I/O.
package final class HTTP2Session {
  /// Which side of the connection this is.
  package enum Role: Sendable {
    case server
    case client
  }

  /// The stage of `terminate`.
  private enum Termination {
    case none
    /// GOAWAY is queued; input of the peer is ignored.
    case queued
    /// It is written; nothing else will be.
    case sent
  }

  /// Bytes of a client's connection preface (RFC 9113 section 3.4).
  private static let prefaceBytes = 24

  package let role: Role
  package let configuration: HTTP2Configuration
  /// Frames counted since the beginning.
  package internal(set) var counters = HTTP2Counters()
  /// Why the session is dead, if it is.
  package private(set) var failure: HTTP2SessionFailure?
  /// The code of the GOAWAY that was written because of an error: the owner's decision, or the
  /// library's if the peer broke a rule.
  package internal(set) var errorSent: HTTP2ErrorCode?

  /// Body bytes of all streams that wait to be written.
  package internal(set) var outboundBytes = 0

  /// Body bytes of all streams written so far.
  package internal(set) var bodyBytesSent = 0
  /// Bytes of the large header lists of live streams.
  package internal(set) var largeHeaderBytes = 0
  /// Bytes that parked streams hold; see `park`.
  package internal(set) var parkedBytes = 0

  let handle: OpaquePointer
  /// Servers only.
  private let memory: UnsafeMutablePointer<SessionMemory>?
  /// Whether a stream was begun since memory was last returned.
  private var wasUsed = false
  private var meter: FrameMeter
  private var termination = Termination.none
  /// The last stream of the peer that was begun, when the session failed.
  private(set) var lastPeerStream: Int32 = 0
  var output = ByteBuffer()
  var outputLimit = Int.max
  var connectionCredit = 0
  /// What of `parkedBytes` the connection's window was credited for.
  var lentBytes = 0
  /// The header block that is being decoded.
  let headerDecoding: UnsafeMutablePointer<HeaderDecoding>
  var isInsideLibrary = false
  var nghttp2Message: String?
  /// Fields laid out for the library; nil until a block is. A server's replies are laid out
  /// already.
  var fieldScratch: UnsafeMutablePointer<nghttp2_nv>?
  var fieldScratchCapacity = 0

  private var touched = TouchedStreams()
  private var events: [HTTP2ConnectionEvent] = []
  private var eventsHead = 0
  private var live: ContiguousArray<HTTP2Stream> = []
  private let pool: HTTP2StreamPool

  /// Makes a session and queues its first SETTINGS (and a client's preface).
  ///
  /// - Parameter pool: the pool of its streams; all sessions of one loop may share one.
  package init(
    role: Role, configuration: HTTP2Configuration = HTTP2Configuration(),
    pool: HTTP2StreamPool = HTTP2StreamPool(streamsMax: HTTP2StreamPool.sessionStreamsMax)
  ) throws {
    self.role = role
    self.pool = pool
    self.configuration = configuration
    meter = FrameMeter(prefaceBytes: role == .server ? Self.prefaceBytes : 0)
    memory = role == .server ? .allocate(capacity: 1) : nil
    memory?.initialize(to: SessionMemory(pool.memory))
    do {
      handle = try NativeSession.make(role: role, configuration: configuration, memory: memory)
    } catch {
      memory?.deallocate()
      throw error
    }
    memory?.pointee.made()
    headerDecoding = .allocate(capacity: 1)
    headerDecoding.initialize(
      to: HeaderDecoding(
        fieldsMax: configuration.maxHeaderFields, bytesMax: configuration.maxHeaderListBytes))
    nghttp2_session_set_user_data(handle, Unmanaged.passUnretained(self).toOpaque())
    try NativeSession.submitFirstFrames(handle, role: role, configuration: configuration)
  }

  deinit {
    nghttp2_session_del(handle)
    memory?.deallocate()
    headerDecoding.deallocate()
    fieldScratch?.deallocate()
  }

  /// Takes input of the peer. Any content is safe. No code of the owner runs inside.
  package func receive(_ bytes: UnsafeRawBufferPointer) {
    guard failure == nil, termination == .none, let base = bytes.baseAddress, bytes.count > 0
    else { return }
    guard enterLibrary() else { return }
    meter.read(bytes)
    counters.framesReceived = meter.frames
    let taken = CNGHTTP2_mem_recv(handle, base, bytes.count)
    isInsideLibrary = false
    if taken < 0 {
      let code = Int32(truncatingIfNeeded: taken)
      fail(code == NGHTTP2_ERR_FLOODED.rawValue ? .flooded : .nghttp2(describe(code)))
    }
  }

  /// Calls `body` for each stream to which something happened since it was passed to it last. What
  /// happens meanwhile is part of it, and `body` may call this again.
  @inline(__always)
  package func forEachTouchedStream(_ body: (HTTP2Stream) -> Void) {
    // `live` retains the stream until `body` recycles it, and then the pool.
    while let stream = touched.popFirst() { pool.lend(stream, body) }
  }

  /// The next event of the connection, or nil.
  package func nextConnectionEvent() -> HTTP2ConnectionEvent? {
    guard eventsHead < events.count else {
      if eventsHead != 0 {
        events.removeAll(keepingCapacity: true)
        eventsHead = 0
      }
      return nil
    }
    defer { eventsHead += 1 }
    return events[eventsHead]
  }

  /// Whether no more input or output will follow: the owner should write what is pending and close.
  package var isFinished: Bool {
    if failure != nil || termination == .sent { return true }
    return nghttp2_session_want_read(handle) == 0 && nghttp2_session_want_write(handle) == 0
  }

  /// Whether `writePending` would produce bytes.
  package var wantsWrite: Bool {
    failure == nil && termination != .sent
      && (connectionCredit > 0 || nghttp2_session_want_write(handle) != 0)
  }

  /// Streams that are open, or closed and not yet recycled.
  package var liveStreamCount: Int { live.count }

  /// The open streams, for an owner that must visit all of them (drain, keep-alive). O(streams).
  package var liveStreams: [HTTP2Stream] { Array(live) }

  /// Notifies the session that the connection is gone: every live stream is closed with
  /// `.internalError` (unless it was closed already) and touched.
  package func connectionLost() {
    fail(.connectionLost)
  }

  /// Gives a closed stream back. The owner calls it once it has seen `isClosed`.
  package func recycle(_ stream: HTTP2Stream) {
    guard stream.isClosed, stream.id != 0 else { return }
    if stream.isTouched { touched.remove(stream) }
    if headerDecoding.pointee.streamID == stream.id { endDecoding() }
    connectionCredit += stream.unconsumed - repay(stream, stream.unconsumed)
    outboundBytes -= stream.accountedOutbound
    largeHeaderBytes -= stream.largeHeaderBytes
    let index = stream.liveIndex
    guard index >= 0, index < live.count, live[index] === stream else { return }
    // The caller may hold no reference of its own.
    let kept = live[index]
    let last = live.removeLast()
    if last !== kept {
      live[index] = last
      last.liveIndex = index
    }
    kept.clear()
    pool.keep(kept)
  }

  /// Forgets the owner's objects on all open streams. To be called when the connection is over.
  package func releaseContexts() {
    for stream in live { stream.context = nil }
  }

  /// Frees memory that a session without streams doesn't need. Call it when the session has been
  /// idle for a while: the next call costs a page fault. O(1).
  package func releaseIdleMemory() {
    guard wasUsed, live.isEmpty, !isInsideLibrary else { return }
    wasUsed = false
    memory?.pointee.releaseIdle()
  }

  /// Bytes received so far, of frames of all kinds.
  package var bytesReceived: Int { meter.bytes }

  /// Whether a header block has begun and not ended.
  package var isInsideHeaderBlock: Bool { headerDecoding.pointee.stream != nil }

  // MARK: - For the extensions of this class

  func enterLibrary() -> Bool {
    assert(!isInsideLibrary, "nghttp2 may not be re-entered")
    if isInsideLibrary { return false }
    isInsideLibrary = true
    return true
  }

  func beginDecoding(_ stream: HTTP2Stream) {
    headerDecoding.pointee.stream = .passUnretained(stream)
    headerDecoding.pointee.streamID = stream.id
    headerDecoding.pointee.target =
      stream.headersReceived ? stream.trailers.storage : stream.headers.storage
  }

  func endDecoding() {
    headerDecoding.pointee.stream = nil
    headerDecoding.pointee.target = nil
  }

  /// Marks the session as ending with the GOAWAY that is queued now. False if it was before.
  func beginTermination() -> Bool {
    guard termination == .none else { return false }
    termination = .queued
    return true
  }

  /// GOAWAY was written. Those of a drain, which may have waited before that of `terminate`, have
  /// no text.
  func goAwaySent(hasText: Bool) {
    if termination == .queued, hasText { termination = .sent }
  }

  var isTerminated: Bool { termination == .sent }

  func touch(_ stream: HTTP2Stream) {
    if !stream.isTouched { touched.append(stream) }
  }

  func record(_ event: HTTP2ConnectionEvent) {
    events.append(event)
  }

  func takeStream() -> HTTP2Stream {
    let stream = pool.take()
    wasUsed = true
    stream.liveIndex = live.count
    live.append(stream)
    return stream
  }

  /// Undoes `takeStream` for a stream that was never opened.
  func abandon(_ stream: HTTP2Stream) {
    _ = stream.state.close(.noError)
    stream.id = -1
    recycle(stream)
  }

  func markClosed(_ stream: HTTP2Stream, code: HTTP2ErrorCode) {
    if stream.state.close(code) { touch(stream) }
  }

  func fail(_ reason: HTTP2SessionFailure) {
    guard failure == nil else { return }
    lastPeerStream = nghttp2_session_get_last_proc_stream_id(handle)
    failure = reason
    for stream in live {
      markClosed(stream, code: .internalError)
    }
  }

  func describe(_ code: Int32) -> String {
    nghttp2Message ?? String(cString: nghttp2_strerror(code))
  }
}
