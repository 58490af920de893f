// Randomness that can be replayed: tests print the seed, RINGSTORE_TEST_SEED gives it back.

#if canImport(Glibc)
  import Glibc
#endif

/// SplitMix64, seeded from the environment or anew.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// A generator for one test, with its seed in the log.
  static func forTest(_ name: String) -> SeededRandom {
    let given = getenv("RINGSTORE_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
    let seed = given ?? UInt64.random(in: 1 ... .max)
    print("\(name): RINGSTORE_TEST_SEED=\(seed)")
    return SeededRandom(seed: seed)
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}
