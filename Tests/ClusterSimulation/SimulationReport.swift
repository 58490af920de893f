// What a run of the simulation tells.
//
// Owns nothing. Values; any thread.

/// Something that must not be.
package struct SimulationFinding: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// Promise 1: no order of a key's calls explains the replies.
    case notLinearizable
    /// The checker gave up.
    case undecided
    /// Promise 2: a call was executed more than once.
    case executedTwice
    /// Promise 2: a call was executed though its client was told that it was not, or the reverse.
    case wrongOutcome
    /// Promise 4: calls of one pipeline on one key were executed out of order.
    case outOfOrder
    /// Calls of one router's loop on one key were executed in another order than submitted.
    case orderOfKey
    /// A shard replied to a call more often than once, or one that it did not get.
    case repliedTwice
    /// A walk over the keys misses one that was there all the time, or gives one twice.
    case walkWrong
    /// A backup can't be read, or holds what its shard never held.
    case backupWrong
    /// A key had one version with two values.
    case versionTwice
    /// A shard executed a call of a router while another held keys under another map.
    case mapDisobeyed
    /// A shard can't load, or append to, files that no fault of its disk has touched.
    case dataRefused
    /// Two shards served one slot.
    case ownedTwice
    /// A shard executed what an older connection of a router's loop brought.
    case fencePassed
    /// A write was executed much later than its client was told that its outcome is unknown.
    case executedLate
    /// A call had no outcome, or more than one.
    case neverEnded, endedTwice
    /// An error that this cluster can't give rise to.
    case unexpectedError
    /// A call took a value of a list for which another had waited for longer.
    case outOfTurn
    /// A value was given to a caller that its shard knew to be gone.
    case servedGone
    /// The outcome of a call that waited was called unknown, and could have been known.
    case needlesslyUnknown
    /// More calls wait at a shard than it may keep.
    case tooManyParked
    /// The pauses and resumes of reading a client don't match.
    case pausesUnbalanced
    /// Calls in progress though no caller waits; links that don't get ready again; time that
    /// stands.
    case leak, notRecovered, stuck
  }

  package let kind: Kind
  package let timeNanos: UInt64
  package let text: String
}

/// What a run should come across; one that never does tests less than it seems.
package enum SimulationCoverage: Sendable, Hashable, CaseIterable {
  case replied, notExecuted, outcomeUnknown, deadlinePassed, cancelled, refusedForState
  case overloaded, held, heldUnread
  case connectRefused, connectTimedOut, connectFailedAtOnce, linkReady, restartNoticed
  case dropped, blackHole, cutOneWay, crashed, stalled, stuttered, drained, slowed
  case foundUnresponsive, heldLink, closedSilent, heldReply
  case cancelStorm, repliedInPieces, failedInPieces, streamed, slowReader, scanned, scanResumed
  case streamedInParts, linkFull, viewExpired, keysWalked, walkFiltered, pageEmpty
  case mapConflict, mapChanged, mapReaddressed, mapChangeRefused
  case lineReplied, lineUnread, lineClosed, lineHalfClosed
  case fenced, helloStale, cancelledInTime, staleNews, manyKeys, everyShard, reset
  case keyDue, timeCounted, clockSetForward, clockSetBack, keyDrawn
  case conditionMet, conditionUnmet, previousTold, severalSet
  case parked, parkedServed, parkedEnded, parkedAgain, parkedUnknown, parkedTooOften, parkedGivenUp
  case parkedRefused, routerDrained
  case heldForWrite, killedWhileHeld, powerLost, closedClean, passMade, loadingRefused
  case diskFilled, diskFailed, diskStalled, backedUp
  case executedUnknown, unexecutedUnknown, executedAfterItsEnd
}

package struct SimulationReport: Sendable, CustomStringConvertible {
  package let seed: UInt64
  package let configuration: String
  /// The same for two runs in which the same things happened at the same times.
  package let digest: UInt64
  package let findings: [SimulationFinding]
  /// How often the run came across what.
  package let coverage: [SimulationCoverage: Int]
  /// Calls that clients made.
  package let calls: Int
  /// Events in all, and the last ones in words.
  package let events: Int
  package let traceTail: [String]

  package var isClean: Bool { findings.isEmpty }

  package func has(_ kind: SimulationFinding.Kind) -> Bool {
    findings.contains { $0.kind == kind }
  }

  /// Findings beyond this number are only counted.
  private static let findingsToldMax = 8

  package var description: String {
    var lines = ["seed \(seed) (\(configuration)): \(calls) calls, \(events) events"]
    if !isClean {
      lines.append("replay with deploy/test --simulate 1 --seed \(seed); the last events:")
      lines += traceTail.map { "  " + $0 }
    }
    for finding in findings.prefix(Self.findingsToldMax) {
      lines.append("FOUND \(finding.kind) at \(finding.timeNanos / 1_000_000) ms: \(finding.text)")
    }
    if findings.count > Self.findingsToldMax {
      lines.append("and \(findings.count - Self.findingsToldMax) more findings")
    }
    if !isClean { lines.append("seed \(seed)") }
    return lines.joined(separator: "\n")
  }
}
