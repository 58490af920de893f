// Power losses, failing calls and full disks at every call of the file system. `deploy/test
// --power-losses N` makes as many power losses as it is told to.

import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct CrashTests {
  private static let lossesPerPolicy = 200

  @Test(arguments: FsyncPolicy.allCases)
  func powerLossAtEveryCallLosesNothingThatWasReported(_ policy: FsyncPolicy) {
    var losses = PowerLosses(policy, from: 1)
    while losses.count < Self.lossesPerPolicy {
      if let found = losses.lose() {
        Issue.record("\(found)")
        return
      }
    }
  }

  @Test(arguments: FsyncPolicy.allCases)
  func aCallThatFailsLosesNothingThatWasReported(_ policy: FsyncPolicy) throws {
    for seed in 1001...1001 as ClosedRange<UInt64> {
      let whole = try CrashScenario(seed: seed, policy: policy)
      try whole.run()
      for call in 1...whole.disk.calls {
        for code in [FileErrorCode.inputOutput, FileErrorCode.noSpace] {
          let one = try CrashScenario(seed: seed, policy: policy)
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
