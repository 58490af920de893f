// Power losses of lives of a log (CrashScenario), one at every call of the file system, seed after
// seed. What comes back after each must be what was told. One thread; several may run side by side.

import LogFiles

package struct PowerLosses: Sendable {
  package let policy: FsyncPolicy
  /// Of the life that is run over and over.
  package private(set) var seed: UInt64
  /// How many were survived.
  package private(set) var count = 0
  /// How many calls that life makes; 0: not known yet.
  private var calls = 0
  /// Where the power was lost last.
  private var call = 0

  package init(_ policy: FsyncPolicy, from seed: UInt64) {
    self.policy = policy
    self.seed = seed
  }

  /// The next one: at the next call of the same life, or at the first one of the next life.
  ///
  /// - Returns: what was lost, or is wrong otherwise; nil: nothing.
  package mutating func lose() -> String? {
    do {
      if call == calls { try beginLife() }
      call += 1
      let life = try CrashScenario(seed: seed, policy: policy)
      life.disk.setFault(.powerLoss, atCall: call)
      try life.run()
      try life.recoverAndCheck()
      count += 1
      return nil
    } catch {
      return "seed \(seed), \(policy), power loss at call \(call): \(error)"
    }
  }

  /// Runs it without a fault, to count its calls.
  private mutating func beginLife() throws {
    if calls > 0 { seed += 1 }
    (calls, call) = (0, 0)
    let life = try CrashScenario(seed: seed, policy: policy)
    try life.run()
    calls = life.disk.calls
  }
}
