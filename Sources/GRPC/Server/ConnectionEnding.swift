// The steps of closing a server's connection: the drain, the decision, the last output, the linger.
// A value that calls nothing; GRPCServerHandler+Ending.swift performs the returned actions.

/// The state of a connection's end.
struct ConnectionEnding {
  private enum Stage {
    case open
    /// All output is queued and calls have ended; the socket has not accepted all of it yet.
    /// Nothing is read.
    case finishing
    /// Our side is closed; data of the client is discarded for a moment.
    case lingering
    /// Nothing is read or written any more.
    case gone
  }

  private enum Drain {
    case none
    /// GOAWAY with the highest id is out; the client may still open streams.
    case announced
    /// The real GOAWAY is out.
    case final
  }

  private var stage = Stage.open
  private var drain = Drain.none
  /// The server closes the connection, for a recorded reason.
  private var isDecided = false
  /// The client sends no more.
  private(set) var isInputClosed = false
  private var discardedBytes = 0

  // MARK: - Properties

  /// Whether calls continue.
  var isOpen: Bool { stage == .open }
  /// Whether bytes are read: calls, or data to discard.
  var reads: Bool { stage != .finishing }
  /// Whether the socket may still have output to accept.
  var hasLastWords: Bool { stage == .open || stage == .finishing }
  var isLingering: Bool { stage == .lingering }
  var isGone: Bool { stage == .gone }
  var isDraining: Bool { drain != .none }
  /// Whether new streams are refused.
  var refusesStreams: Bool { drain == .final }

  // MARK: - The drain

  /// A drain begins. Returns whether it hadn't.
  mutating func announceDrain() -> Bool {
    guard drain == .none else { return false }
    drain = .announced
    return true
  }

  /// The client has seen the announcement. Returns whether the real GOAWAY is due.
  mutating func finishDrain() -> Bool {
    guard drain == .announced else { return false }
    drain = .final
    return true
  }

  /// GOAWAY names the last stream.
  mutating func refuseStreams() { drain = .final }

  // MARK: - The end

  /// The server closes the connection for a reason. Returns whether it is the first one, which is
  /// recorded.
  mutating func decide() -> Bool {
    guard !isDecided, stage != .gone else { return false }
    isDecided = true
    return true
  }

  /// All output is queued.
  mutating func finish() {
    if stage == .open { stage = .finishing }
  }

  /// The action when the socket has accepted everything.
  enum Output {
    case nothing
    /// Only our side: the client still sends, and a reset would discard our last output.
    case closeSide
    case closeSocket
  }

  mutating func wroteAll() -> Output {
    guard stage == .finishing else { return .nothing }
    if isInputClosed { return .closeSocket }
    stage = .lingering
    return .closeSide
  }

  /// Bytes arrived after the end. Returns whether they are too many.
  mutating func discard(_ byteCount: Int) -> Bool {
    discardedBytes += byteCount
    return discardedBytes > ServerConfiguration.lingerBytesMax
  }

  /// What follows when the client sends no more.
  enum Input {
    case nothing
    /// Complete calls get their replies.
    case completeTheRest
    case closeSocket
  }

  mutating func inputClosed() -> Input {
    isInputClosed = true
    return switch stage {
    case .open: .completeTheRest
    case .lingering: .closeSocket
    case .finishing, .gone: .nothing
    }
  }

  /// Nothing is read or written any more. Returns whether something was.
  mutating func leave() -> Bool {
    guard stage != .gone else { return false }
    stage = .gone
    return true
  }
}
