// The life of one link: the two long-lived streams from a router's loop to a shard.
//
//   waiting(until) --due--> connecting --connected--> greeting --accepted--> ready --> draining
//        ^                      |                        |                     |           |
//        +------- failed -------+---- refused, lost -----+------- lost --------+-- lost ---+
//
// The lanes are one link: it is ready when both were accepted, and lost when either is. If lanes
// reconnected separately, a write of the older connection could be executed after a later call on
// its key.
//
// Pure: takes events with their time, and returns actions. Only a `ready` link accepts calls; in
// every other state a call fails at once, so that no caller waits for an unreachable shard.

import GRPC
import NodeCore

package struct LinkState {
  package enum Phase: Equatable {
    /// Nothing is in progress; the next attempt is due at this time (nanoseconds).
    case waiting(untilNanos: UInt64)
    case connecting
    /// A lane is connected and its Hello sent; the shard has not accepted both lanes yet.
    case greeting
    case ready
    /// The shard is stopping: it replies to the calls that it has and accepts nothing new.
    case draining
  }

  /// What a lane's being accepted has led to.
  package enum Acceptance: Equatable {
    case otherLaneMissing
    case ready(restarted: Bool)
    /// The lanes have reached two incarnations of the shard: it restarted in between.
    case contradiction
  }

  package private(set) var phase: Phase = .waiting(untilNanos: 0)
  /// The lane that was accepted first, and by which incarnation, while the other is missing.
  private var firstAccepted: (lane: LinkLane, incarnation: UInt64)?
  /// The shard reported that it is stopping before both lanes were accepted.
  private var isLeaving = false
  /// The connection that counts. Events of older ones are stale and ignored.
  package private(set) var generation: UInt64
  /// The last reported incarnation of the shard; a change means that it restarted.
  package private(set) var incarnation: UInt64?
  /// Why the link is not ready, for Describe and for errors.
  package private(set) var detail = "not connected yet"
  private var backoff: Backoff
  private var random: SplitMix64

  /// The shortest and the longest pause before a reconnect.
  package static let backoffNanosMin: UInt64 = 50_000_000
  package static let backoffNanosMax: UInt64 = 1_000_000_000

  /// - Parameters:
  ///   - firstGeneration: a number that no earlier connection of this router loop has borne.
  ///   - seed: for the jitter of the back-off.
  package init(firstGeneration: UInt64, seed: UInt64) {
    generation = firstGeneration
    backoff = Backoff(baseNanos: Self.backoffNanosMin, maxNanos: Self.backoffNanosMax)
    random = SplitMix64(seed: seed)
  }

  package var isReady: Bool { phase == .ready }

  /// Whether both lanes have been accepted, and are not lost.
  package var isOpen: Bool { phase == .ready || phase == .draining }

  /// The time of the next attempt, if one is due.
  package var attemptAtNanos: UInt64? {
    if case .waiting(let until) = phase { return until }
    return nil
  }

  /// Starts an attempt; the caller dials with the new generation.
  package mutating func beginConnecting() {
    generation += 1
    phase = .connecting
    firstAccepted = nil
    isLeaving = false
  }

  /// A lane's transport is up: our Hello goes out on it now.
  package mutating func connected() {
    phase = .greeting
  }

  /// The shard accepted our Hello on a lane.
  package mutating func accepted(_ lane: LinkLane, incarnation: UInt64) -> Acceptance {
    guard let first = firstAccepted, first.lane != lane else {
      firstAccepted = (lane, incarnation)
      return .otherLaneMissing
    }
    guard first.incarnation == incarnation else { return .contradiction }
    let restarted = self.incarnation.map { $0 != incarnation } ?? false
    self.incarnation = incarnation
    backoff.reset()
    phase = .ready
    detail = ""
    if isLeaving { startedDraining() }
    return .ready(restarted: restarted)
  }

  /// The shard reported that it is stopping.
  package mutating func startedDraining() {
    isLeaving = true
    guard phase == .ready else { return }
    phase = .draining
    detail = "the shard is draining"
  }

  /// The next attempt is due at once, if one is due.
  package mutating func attemptNow(nowNanos: UInt64) {
    if case .waiting = phase { phase = .waiting(untilNanos: nowNanos) }
  }

  /// The connection failed, was refused or got lost; the next attempt is due after the back-off.
  package mutating func lost(_ why: String, nowNanos: UInt64) {
    detail = why
    phase = .waiting(untilNanos: nowNanos &+ backoff.nextNanos(using: &random))
  }
}
