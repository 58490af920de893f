// Clusters with a defect put in on purpose: the simulation has to find it, and soon. Without these
// tests a clean run would prove nothing.

import ClusterSimulation
import Testing

@Suite struct SabotageTests {
  private static let runsMax: UInt64 = 50

  /// The findings of which each defect must cause one: each kind is made by other code.
  private static let expected: [(Sabotage, [SimulationFinding.Kind])] = [
    (.resendsWrites, [.executedTwice, .notLinearizable, .outOfOrder]),
    (.hidesUnknownOutcomes, [.wrongOutcome, .notLinearizable]),
    (.repliesFromMemory, [.notLinearizable]),
    (.ignoresFence, [.fencePassed, .outOfOrder, .orderOfKey]),
    (.ignoresAge, [.executedLate]),
    (.ignoresMaps, [.mapDisobeyed]),
    (.servesTooSoon, [.ownedTwice]),
    (.reordersFrames, [.outOfOrder, .orderOfKey]),
    (.losesFrames, [.neverEnded, .leak, .pausesUnbalanced]),
    (.repeatsFrames, [.executedTwice, .notLinearizable]),
    (.delaysLargeCalls, [.outOfOrder, .orderOfKey]),
    (.repliesTwice, [.repliedTwice]),
    (.skipsSlices, [.walkWrong]),
    (.mixesViews, [.wrongOutcome]),
    (.mixesLines, [.notLinearizable, .wrongOutcome]),
    (.appendsTwice, [.notLinearizable]),
    (.miscounts, [.notLinearizable]),
    (.expiresLate, [.notLinearizable]),
    (.missesClockJumps, [.notLinearizable]),
    (.ignoresVersions, [.notLinearizable]),
    (.ignoresValues, [.notLinearizable]),
    (.tellsOtherPrevious, [.notLinearizable]),
    (.repeatsVersions, [.notLinearizable, .versionTwice]),
    (.miscountsTouched, [.notLinearizable]),
    (.inspectsWrong, [.notLinearizable]),
    (.setsSomeKeys, [.notLinearizable]),
    (.drawsMissingKeys, [.walkWrong]),
    (.servesOutOfTurn, [.outOfTurn]),
    (.servesTwice, [.notLinearizable]),
    (.losesValues, [.notLinearizable]),
    (.neverEndsWaits, [.neverEnded, .leak]),
    (.losesCancels, [.servedGone]),
    (.parksTooMany, [.tooManyParked]),
    (.forgetsRuns, [.executedTwice]),
    (.knowsNoRuns, [.needlesslyUnknown]),
    (.repliesBeforeWrite, [.notLinearizable]),
    (.forgetsLastBatch, [.notLinearizable]),
    (.hidesThatItRecovers, [.executedTwice]),
    (.leavesKeysOut, [.backupWrong]),
  ]

  @Test(arguments: Self.expected)
  func aDefectIsFoundAsWhatItIs(
    _ sabotage: Sabotage, _ kinds: [SimulationFinding.Kind]
  ) throws {
    var missing = Set(kinds)
    for seed in 1...Self.runsMax where !missing.isEmpty {
      let report = try SimulationSeeds.run(seed, sabotage: sabotage)
      missing.subtract(report.findings.map(\.kind))
    }
    #expect(missing.isEmpty, "\(sabotage) was not found as \(missing)")
  }

  @Test func everyDefectIsPutToTheTest() {
    #expect(Set(Self.expected.map(\.0)) == Set(Sabotage.allCases))
  }

  @Test func aReportTellsTheSeedHowToReplayItAndWhatWasFound() throws {
    let report = try wrongOutcome()
    let text = "\(report)"
    #expect(text.contains("deploy/test --simulate 1 --seed \(report.seed);"))
    #expect(text.hasSuffix("seed \(report.seed)"))
    #expect(text.contains("FOUND wrongOutcome"))
    #expect(report.traceTail.count > 50 && report.traceTail.allSatisfy { text.contains($0) })
  }

  @Test func aDefectThatWasFoundIsFoundAgainByItsSeed() throws {
    let first = try wrongOutcome()
    let second = try SimulationSeeds.run(first.seed, sabotage: .hidesUnknownOutcomes)
    #expect(first.findings == second.findings)
    #expect(first.traceTail == second.traceTail)
  }

  /// A run in which a call was executed though its client was told otherwise.
  private func wrongOutcome() throws -> SimulationReport {
    for seed in 1...Self.runsMax {
      let report = try SimulationSeeds.run(seed, sabotage: .hidesUnknownOutcomes)
      if report.has(.wrongOutcome) { return report }
    }
    throw NotFound()
  }

  private struct NotFound: Error {}
}
