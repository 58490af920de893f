// What concerns the connection itself: keep-alive, floods, time limits, drain. None of it is on the
// path of a call.

import HTTP2
import Logging
import NIOCore

/// The state for that.
struct ConnectionState {
  /// The payloads of the PING that ends a drain's round trip, and of a keep-alive PING.
  static let drainPing: UInt64 = 0x7273_6472_6169_6e21
  static let lifePing: UInt64 = 0x7273_616c_6976_653f

  var keepalive: KeepalivePolicy
  /// The watch over a silent client; nil: there is none.
  var liveness: Liveness?
  var hasSettings = false
  let openedNanos: UInt64
  var headerBlockSinceNanos: UInt64?
  var controlFramesAtPeriodStart = 0
  var usefulFramesAtPeriodStart = 0
  var periodStartNanos: UInt64
  /// How much the client reads of the pending replies, and how much it sends.
  var taken = TakenBytes()
  var outboundProgress = ProgressWindow()
  var inboundProgress = ProgressWindow()
  /// RST_STREAM frames that the node's counters have.
  var resetsCounted = 0
  /// Keep-alive PINGs.
  var keepAlivesSent = 0
  /// Calls that there were at the last sweep, and when there was last one in progress.
  var sweptCalls = 0
  var activeNanos: UInt64
  /// How old the connection may become; nil: no limit.
  var age: ConnectionAge?

  init(configuration: ServerConfiguration, nowNanos: UInt64, chance: () -> UInt64) {
    keepalive = KeepalivePolicy(
      minIntervalNanos: configuration.minPingIntervalNanos,
      minIdleIntervalNanos: configuration.minIdlePingIntervalNanos)
    openedNanos = nowNanos
    periodStartNanos = nowNanos
    activeNanos = nowNanos
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
}

extension GRPCServerHandler {
  func connectionEvent(_ event: HTTP2ConnectionEvent) {
    switch event {
    case .settingsReceived:
      state.hasSettings = true
    case .pingReceived:
      let isAllowed = state.keepalive.received(
        nowNanos: loop.nowNanos, hasCalls: tally.open > 0,
        usefulFramesSent: session.counters.usefulFramesSent)
      if !isAllowed { cut(.tooManyPings) }
    case .pingAcknowledged(let payload):
      if payload == ConnectionState.drainPing { finishDrain() }
    case .goAway, .settingsAcknowledged:
      break
    }
  }

  func permitPings(everyNanos: UInt64) {
    state.keepalive.minIntervalNanos = everyNanos
    state.keepalive.minIdleIntervalNanos = everyNanos
  }

  func becomeLink() {
    place?.becomeLink()
    isLink = true
    // It carries calls of many clients, and the outcomes of their writes would be unknown. A new
    // link would lead to the same shard, so it would balance nothing.
    state.age = nil
  }

  // MARK: - Floods

  /// Compares what the client has sent with its limits. Called once per read.
  func checkFloods() {
    let counters = session.counters
    if counters.resetsReceived != state.resetsCounted {
      loop.connections.calls(reset: counters.resetsReceived - state.resetsCounted)
      state.resetsCounted = counters.resetsReceived
    }
    if counters.resetsBeforeResponse > configuration.maxExcessResets + tally.answered {
      cut(.tooManyResets)
    } else if counters.resetsForPeerErrors > configuration.maxErrorResets + tally.answered / 10 {
      cut(.tooManyStreamErrors)
    } else if isControlFlood(counters) {
      cut(.tooManyControlFrames)
    }
  }

  private func isControlFlood(_ counters: HTTP2Counters) -> Bool {
    let frames = counters.controlFramesReceived - state.controlFramesAtPeriodStart
    guard frames > configuration.maxControlFrames else { return false }
    let useful = counters.usefulFramesSent - state.usefulFramesAtPeriodStart
    let now = loop.nowNanos
    if now &- state.periodStartNanos < configuration.controlFramePeriodNanos {
      return frames > configuration.maxControlFrames + 10 * useful
    }
    state.periodStartNanos = now
    state.controlFramesAtPeriodStart = counters.controlFramesReceived
    state.usefulFramesAtPeriodStart = counters.usefulFramesSent
    return false
  }

  // MARK: - Bounds of connections

