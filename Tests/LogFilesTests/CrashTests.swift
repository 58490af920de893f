// Power losses, failing calls and full disks at every call of the file system. How many power losses
// one run of the tests makes can be set: RINGSTORE_POWER_LOSSES=100000.

import Foundation
import LogFiles
import SimulatedDisk
import Testing

@Suite struct CrashTests {
  /// Power losses for each policy in a run of the tests.
  private static let lossesPerPolicy =
    (ProcessInfo.processInfo.environment["RINGSTORE_POWER_LOSSES"].flatMap { Int($0) } ?? 600) / 3
  private static let firstSeed =
    ProcessInfo.processInfo.environment["RINGSTORE_FIRST_SEED"].flatMap { UInt64($0) } ?? 1

  private func scenario(_ seed: UInt64, _ policy: FsyncPolicy) throws -> CrashScenario {
    try CrashScenario(seed: seed, policy: policy, steps: 100)
  }

  @Test(arguments: FsyncPolicy.allCases)
  func powerLossAtEveryCallLosesNothingThatWasReported(_ policy: FsyncPolicy) throws {
    var losses = 0
    var seed = Self.firstSeed
    while losses < Self.lossesPerPolicy {
      let whole = try scenario(seed, policy)
      try whole.run()
      for call in 1...whole.disk.calls where losses < Self.lossesPerPolicy {
        let one = try scenario(seed, policy)
        do {
          one.disk.setFault(.powerLoss, atCall: call)
          try one.run()
          try one.recoverAndCheck()
        } catch {
          Issue.record("seed \(seed), \(policy), power loss at call \(call): \(error)")
          return
        }
        losses += 1
      }
      seed += 1
    }
  }

  @Test(arguments: FsyncPolicy.allCases)
  func aCallThatFailsLosesNothingThatWasReported(_ policy: FsyncPolicy) throws {
    for seed in 1001...1001 as ClosedRange<UInt64> {
      let whole = try scenario(seed, policy)
      try whole.run()
      for call in 1...whole.disk.calls {
        for code in [FileErrorCode.inputOutput, FileErrorCode.noSpace] {
          let one = try scenario(seed, policy)
          do {
            one.disk.setFault(.error(code), atCall: one.disk.calls + call)
            try one.run()
            try one.recoverAndCheck()
          } catch {
            Issue.record("seed \(seed), \(policy), error \(code) of call \(call): \(error)")
            return
          }
        }
      }
    }
  }
}
