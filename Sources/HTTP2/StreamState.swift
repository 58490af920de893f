// The state of one stream: what has arrived, what is sent, and whether it has ended (the part of
// RFC 9113 section 5.1 that the library doesn't do). A value; it owns no memory and calls nothing.
// Its methods take an event or a request of the owner, and return what is to be done.
//
// The directions are independent. Incoming: headers -> body -> ended, with trailers or without.
// Outgoing: silent -> body -> its last part, or its last part before trailers -> trailers.

/// The state of one stream.
@usableFromInline
struct StreamState {
  @usableFromInline
  enum Incoming {
    case headers
    case body
    case ended
    case endedByTrailers
  }

  private enum Outgoing {
    /// No headers were submitted.
    case silent
    /// The owner may append to the body.
    case body
    /// What waits of the body is the last of it: END_STREAM follows.
    case lastBody
    /// What waits of the body is the last of it: trailers follow.
    case bodyBeforeTrailers
    /// The library has the trailers.
    case trailers
  }

  @usableFromInline
  enum Life {
    case open
    /// RST_STREAM is queued.
    case resetting
    case closed(HTTP2ErrorCode)
  }

  /// The kind of a header block that has ended.
  enum Block {
    /// 1xx (RFC 9110 section 15.2): the real headers follow.
    case interim
    case lasting
  }

  /// The result for the library when it asks for the next part of the body.
  enum Part: Equatable {
    /// Nothing now; the library must be notified when there is more.
    case none
    /// This many bytes, and it asks again.
    case some(Int)
    /// This many bytes and END_STREAM.
    case last(Int)
    /// This many bytes, and the trailers are to be submitted behind them.
    case lastBeforeTrailers(Int)
  }

  @usableFromInline private(set) var incoming = Incoming.headers
  private var outgoing = Outgoing.silent
  @usableFromInline private(set) var life = Life.open
  /// The library doesn't ask for more of the body until it is notified.
  private var isWaitedFor = false

  /// A header block passed the limits of fields or bytes; the rest of it was thrown away.
  @usableFromInline private(set) var headersTooLarge = false
  /// The HEADERS that open our side were handed to the output buffer. Kept for clients, and for
  /// responses without a body.
  private(set) var headersSent = false
  /// What else arrives of the body is credited and dropped.
  private(set) var discardsBody = false

  // MARK: - Queries

  @inlinable
  var hasHeaders: Bool { if case .headers = incoming { false } else { true } }
  var hasTrailers: Bool { incoming == .endedByTrailers }
  @inlinable
  var hasPeerEnded: Bool {
    switch incoming {
    case .headers, .body: false
    case .ended, .endedByTrailers: true
    }
  }
  var isAnnounced: Bool { outgoing != .silent }
  var haveWeEnded: Bool { outgoing != .silent && outgoing != .body }

  @inlinable
  var isClosed: Bool {
    if case .closed = life { return true }
    return false
  }

  /// The code the stream was closed with; `.noError` while it isn't.
  var closeCode: HTTP2ErrorCode {
    if case .closed(let code) = life { return code }
    return .noError
  }

  /// Whether RST_STREAM is being sent by our decision, and not because the peer broke a rule.
  var isResetting: Bool {
    if case .resetting = life { return true }
    return false
  }

  // MARK: - The peer

  mutating func overranHeaders() { headersTooLarge = true }

  /// A header block is complete.
  mutating func receivedBlock(isInterim: Bool, endsStream: Bool) -> Block {
    switch incoming {
    case .headers where isInterim: return .interim
    case .headers: incoming = endsStream ? .ended : .body
    // (The library refuses trailers that don't end the stream.)
    case .body where endsStream: incoming = .endedByTrailers
    case .body, .ended, .endedByTrailers: break
    }
    return .lasting
  }

  /// The body's last frame arrived.
  mutating func receivedEnd() {
    if incoming == .body { incoming = .ended }
  }

  mutating func discardBody() { discardsBody = true }

  // MARK: - Our side

  /// Headers are submitted. Returns false, and nothing may be done, if they were or if the stream
  /// is over.
  mutating func announce(hasBody: Bool) -> Bool {
    guard !isClosed, outgoing == .silent else { return false }
    outgoing = hasBody ? .body : .lastBody
    return true
  }

  /// Headers are submitted, and trailers follow what waits of the body. Returns as `announce` does.
  mutating func announceWhole() -> Bool {
    guard !isClosed, outgoing == .silent else { return false }
    outgoing = .bodyBeforeTrailers
    return true
  }

  /// Ends our side with the body. Returns false if it isn't open.
  mutating func finish() -> Bool {
    guard !isClosed, outgoing == .body else { return false }
    outgoing = .lastBody
    return true
  }

  /// Ends our side with trailers. Returns false if it isn't open.
  mutating func finishWithTrailers() -> Bool {
    guard !isClosed, outgoing == .body else { return false }
    outgoing = .bodyBeforeTrailers
    return true
  }

  /// The library got the trailers.
  mutating func submittedTrailers() { outgoing = .trailers }

  /// Says how much of the body goes into the next frame.
  ///
  /// - Parameters:
  ///   - available: bytes of it that wait.
  ///   - limit: most bytes of a frame.
  mutating func nextPart(available: Int, limit: Int) -> Part {
    let count = min(available, limit)
    switch outgoing {
    case .silent, .body, .trailers:
      if count > 0 { return .some(count) }
    case .lastBody, .bodyBeforeTrailers:
      if count == 0, isResetting { break }
      guard count == available else { return .some(count) }
      return outgoing == .lastBody ? .last(count) : .lastBeforeTrailers(count)
    }
    isWaitedFor = true
    return .none
  }

  /// There is more of the body, or its end is known. Returns whether the library must be notified.
  mutating func bodyChanged() -> Bool {
    defer { isWaitedFor = false }
    return isWaitedFor
  }

  // MARK: - The end

  /// HEADERS of ours were written. Returns whether RST_STREAM has to follow: a server that ends a
  /// call before the client has half-closed must send it (gRPC). It is queued only now, because an
  /// earlier one would overtake the trailers.
  mutating func sentHeaders(endStream: Bool, isServer: Bool) -> Bool {
    headersSent = true
    guard isServer, endStream, !hasPeerEnded, case .open = life else { return false }
    life = .resetting
    return true
  }

  /// The owner ends the stream. Returns whether RST_STREAM has to be submitted.
  mutating func reset() -> Bool {
    guard case .open = life else { return false }
    life = .resetting
    discardsBody = true
    return true
  }

  /// The stream is over. Returns false if it was before.
  mutating func close(_ code: HTTP2ErrorCode) -> Bool {
    if isClosed { return false }
    life = .closed(code)
    return true
  }
}
