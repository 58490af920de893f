// The connection's own affairs: keep-alive, floods, time limits, drain. None of it is on the way of
// a call.

import HTTP2
import Logging
import NIOCore

/// What a connection remembers for its own affairs.
struct ConnectionState {
  enum Drain {
    case none
    /// GOAWAY with the highest id is out; the client may still open streams.
    case announced
    /// The real GOAWAY is out.
    case final
  }

  /// The payload of the PING that ends a drain's round trip.
  static let drainPing: UInt64 = 0x7273_6472_6169_6e21

  var drain = Drain.none
  var keepalive: KeepalivePolicy
  var hasSettings = false
  let openedNanos: UInt64
  var headerBlockSinceNanos: UInt64?
  var controlFramesAtPeriodStart = 0
  var usefulFramesAtPeriodStart = 0
  var periodStartNanos: UInt64
  /// What the client takes of the answers that wait for it, and what it sends.
  var outboundProgress = ProgressWindow()
  var inboundProgress = ProgressWindow()
  /// Streams opened until the last sweep.
  var sweptStreamsOpened = 0

  init(configuration: ServerConfiguration, nowNanos: UInt64) {
    keepalive = KeepalivePolicy(
      minIntervalNanos: configuration.minPingIntervalNanos,
      minIdleIntervalNanos: configuration.minIdlePingIntervalNanos)
    openedNanos = nowNanos
    periodStartNanos = nowNanos
  }
}

extension GRPCServerHandler {
  func connectionEvent(_ event: HTTP2ConnectionEvent) {
    switch event {
    case .settingsReceived:
      state.hasSettings = true
    case .pingReceived:
      let isAllowed = state.keepalive.received(
        nowNanos: loop.nowNanos, hasCalls: openCalls > 0,
        usefulFramesSent: session.counters.usefulFramesSent)
      if !isAllowed { cut(code: .enhanceYourCalm, "too_many_pings") }
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

  // MARK: - Floods

  /// Compares what the client has sent with what it may. Called once per read.
  func checkFloods() {
    let counters = session.counters
    if counters.resetsUnanswered > configuration.maxExcessResets + answeredCalls {
      cut(code: .enhanceYourCalm, "too_many_resets")
    } else if counters.resetsForPeerErrors > configuration.maxErrorResets + answeredCalls / 10 {
      cut(code: .enhanceYourCalm, "too_many_stream_errors")
    } else if isControlFlood(counters) {
      cut(code: .enhanceYourCalm, "too_many_control_frames")
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

  func cut(code: HTTP2ErrorCode, _ reason: StaticString) {
    guard session.failure == nil, state.drain != .final else { return }
    state.drain = .final
    loop.logger.warning(
      "cutting a connection", metadata: ["peer": "\(remoteAddress)", "reason": "\(reason)"])
    session.terminate(code: code, debug: reason)
    needsFlush()
    // A client that takes nothing can't be told.
    if !isWritable { closeNow() }
  }

  // MARK: - Time limits

  /// Looks for a client that makes no progress. Called every few seconds.
  func sweep(nowNanos: UInt64) {
    if !state.hasSettings, nowNanos &- state.openedNanos > configuration.handshakeTimeoutNanos {
      close(because: "no preface in time")
      return
    }
    if session.isInsideHeaderBlock {
      let since = state.headerBlockSinceNanos ?? nowNanos
      state.headerBlockSinceNanos = since
      if nowNanos &- since > configuration.handshakeTimeoutNanos {
        close(because: "header block not completed in time")
        return
      }
    } else {
      state.headerBlockSinceNanos = nil
    }
    sweepCalls(nowNanos: nowNanos)
  }

  func close(because reason: String) {
    loop.logger.info(
      "closing a connection", metadata: ["peer": "\(remoteAddress)", "reason": "\(reason)"])
    context?.close(promise: nil)
  }

  // MARK: - Drain

  /// Tells the client to open no more streams. In-flight calls go on; the connection closes when
  /// they are done.
  func beginDrain() {
    guard state.drain == .none, session.failure == nil else { return }
    state.drain = .announced
    session.announceShutdown()
    session.ping(payload: ConnectionState.drainPing)
    needsFlush()
    let wait = TimeAmount.nanoseconds(ServerConfiguration.drainRoundTripNanos)
    loop.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.finishDrain() }
  }

  private func finishDrain() {
    guard state.drain == .announced else { return }
    state.drain = .final
    session.shutDown()
    needsFlush()
  }

  /// Closes the connection whatever is in flight.
  func closeNow() {
    context?.close(promise: nil)
  }
}
