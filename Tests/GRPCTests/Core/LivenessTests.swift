// The watch over silent peers, by itself: loops that are late, peers that live and peers that
// don't.

import TestSeeds
import Testing

@testable import GRPC

@Suite struct LivenessTests {
  /// Times of 800 make a look each 100.
  private func make() -> Liveness {
    Liveness(intervalNanos: 800, timeoutNanos: 800, nowNanos: 0)
  }

  @Test func aSilentPeerGetsOnePingAndIsGivenUpAsLongAfter() {
    var liveness = make()
    var now: UInt64 = 0
    var pings: [UInt64] = []
    while true {
      let action = liveness.look(nowNanos: now)
      if action == .dead { break }
      if case .ping = action { pings.append(now) }
      now += 100
    }
    #expect(pings == [800])
    #expect(now == 1_600)
  }

  @Test func whateverItSaysThePeerLives() {
    var liveness = make()
    for look in 0..<100 {
      if look % 7 == 0 { liveness.heard() }
      let action = liveness.look(nowNanos: UInt64(look) * 100)
      #expect(action == .wait(nanos: 100))
    }
  }

  @Test(arguments: [101, 150, 500, 800, 900, 10_000] as [UInt64])
  func aLoopThatLooksRarelyCountsNoMoreSilenceThanOneThatLooksInTime(
    _ step: UInt64
  ) {
    var liveness = make()
    var looks = 0
    while liveness.look(nowNanos: UInt64(looks) * step) != .dead { looks += 1 }
    #expect(looks == 16)
  }

  @Test func severalLateLooksInSuccessionAreNoEvidence() {
    var liveness = make()
    var now: UInt64 = 0
    func look(after nanos: UInt64) -> Liveness.Action {
      now += nanos
      return liveness.look(nowNanos: now)
    }
    for _ in 0..<7 { #expect(look(after: 9_000) != .dead) }
    guard case .ping = look(after: 9_000) else {
      Issue.record("the peer was not asked")
      return
    }
    for _ in 0..<7 { #expect(look(after: 9_000) != .dead) }
    liveness.heard()
    #expect(look(after: 9_000) == .wait(nanos: 100))
  }

  @Test func aClockThatStandsStillOrGoesBackCountsNothing() {
    var liveness = make()
    for now in [500, 500, 400, 0, 500] as [UInt64] {
      for _ in 0..<20 {
        let action = liveness.look(nowNanos: now)
        #expect(action != .dead)
      }
    }
  }

  @Test func whatLiesUnreadInTheSocketSpeaksForThePeer() {
    var liveness = make()
    var now: UInt64 = 0
    var asked = 0
    while now < 100_000 {
      let action = liveness.look(nowNanos: now) {
        asked += 1
        return 799
      }
      #expect(action != .dead)
      now += 100
    }
    #expect(asked > 0)
    while liveness.look(nowNanos: now, unheardNanos: { 800 }) != .dead { now += 100 }
    #expect(now <= 100_000 + 1_700)
  }

  @Test func callsThatBeginToWaitGiveThePeerItsTime() {
    var liveness = make()
    for look in 0..<12 { _ = liveness.look(nowNanos: UInt64(look) * 100) }
    liveness.restart(nowNanos: 50_000)
    var looks = 0
    while liveness.look(nowNanos: 50_000 + UInt64(looks) * 100) != .dead { looks += 1 }
    #expect(looks == 16)
  }

  /// A loop in model: it reads its socket, then runs its timers, then writes, and is delayed
  /// anywhere for any time. A peer replies to a PING within three quarters of the time that it has.
  @Test func aModelOfADelayedLoopNeverGivesUpAPeerThatReplies() {
    var random = SeededRandom.forTest("liveness model")
    for _ in 0..<200 {
      var now: UInt64 = 0
      var liveness = make()
      var dueNanos: UInt64 = 0
      var replyNanos: UInt64?
      var isPingQueued = false
      let lateness = [0, 10, 300, 5_000].randomElement(using: &random) ?? 0
      func delay() { now += .random(in: 0...UInt64(lateness), using: &random) }
      for _ in 0..<400 {
        if isPingQueued {
          replyNanos = now + .random(in: 0...600, using: &random)
          isPingQueued = false
        }
        now = max(now, dueNanos)
        delay()
        if let reply = replyNanos, reply <= now {
          liveness.heard()
          replyNanos = nil
        }
        // What comes while others are read is not seen in this turn.
        delay()
        guard now >= dueNanos else { continue }
        switch liveness.look(nowNanos: now) {
        case .wait(let nanos): dueNanos = now + nanos
        case .ping(let nanos):
          isPingQueued = true
          dueNanos = now + nanos
        case .dead:
          Issue.record("given up at \(now), delayed by up to \(lateness)")
          return
        }
        delay()
      }
    }
  }

  @Test func aDeadPeerIsFoundHoweverLateTheLoopIs() {
    var random = SeededRandom.forTest("dead peers")
    for _ in 0..<200 {
      var now: UInt64 = 0
      var liveness = make()
      // It spoke for a while.
      for _ in 0..<Int.random(in: 0..<20, using: &random) {
        liveness.heard()
        _ = liveness.look(nowNanos: now)
        now += .random(in: 100...2_000, using: &random)
      }
      var looks = 0
      while liveness.look(nowNanos: now) != .dead, looks < 100 {
        looks += 1
        now += .random(in: 100...2_000, using: &random)
      }
      #expect(looks <= 17)
    }
  }
}
