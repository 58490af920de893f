// The seed of random tests: RINGSTORE_TEST_SEED, or a new one, printed with a failure.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

enum TestSeed {
  static let value: UInt64 = {
    if let text = getenv("RINGSTORE_TEST_SEED"), let seed = UInt64(String(cString: text)) {
      return seed
    }
    return UInt64.random(in: 0...UInt64.max)
  }()
}
