// What concerns the connection itself: keep-alive, floods, time limits, drain. None of it is on the
// path of a call. What to do is decided by ConnectionState.

import HTTP2
import Logging
import NIOCore

extension GRPCServerHandler {
  func connectionEvent(_ event: HTTP2ConnectionEvent) {
    switch event {
    case .settingsReceived:
      state.preface.settingsReceived()
    case .pingReceived:
      let isAllowed = state.pingReceived(
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
    state.permitPings(everyNanos: everyNanos)
  }

  func becomeLink() {
    place?.becomeLink()
    isLink = true
    // It carries calls of many clients, and the outcomes of their writes would be unknown. A new
    // link would lead to the same shard, so it would balance nothing.
    state.endAgeLimit()
  }

  // MARK: - Floods

  /// Compares what the client has sent with its limits. Called once per read.
  func checkFloods() {
    let counters = session.counters
    let resets = state.floods.newResets(counters)
    if resets > 0 { loop.connections.calls(reset: resets) }
    let reason = state.floods.look(counters, replied: tally.replied, nowNanos: loop.nowNanos)
    if let reason { cut(reason) }
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
      let age = state.ageNanos(nowNanos: loop.nowNanos)
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
    let reason = state.preface.look(
      nowNanos: nowNanos, isInsideHeaderBlock: session.isInsideHeaderBlock)
    if let reason { return cut(reason) }
    sweepCalls(nowNanos: nowNanos)
  }

  private func lookForLife(nowNanos: UInt64) {
    // While the connection isn't read, its PINGs can't be seen. Other limits apply to that.
    if isReadHeldBack { state.restartSilence(nowNanos: nowNanos) }
    let channel = context?.channel
    switch state.lookForLife(
      nowNanos: nowNanos, unheardNanos: { channel.flatMap(SilentPeers.unheardNanos) })
    {
    case .ping:
      session.ping(payload: ConnectionState.keepalivePing)
      needsFlush()
    case .dead: cut(.keepaliveTimeout)
    case .wait, nil: break
    }
  }

  private func lookForCalls(nowNanos: UInt64) {
    // Time in which replies are being sent is not idle time either.
    let look = state.idle.look(
      calls: session.counters.streamsOpened, hasLive: session.liveStreamCount > 0,
      nowNanos: nowNanos)
    if look == .active { return }
    session.releaseIdleMemory()
    if look == .idle, !ending.isDraining {
      note(.idle)
      beginDrain()
    }
  }

  private func lookAtAge(nowNanos: UInt64) {
    switch state.lookAtAge(nowNanos: nowNanos) {
    // A connection that is ending already has the time limit of the reason for its end.
    case .drain where ending.isDraining: state.endAgeLimit()
    case .drain:
      note(.maxAge)
      beginDrain()
    case .cut: cut(.maxAgeGrace)
    case .nothing: break
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