  /// Refuses a call on a connection that is above the node's limits, and ends the connection: the
  /// client gets the reason as the call's status, and a GOAWAY once the calls that the connection
  /// may carry have their replies.
  func refuseExcess(_ call: ServerCall, _ refusal: ConnectionEnd) {
    reject(
      call,
      RPCStatus(.resourceExhausted, "\(refusal.name): \(loop.connections.sentence(refusal))"))
    guard ending.decide() else { return }
    note(refusal)
    ending.refuseStreams()
    session.shutDown(code: refusal.code, debug: refusal.name)
    needsFlush()
  }

  /// A connection above the limits must soon make a call that it may carry, and is closed after a
  /// while unless it becomes a link.
  func watchExcess() {
    let first = TimeAmount.nanoseconds(Int64(ServerConfiguration.reservedFirstCallNanosMax))
    loop.eventLoop.assumeIsolated().scheduleTask(in: first) { [weak self] in
      guard let self, ending.isOpen, let refusal = place?.excess else { return }
      let age = loop.nowNanos &- state.openedNanos
      if tally.open == 0 || age >= ServerConfiguration.reservedNanosMax {
        cut(refusal)
      } else {
        watchExcess()
      }
    }
  }

  // MARK: - Time limits

  /// Looks for a client that makes no progress. Called every few seconds.
  func sweep(nowNanos: UInt64) {
    guard ending.isOpen, !ending.isInputClosed else { return sweepEnding(nowNanos: nowNanos) }
    lookForLife(nowNanos: nowNanos)
    lookForCalls(nowNanos: nowNanos)
    lookAtAge(nowNanos: nowNanos)
    if !state.hasSettings, nowNanos &- state.openedNanos > configuration.handshakeTimeoutNanos {
      cut(.noPreface)
      return
    }
    if session.isInsideHeaderBlock {
      let since = state.headerBlockSinceNanos ?? nowNanos
      state.headerBlockSinceNanos = since
      if nowNanos &- since > configuration.handshakeTimeoutNanos {
        cut(.slowHeaders)
        return
      }
    } else {
      state.headerBlockSinceNanos = nil
    }
    sweepCalls(nowNanos: nowNanos)
  }

  private func lookForLife(nowNanos: UInt64) {
    // While the connection isn't read, its PINGs can't be seen. Other limits apply to that.
    if isReadHeldBack { state.liveness?.restart(nowNanos: nowNanos) }
    let channel = context?.channel
    switch state.liveness?.look(
      nowNanos: nowNanos, unheardNanos: { channel.flatMap(SilentPeers.unheardNanos) })
    {
    case .ping:
      state.keepAlivesSent += 1
      session.ping(payload: ConnectionState.lifePing)
      needsFlush()
    case .dead: cut(.keepaliveTimeout)
    case .wait, nil: break
    }
  }

  private func lookForCalls(nowNanos: UInt64) {
    let calls = session.counters.streamsOpened
    // Time in which replies are being sent is not idle time either.
    if session.liveStreamCount > 0 || calls != state.sweptCalls {
      state.sweptCalls = calls
      state.activeNanos = nowNanos
      return
    }
    session.releaseIdleMemory()
    if configuration.idleNanosMax > 0, !ending.isDraining,
      nowNanos &- state.activeNanos > configuration.idleNanosMax
    {
      note(.idle)
      beginDrain()
    }
  }

  private func lookAtAge(nowNanos: UInt64) {
    switch state.age?.look(nowNanos: nowNanos) {
    // A connection that is ending already has the time limit of the reason for its end.
    case .drain where ending.isDraining: state.age = nil
    case .drain:
      note(.maxAge)
      beginDrain()
    case .cut: cut(.maxAgeGrace)
    case .nothing, nil: break
    }
  }

  // MARK: - Drain

  /// Tells the client to open no more streams. In-flight calls continue; the connection closes when
  /// they are done.
  func beginDrain() {
    guard session.failure == nil, ending.announceDrain() else { return }
    session.announceShutdown()
    session.ping(payload: ConnectionState.drainPing)
    needsFlush()
    let wait = TimeAmount.nanoseconds(ServerConfiguration.drainRoundTripNanos)
    loop.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.finishDrain() }
  }

  private func finishDrain() {
    guard ending.finishDrain() else { return }
    session.shutDown()
    needsFlush()
  }
}
