// Which runs of the simulation a test makes. The number of a run decides everything about it, which
// kind of cluster it simulates among it, so that the number alone is enough to have it again.
//
//   RINGSTORE_SIMULATION_SEED=S     the one run S
//   RINGSTORE_SIMULATION_SEEDS=N    N runs
//   RINGSTORE_SIMULATION_FIRST=K    beginning with run K
//
// Owns nothing. Values; any thread.

package struct SimulationSeeds: Sendable, Hashable {
  package struct Malformed: Error, CustomStringConvertible {
    package let description: String
  }

  package let first: UInt64
  package let count: Int

  /// - Parameters:
  ///   - environment: the process's variables.
  ///   - count: how many runs there are where no variable says so.
  package init(environment: [String: String], count: Int) throws(Malformed) {
    if let only = try Self.number("RINGSTORE_SIMULATION_SEED", environment) {
      first = only
      self.count = 1
      return
    }
    first = try Self.number("RINGSTORE_SIMULATION_FIRST", environment) ?? 1
    let asked = try Self.number("RINGSTORE_SIMULATION_SEEDS", environment)
    self.count = asked.map { Int(clamping: $0) } ?? count
  }

  private static func number(
    _ name: String, _ environment: [String: String]
  ) throws(Malformed) -> UInt64? {
    guard let text = environment[name], !text.isEmpty else { return nil }
    guard let number = UInt64(text) else {
      throw Malformed(description: "\(name) is to be a number, not \"\(text)\".")
    }
    return number
  }

  /// The runs that fall to one of several workers.
  package func share(_ worker: Int, of workers: Int) -> [UInt64] {
    stride(from: worker, to: count, by: workers).map { first &+ UInt64($0) }
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
    default: return configuration(of: seed)
    }
  }

  /// Of ten runs three are of overloaded links, one of two routers with different maps, one of links
  /// that are held for long, and one of shards that commit late; one of fifty has the slot map of a
  /// new cluster.
  private static func configuration(of seed: UInt64) -> SimulationConfiguration {
    if seed % 50 == 0 { return .withInitialMap }
    if seed % 10 == 7 { return .withStranger }
    if seed % 10 == 4 { return .withHeldLinks }
    if seed % 10 == 5 { return .withLateCommits }
    return seed % 10 < 3 ? .overloaded : SimulationConfiguration()
  }
}
