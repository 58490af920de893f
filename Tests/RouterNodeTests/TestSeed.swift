// Random tests that can be replayed: they print the seed they begin with, and RINGSTORE_TEST_SEED
// has them begin with that one.

import Foundation
import NodeCore

enum TestSeed {
  /// Runs a body with so many seeds, one after another from the first.
  static func run(
    count: Int = 20, test: String = #function, _ body: (inout SplitMix64) throws -> Void
  ) rethrows {
    let given = ProcessInfo.processInfo.environment["RINGSTORE_TEST_SEED"].flatMap(UInt64.init)
    let first = given ?? UInt64.random(in: 1...1 << 40)
    print("\(test): RINGSTORE_TEST_SEED=\(first)")
    for seed in first..<first + UInt64(count) {
      var random = SplitMix64(seed: seed)
      try body(&random)
    }
  }
}
