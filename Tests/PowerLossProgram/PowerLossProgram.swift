// The program behind deploy/test --power-losses: loses the power of simulated disks, at one call of
// the file system after the other, and says what came back wrong.
//
//   powerlosses COUNT [FIRST]     COUNT power losses, a third of them under each policy of fsync,
//                                 beginning with the life of the seed FIRST (1)
//
// Exits with 1 if anything was found, with 2 if the arguments make no sense.

import Foundation
import LogCrashes
import LogFiles

@main
struct PowerLossProgram {
  /// Losses after which it says how far it is.
  private static let lossesBetweenWords = 10_000
  private static let countMax: UInt64 = 1 << 40

  static func main() async {
    let numbers = CommandLine.arguments.dropFirst().map { UInt64($0) ?? 0 }
    guard (1...2).contains(numbers.count),
      numbers.allSatisfy({ (1...countMax).contains($0) })
    else {
      say("powerlosses COUNT [FIRST]: both are numbers from 1 to \(countMax)")
      exit(2)
    }
    let first = numbers.count > 1 ? numbers[1] : 1
    let policies = FsyncPolicy.allCases
    let found = await withTaskGroup(of: String?.self) { group in
      for (place, policy) in policies.enumerated() {
        let share = (Int(numbers[0]) + place) / policies.count
        group.addTask { run(PowerLosses(policy, from: first), share) }
      }
      var found: [String] = []
      for await case let one? in group { found.append(one) }
      return found
    }
    found.forEach(say)
    exit(found.isEmpty ? 0 : 1)
  }

  /// - Returns: what was found first.
  private static func run(_ losses: PowerLosses, _ wanted: Int) -> String? {
    var losses = losses
    let first = losses.seed
    while losses.count < wanted {
      if let found = losses.lose() { return found }
      if losses.count % lossesBetweenWords == 0 || losses.count == wanted {
        say(
          "\(losses.policy): \(losses.count) of \(wanted) power losses survived, "
            + "seeds \(first) to \(losses.seed)")
      }
    }
    return nil
  }

  /// As `print`, but a pipe gets each line at once.
  private static func say(_ text: String) {
    FileHandle.standardOutput.write(Data("\(text)\n".utf8))
  }
}
