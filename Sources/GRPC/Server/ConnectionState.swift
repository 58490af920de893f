// What a server connection remembers beside its calls: keep-alive, floods, time limits, age. Small
// machines with private state; their methods return what the handler must do
// (GRPCServerHandler+Connection.swift). None of it is on the path of a call.
//
// Values; on the connection's event loop. The clock is passed in.

import HTTP2
import NIOCore

struct ConnectionState {
  /// The payloads of the PING that ends a drain's round trip, and of a keep-alive PING.
  static let drainPing: UInt64 = 0x7273_6472_6169_6e21
  static let keepalivePing: UInt64 = 0x7273_616c_6976_653f

  private var keepalive: KeepalivePolicy
  /// The watch over a silent client; nil: there is none.
  private var liveness: Liveness?
  private(set) var keepAlivesSent = 0
  /// How old the connection may become; nil: no limit.
  private var age: ConnectionAge?
  private let openedNanos: UInt64
  var floods: FloodWatch
  var preface: PrefaceWatch
  var idle: IdleWatch
  var progress = ConnectionProgress()

  init(configuration: ServerConfiguration, nowNanos: UInt64, chance: () -> UInt64) {
    keepalive = KeepalivePolicy(
      minIntervalNanos: configuration.minPingIntervalNanos,
      minIdleIntervalNanos: configuration.minIdlePingIntervalNanos)
    openedNanos = nowNanos
    floods = FloodWatch(configuration, nowNanos: nowNanos)
    preface = PrefaceWatch(timeoutNanos: configuration.handshakeTimeoutNanos, nowNanos: nowNanos)
    idle = IdleWatch(idleNanosMax: configuration.idleNanosMax, nowNanos: nowNanos)
    if configuration.ageNanosMax > 0 {
      age = ConnectionAge(
        maxNanos: configuration.ageNanosMax, graceNanos: configuration.ageGraceNanos,
        openedNanos: nowNanos, chance: chance())
    }
    if configuration.keepaliveNanos > 0 {
      liveness = Liveness(
        intervalNanos: configuration.keepaliveNanos,
        timeoutNanos: configuration.keepaliveTimeoutNanos,
        lookNanos: UInt64(configuration.sweepNanos), nowNanos: nowNanos)
    }
  }

  func ageNanos(nowNanos: UInt64) -> UInt64 { nowNanos &- openedNanos }

  // MARK: - Keep-alive

  /// The client is alive: bytes have arrived, or were acknowledged.
  @inline(__always)
  mutating func heard() { liveness?.heard() }

  /// Silence counts from now on.
  mutating func restartSilence(nowNanos: UInt64) { liveness?.restart(nowNanos: nowNanos) }

  /// - Parameter unheardNanos: as of `Liveness.look`.
  /// - Returns: what to do about a silent client; nil: it isn't watched.
  mutating func lookForLife(nowNanos: UInt64, unheardNanos: () -> UInt64?) -> Liveness.Action? {
    let action = liveness?.look(nowNanos: nowNanos, unheardNanos: unheardNanos)
    if case .ping = action { keepAlivesSent += 1 }
    return action
  }

  /// The client has sent a PING. Returns whether it may.
  mutating func pingReceived(nowNanos: UInt64, hasCalls: Bool, usefulFramesSent: Int) -> Bool {
    keepalive.received(
      nowNanos: nowNanos, hasCalls: hasCalls, usefulFramesSent: usefulFramesSent)
  }

  mutating func permitPings(everyNanos: UInt64) { keepalive.permit(everyNanos: everyNanos) }

  // MARK: - Age

  mutating func lookAtAge(nowNanos: UInt64) -> ConnectionAge.Step {
    age?.look(nowNanos: nowNanos) ?? .nothing
  }

  /// The age is limited no more.
  mutating func endAgeLimit() { age = nil }
}

/// Compares what a client has sent with its limits.
struct FloodWatch {
  private let excessResetsMax: Int
  private let errorResetsMax: Int
  private let controlFramesMax: Int
  private let periodNanos: UInt64
  /// RST_STREAM frames that the node's counters have.
  private var resetsCounted = 0
  /// What there was when the current period began.
  private var controlFrames = 0
  private var usefulFrames = 0
  private var streams = 0
  private var sinceNanos: UInt64

  init(_ configuration: ServerConfiguration, nowNanos: UInt64) {
    excessResetsMax = configuration.maxExcessResets
    errorResetsMax = configuration.maxErrorResets
    controlFramesMax = configuration.maxControlFrames
    periodNanos = configuration.controlFramePeriodNanos
    sinceNanos = nowNanos
  }

  /// RST_STREAM frames that have arrived since the last time.
  mutating func newResets(_ counters: HTTP2Counters) -> Int {
    let count = counters.resetsReceived - resetsCounted
    resetsCounted = counters.resetsReceived
    return count
  }

