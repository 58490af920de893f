// The randomness of tests: the seed of a run, which RINGSTORE_TEST_SEED brings back, and numbers
// that are the same for the same seed on every machine.
//
// Owns nothing. Any thread. (Tests that hand a generator to a core use NodeCore's SplitMix64.)

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package enum TestSeed {
  private static let given = getenv("RINGSTORE_TEST_SEED").flatMap { UInt64(String(cString: $0)) }

  /// The seed of this run's random tests: the one that is given, or a new one. A test names it in
  /// what it says of a failure.
  package static let value = given ?? UInt64.random(in: 0...UInt64(UInt32.max))

  /// Runs a body with so many seeds, one after another from the first, which is printed.
  package static func run(
    count: Int = 20, test: String = #function, _ body: (UInt64) throws -> Void
  ) rethrows {
    print("\(test): RINGSTORE_TEST_SEED=\(value)")
    for number in 0..<UInt64(count) { try body(value &+ number) }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
package struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// A generator for one test, whose seed is printed.
  package static func forTest(_ name: String = #function) -> SeededRandom {
    print("\(name): RINGSTORE_TEST_SEED=\(TestSeed.value)")
    return SeededRandom(seed: TestSeed.value)
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
  }
}
