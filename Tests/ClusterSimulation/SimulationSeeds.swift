// Which runs of the simulation are made. The number of a run decides everything about it, which
// kind of cluster it simulates among it, so that the number alone is enough to have it again.
//
// Owns nothing. Values; any thread.

package struct SimulationSeeds: Sendable {
  package let first: UInt64
  package let count: Int
  /// From one seed to the next. With 10 all runs are of one kind.
  package let step: UInt64

  package init(first: UInt64 = 1, count: Int, step: UInt64 = 1) {
    self.first = first
    self.count = count
    self.step = step
  }

  /// What came of all runs.
  package struct Summary: Sendable {
    package fileprivate(set) var failed: [UInt64] = []
    fileprivate var coverage: [SimulationCoverage: Int] = [:]

    /// What came up least often, or never.
    package var rarest: [(what: SimulationCoverage, count: Int)] {
      SimulationCoverage.allCases.map { (what: $0, count: coverage[$0] ?? 0) }
        .sorted { ($0.count, "\($0.what)") < ($1.count, "\($1.what)") }
        .prefix(Self.rarestMax).map { $0 }
    }

    private static let rarestMax = 12

    /// What no run came across. Runs that never come across something say nothing about it.
    package var missed: [SimulationCoverage] {
      SimulationCoverage.allCases.filter { coverage[$0] == nil }
    }
  }

  /// Makes the runs, several at a time.
  ///
  /// - Parameter ended: told of each run that has ended, one at a time.
  nonisolated(nonsending) package func run(
    workers: Int, ended: (SimulationReport) -> Void
  ) async throws -> Summary {
    try await withThrowingTaskGroup(of: SimulationReport.self) { group in
      var (summary, begun) = (Summary(), 0)
      func begin() {
        guard begun < count else { return }
        let seed = first &+ step &* UInt64(begun)
        begun += 1
        group.addTask { try Self.run(seed) }
      }
      for _ in 0..<workers { begin() }
      while let report = try await group.next() {
        summary.coverage.merge(report.coverage, uniquingKeysWith: +)
        if !report.isClean { summary.failed.append(report.seed) }
        ended(report)
        begin()
      }
      summary.failed.sort()
      return summary
    }
  }

  /// Makes run `seed`.
  package static func run(_ seed: UInt64, sabotage: Sabotage? = nil) throws -> SimulationReport {
    var configuration =
      sabotage.map { self.configuration(of: seed, with: $0) } ?? configuration(of: seed)
    configuration.sabotage = sabotage
    return try SimulatedCluster(seed: seed, configuration).run()
  }

  /// A defect is looked for where it shows soon.
  private static func configuration(
    of seed: UInt64, with sabotage: Sabotage
  ) -> SimulationConfiguration {
    switch sabotage {
    case .ignoresAge: return .withHeldLinks
    case .ignoresFence: return .withLateFrames
    case .ignoresMaps: return .withStranger
    case .servesTooSoon: return .withMapChanges
    case .mixesLines: return SimulationConfiguration().withLines()
    case .leavesKeysOut: return SimulationConfiguration().withBackups()
    case .repliesBeforeWrite, .forgetsLastBatch, .hidesThatItRecovers:
      return SimulationConfiguration().withData().withManyDeaths()
    default: return configuration(of: seed)
    }
  }

  /// Of ten runs three are of overloaded links, one of two routers with different maps, one of
  /// links that are held for long, one of shards that commit late, and one of a slot map that
  /// changes; in three of ten clients speak lines as well. One of fifty has the slot map of a new
  /// cluster. In a quarter of the runs shards keep their data, and in a quarter backups are made,
  /// half of them of such shards.
  private static func configuration(of seed: UInt64) -> SimulationConfiguration {
    var configuration = kind(of: seed)
    if seed / 10 % 4 == 2 {
      configuration = configuration.withData()
      configuration.faults.disksStall = true
    }
    return [2, 7].contains(seed / 10 % 8) ? configuration.withBackups() : configuration
  }

  private static func kind(of seed: UInt64) -> SimulationConfiguration {
    if seed % 50 == 0 { return .withInitialMap }
    if seed % 10 == 9 { return .withMapChanges }
    if seed % 10 == 7 { return .withStranger }
    if seed % 10 == 4 { return .withHeldLinks }
    if seed % 10 == 5 { return .withLateCommits }
    let configuration = seed % 10 < 3 ? .overloaded : SimulationConfiguration()
    return [1, 6, 8].contains(seed % 10) ? configuration.withLines() : configuration
  }
}