  /// - Parameter replied: the connection's calls that have had their replies.
  /// - Returns: why the connection must be closed; nil: it need not be.
  mutating func look(
    _ counters: HTTP2Counters, replied: Int, nowNanos: @autoclosure () -> UInt64
  ) -> ConnectionEnd? {
    if counters.resetsBeforeResponse > excessResetsMax + replied { return .tooManyResets }
    if counters.resetsForPeerErrors > errorResetsMax + replied / 10 { return .tooManyStreamErrors }
    guard counters.controlFramesReceived - controlFrames > controlFramesMax else { return nil }
    return isFlood(counters, nowNanos: nowNanos()) ? .tooManyControlFrames : nil
  }

  private mutating func isFlood(_ counters: HTTP2Counters, nowNanos: UInt64) -> Bool {
    let frames = counters.controlFramesReceived - controlFrames
    let useful = counters.usefulFramesSent - usefulFrames
    // Clients send a WINDOW_UPDATE for the reply of each call, long before there is a reply.
    let opened = counters.streamsOpened - streams
    if nowNanos &- sinceNanos < periodNanos {
      return frames > controlFramesMax + 10 * useful + opened
    }
    sinceNanos = nowNanos
    streams = counters.streamsOpened
    controlFrames = counters.controlFramesReceived
    usefulFrames = counters.usefulFramesSent
    return false
  }
}

/// Whether a client sends its preface, and the headers that it has begun, in time.
struct PrefaceWatch {
  private let timeoutNanos: UInt64
  private let openedNanos: UInt64
  private var hasSettings = false
  /// Since when the client is inside a header block; nil: it isn't.
  private var headersSinceNanos: UInt64?

  init(timeoutNanos: UInt64, nowNanos: UInt64) {
    self.timeoutNanos = timeoutNanos
    openedNanos = nowNanos
  }

  mutating func settingsReceived() { hasSettings = true }

  /// - Returns: why the connection must be closed; nil: it need not be.
  mutating func look(nowNanos: UInt64, isInsideHeaderBlock: Bool) -> ConnectionEnd? {
    if !hasSettings, nowNanos &- openedNanos > timeoutNanos { return .noPreface }
    guard isInsideHeaderBlock else {
      headersSinceNanos = nil
      return nil
    }
    let since = headersSinceNanos ?? nowNanos
    headersSinceNanos = since
    return nowNanos &- since > timeoutNanos ? .slowHeaders : nil
  }
}

/// Whether calls are made on a connection.
struct IdleWatch {
  enum Look {
    /// Calls are in progress, or there were some since the last look.
    case active
    /// There were none for a while.
    case quiet
    /// There were none for too long.
    case idle
  }

  private let idleNanosMax: UInt64
  private var callsSeen = 0
  /// When there was last a call in progress.
  private var activeNanos: UInt64

  /// - Parameter idleNanosMax: 0: no limit.
  init(idleNanosMax: UInt64, nowNanos: UInt64) {
    self.idleNanosMax = idleNanosMax
    activeNanos = nowNanos
  }

  /// - Parameters:
  ///   - calls: all calls that there ever were on the connection.
  ///   - hasLive: whether one is in progress, or its reply is being sent.
  mutating func look(calls: Int, hasLive: Bool, nowNanos: UInt64) -> Look {
    if hasLive || calls != callsSeen {
      callsSeen = calls
      activeNanos = nowNanos
      return .active
    }
    return idleNanosMax > 0 && nowNanos &- activeNanos > idleNanosMax ? .idle : .quiet
  }

  func idleNanos(nowNanos: UInt64) -> UInt64 { nowNanos &- activeNanos }
}

/// How much a client reads of the pending replies, and how much it sends.
struct ConnectionProgress {
  private var taken = TakenBytes()
  private var outbound = ProgressWindow()
  private var inbound = ProgressWindow()

  /// Bytes of replies that the client has read, as of the last look.
  var takenBytes: Int { taken.count }

  /// Finds out how much the client has read. Returns whether it is more than at the last look.
  ///
  /// - Parameter written: bytes of replies that were sent so far.
  @discardableResult
  mutating func look(written: Int, _ channel: any Channel) -> Bool {
    let before = taken.count
    taken.look(written: written, channel)
    return taken.count > before
  }

  /// Nothing waits for the client, or something else does than before.
  mutating func restartOutput() { outbound.restart() }

  mutating func isSlowToTake(nowNanos: UInt64, periodNanos: UInt64, bytesMin: Int) -> Bool {
    outbound.isSlow(
      bytes: taken.count, nowNanos: nowNanos, periodNanos: periodNanos, bytesMin: bytesMin)
  }

  /// - Parameter bytes: all that were received.
  mutating func isSlowToSend(
    bytes: Int, nowNanos: UInt64, periodNanos: UInt64, bytesMin: Int
  ) -> Bool {
    inbound.isSlow(
      bytes: bytes, nowNanos: nowNanos, periodNanos: periodNanos, bytesMin: bytesMin)
  }
}
