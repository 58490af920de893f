// The program behind deploy/test --simulate: makes runs of the simulated cluster, and prints the
// reports of those in which something was found.
//
//   simulate COUNT [FIRST [STEP]]     COUNT runs, beginning with run FIRST (1), each STEP (1) after
//                                     the one before: with 10 all are of one kind
//
// Exits with 1 if anything was found, with 2 if the arguments make no sense.

import ClusterSimulation
import Foundation
import NIOCore

@main
struct Simulate {
  /// Runs after which it says how far it is.
  private static let runsBetweenWords = 100
  /// From so many runs on, each thing that may happen has to have happened in one of them.
  private static let runsThatCoverAll = 500

  static func main() async throws {
    let numbers = CommandLine.arguments.dropFirst().map { UInt64($0) ?? 0 }
    guard (1...3).contains(numbers.count),
      numbers.allSatisfy({ (1...UInt64(Int.max)).contains($0) })
    else {
      say("simulate COUNT [FIRST [STEP]]: all are numbers above 0")
      exit(2)
    }
    let seeds = SimulationSeeds(
      first: numbers.count > 1 ? numbers[1] : 1, count: Int(numbers[0]),
      step: numbers.count > 2 ? numbers[2] : 1)
    var (ended, calls, events) = (0, 0, 0)
    let summary = try await seeds.run(workers: System.coreCount) { report in
      ended += 1
      calls += report.calls
      events += report.events
      if !report.isClean { say(report) }
      if ended % runsBetweenWords == 0 || ended == seeds.count {
        say("\(ended) of \(seeds.count) runs: \(calls) calls, \(events) events")
      }
    }
    say("least often: " + summary.rarest.map { "\($0.what) \($0.count)" }.joined(separator: ", "))
    let missed = seeds.count >= runsThatCoverAll && seeds.step == 1 ? summary.missed : []
    if !missed.isEmpty { say("no run came across \(missed)") }
    if !summary.failed.isEmpty { say("failed: seeds \(summary.failed)") }
    exit(summary.failed.isEmpty && missed.isEmpty ? 0 : 1)
  }

  /// As `print`, but a pipe gets each line at once.
  private static func say(_ text: some CustomStringConvertible) {
    FileHandle.standardOutput.write(Data("\(text)\n".utf8))
  }
}
