// The limits of a connection, without one.

import Testing

@testable import GRPC
@testable import HTTP2

@Suite struct ConnectionStateTests {
  private let second: UInt64 = 1_000_000_000

  // MARK: - Floods

  private var floods: FloodWatch {
    var configuration = ServerConfiguration()
    configuration.maxExcessResets = 5
    configuration.maxErrorResets = 3
    configuration.maxControlFrames = 10
    configuration.controlFramePeriodNanos = second
    return FloodWatch(configuration, nowNanos: 0)
  }

  @Test func resetsAreCountedOnce() {
    var floods = floods
    var counters = HTTP2Counters()
    counters.resetsReceived = 4
    #expect(floods.newResets(counters) == 4)
    #expect(floods.newResets(counters) == 0)
    counters.resetsReceived = 6
    #expect(floods.newResets(counters) == 2)
  }

  @Test func callsWithRepliesAllowResets() {
    var floods = floods
    var counters = HTTP2Counters()
    counters.resetsBeforeResponse = 6
    #expect(floods.look(counters, replied: 0, nowNanos: 0) == .tooManyResets)
    #expect(floods.look(counters, replied: 1, nowNanos: 0) == nil)
    counters.resetsForPeerErrors = 4
    #expect(floods.look(counters, replied: 1, nowNanos: 0) == .tooManyStreamErrors)
    #expect(floods.look(counters, replied: 10, nowNanos: 0) == nil)
  }

  @Test func controlFramesAreLimitedInEachPeriod() {
    var floods = floods
    var counters = HTTP2Counters()
    counters.framesReceived = 11
    #expect(floods.look(counters, replied: 0, nowNanos: second - 1) == .tooManyControlFrames)
    counters.usefulFramesSent = 1
    #expect(floods.look(counters, replied: 0, nowNanos: second - 1) == nil)
    // A new period begins with what there is.
    #expect(floods.look(counters, replied: 0, nowNanos: second) == nil)
    counters.framesReceived = 22
    #expect(floods.look(counters, replied: 0, nowNanos: second) == .tooManyControlFrames)
  }

  @Test func eachStreamAllowsAControlFrameInThePeriodInWhichItWasOpened() {
    var floods = floods
    var counters = HTTP2Counters()
    counters.framesReceived = 16
    counters.streamsOpened = 6
    #expect(floods.look(counters, replied: 0, nowNanos: 1) == nil)
    counters.framesReceived = 17
    #expect(floods.look(counters, replied: 0, nowNanos: 1) == .tooManyControlFrames)
    #expect(floods.look(counters, replied: 0, nowNanos: second) == nil, "a new period")
    counters.framesReceived = 28
    #expect(floods.look(counters, replied: 0, nowNanos: second) == .tooManyControlFrames)
  }

  // MARK: - Preface

  @Test func aClientThatSendsNoSettingsIsCutOff() {
    var preface = PrefaceWatch(timeoutNanos: second, nowNanos: 5)
    #expect(preface.look(nowNanos: 5 + second, isInsideHeaderBlock: false) == nil)
    #expect(preface.look(nowNanos: 6 + second, isInsideHeaderBlock: false) == .noPreface)
    preface.settingsReceived()
    #expect(preface.look(nowNanos: 6 + second, isInsideHeaderBlock: false) == nil)
  }

  @Test func aHeaderBlockMustBeCompleteInTime() {
    var preface = PrefaceWatch(timeoutNanos: second, nowNanos: 0)
    preface.settingsReceived()
    #expect(preface.look(nowNanos: 10, isInsideHeaderBlock: true) == nil)
    #expect(preface.look(nowNanos: 10 + second, isInsideHeaderBlock: true) == nil)
    #expect(preface.look(nowNanos: 11 + second, isInsideHeaderBlock: true) == .slowHeaders)
    #expect(preface.look(nowNanos: 12 + second, isInsideHeaderBlock: false) == nil)
    #expect(preface.look(nowNanos: 13 + second, isInsideHeaderBlock: true) == nil, "another block")
  }

  // MARK: - Idle connections

  @Test func aConnectionIsIdleSomeTimeAfterItsLastCall() {
    var idle = IdleWatch(idleNanosMax: second, nowNanos: 0)
    #expect(idle.look(calls: 1, hasLive: false, nowNanos: 10) == .active, "one has begun and ended")
    #expect(idle.look(calls: 1, hasLive: true, nowNanos: 20) == .active)
    #expect(idle.look(calls: 1, hasLive: false, nowNanos: 20 + second) == .quiet)
    #expect(idle.idleNanos(nowNanos: 20 + second) == second)
    #expect(idle.look(calls: 1, hasLive: false, nowNanos: 21 + second) == .idle)
    #expect(idle.look(calls: 2, hasLive: false, nowNanos: 22 + second) == .active)
  }

  @Test func withoutALimitNoConnectionIsIdle() {
    var idle = IdleWatch(idleNanosMax: 0, nowNanos: 0)
    #expect(idle.look(calls: 0, hasLive: false, nowNanos: .max) == .quiet)
  }

  // MARK: - Keep-alive and age

  @Test func aSilentClientGetsAPingWhichIsCounted() {
    var configuration = ServerConfiguration()
    configuration.keepaliveNanos = second
    configuration.keepaliveTimeoutNanos = second
    var state = ConnectionState(configuration: configuration, nowNanos: 0) { 0 }
    var actions: [Liveness.Action] = []
    for step in 1...20 where actions.last != .dead {
      let now = UInt64(step) * UInt64(configuration.sweepNanos)
      guard let action = state.lookForLife(nowNanos: now, unheardNanos: { nil }) else { break }
      if case .wait = action { continue }
      actions.append(action)
    }
    #expect(actions.count == 2 && actions.last == .dead)
    #expect(state.keepAlivesSent == 1)
  }

  @Test func aConnectionMayGetOldAgainWhenItsLimitEnds() {
    var configuration = ServerConfiguration()
    configuration.ageNanosMax = second
    var state = ConnectionState(configuration: configuration, nowNanos: 0) { 0 }
    var other = state
    #expect(state.lookAtAge(nowNanos: 2 * second) == .drain)
    other.endAgeLimit()
    #expect(other.lookAtAge(nowNanos: 2 * second) == .nothing)
    #expect(other.ageNanos(nowNanos: 2 * second) == 2 * second)
  }
}
