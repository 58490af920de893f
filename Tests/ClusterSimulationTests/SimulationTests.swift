// Runs of the simulated cluster: none may find anything. How many, and which: SimulationSeeds.

import ClusterSimulation
import Foundation
import Testing

@Suite struct SimulationTests {
  /// Runs where nothing else is asked for: as many as a debug build makes in some seconds.
  private static let runsDefault = 50
  private static let workers = 4
  /// Reports of failed runs that are printed in full.
  private static let reportsMax = 3

  @Test func `a cluster keeps its promises whatever breaks`() async throws {
    let seeds = try SimulationSeeds(
      environment: ProcessInfo.processInfo.environment, count: Self.runsDefault)
    let (failed, coverage) = try await run(seeds)
    for report in failed.sorted(by: { $0.seed < $1.seed }).prefix(Self.reportsMax) {
      Issue.record("\(report)")
    }
    #expect(failed.isEmpty, "failed: seeds \(failed.map(\.seed).sorted())")
    // Runs that never come across something say nothing about it.
    if seeds.first == 1, seeds.count >= Self.runsDefault {
      let missed = SimulationCoverage.allCases.filter { coverage[$0] == nil }
      #expect(missed.isEmpty, "no run came across \(missed)")
    }
  }

  private func run(
    _ seeds: SimulationSeeds
  ) async throws -> (failed: [SimulationReport], coverage: [SimulationCoverage: Int]) {
    try await withThrowingTaskGroup(
      of: (failed: [SimulationReport], coverage: [SimulationCoverage: Int]).self
    ) { group in
      for worker in 0..<Self.workers {
        group.addTask {
          var failed: [SimulationReport] = []
          var coverage: [SimulationCoverage: Int] = [:]
          for seed in seeds.share(worker, of: Self.workers) {
            let report = try SimulationSeeds.run(seed)
            coverage.merge(report.coverage, uniquingKeysWith: +)
            if !report.isClean { failed.append(report) }
          }
          return (failed, coverage)
        }
      }
      return try await group.reduce(into: (failed: [], coverage: [:])) { all, share in
        all.failed += share.failed
        all.coverage.merge(share.coverage, uniquingKeysWith: +)
      }
    }
  }

  @Test(arguments: [3, 11] as [UInt64])
  func `the same seed gives the same run, event by event`(seed: UInt64) throws {
    let first = try SimulationSeeds.run(seed)
    let second = try SimulationSeeds.run(seed)
    #expect(first.digest == second.digest)
    #expect(first.events == second.events)
    #expect(first.coverage == second.coverage)
  }

  @Test func `another seed gives another run`() throws {
    let digests = try (3...6).map { try SimulationSeeds.run($0).digest }
    #expect(Set(digests).count == digests.count)
  }

  @Test func `a run without faults answers every call`() throws {
    var configuration = SimulationConfiguration()
    configuration.faults.intervalNanosMax = .max >> 8
    configuration.network.connectFailure = 0
    configuration.network.breaksYoung = 0
    configuration.busyNanos = 500_000_000
    let report = try SimulatedCluster(seed: 1, configuration).run()
    #expect(report.isClean, "\(report)")
    #expect(report.coverage[.answered] ?? 0 > 100)
    #expect(report.coverage[.dropped] == nil)
    #expect(report.coverage[.crashed] == nil)
  }
}
