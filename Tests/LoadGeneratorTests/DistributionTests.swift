// Which keys and calls are drawn how often, held against the shares that they must have.

import NodeCore
import Testing

@testable import LoadGenerator

@Suite struct DistributionTests {
  private static let draws = 200_000

  /// How often each key was drawn.
  private func counts(_ distribution: KeyDistribution, keys: Int, seed: UInt64 = 7) -> [Int] {
    let chooser = KeyChooser(distribution, keys: keys)
    var random = SplitMix64(seed: seed)
    var counts = [Int](repeating: 0, count: keys)
    for _ in 0..<Self.draws { counts[chooser.draw(&random)] += 1 }
    return counts
  }

  /// Whether a count is within five standard deviations of its share.
  private func fits(_ count: Int, share: Double) -> Bool {
    let expected = share * Double(Self.draws)
    let deviation = (expected * (1 - share)).squareRoot()
    return abs(Double(count) - expected) <= 5 * deviation + 1
  }

  @Test(arguments: [0.5, 0.99, 1.0, 1.5])
  func zipfGivesEachRankItsShare(theta: Double) {
    let keys = 1_000
    let distribution = KeyDistribution.zipf(theta: theta)
    let counts = counts(distribution, keys: keys)
    let chooser = KeyChooser(distribution, keys: keys)
    let weights = (1...keys).map { 1 / power(Double($0), theta) }
    let sum = weights.reduce(0, +)
    for rank in [0, 1, 2, 9, 99, 999] {
      let count = counts[chooser.key(ofRank: UInt64(rank))]
      #expect(fits(count, share: weights[rank] / sum), "rank \(rank): \(count)")
    }
    let hundred = (0..<100).reduce(0) { $0 + counts[chooser.key(ofRank: UInt64($1))] }
    #expect(fits(hundred, share: weights.prefix(100).reduce(0, +) / sum))
  }

  private func power(_ base: Double, _ exponent: Double) -> Double {
    switch exponent {
    case 0.5: base.squareRoot()
    case 1: base
    case 1.5: base * base.squareRoot()
    default: exponential(exponent * logarithm(base))
    }
  }

  @Test func uniformKeysAreDrawnAlike() {
    for (key, count) in counts(.uniform, keys: 10).enumerated() {
      #expect(fits(count, share: 0.1), "key \(key): \(count)")
    }
  }

  @Test func aHotSetGetsItsShareEachKeyOfItAlike() {
    let keys = 1_000
    let distribution = KeyDistribution.hot(fraction: 0.01, share: 0.9)
    let counts = counts(distribution, keys: keys)
    let chooser = KeyChooser(distribution, keys: keys)
    let hot = (0..<10).map { counts[chooser.key(ofRank: $0)] }
    #expect(fits(hot.reduce(0, +), share: 0.9))
    for count in hot { #expect(fits(count, share: 0.09)) }
  }

  @Test(arguments: [1, 2, 3, 10, 100, 1_024, 9_973])
  func ranksAreLaidOverAllKeysEachOnce(keys: Int) {
    let chooser = KeyChooser(.zipf(theta: 0.99), keys: keys)
    let reached = Set((0..<UInt64(keys)).map(chooser.key))
    #expect(reached == Set(0..<keys))
  }

  @Test(arguments: ["uniform", "zipf"])
  func oneKeyIsDrawnByEveryDistribution(text: String) throws {
    #expect(counts(try KeyDistribution(text), keys: 1) == [Self.draws])
  }

  @Test func theSameSeedDrawsTheSameKeysAnotherOneOthers() {
    let zipf = KeyDistribution.zipf(theta: 0.99)
    #expect(counts(zipf, keys: 100, seed: 1) == counts(zipf, keys: 100, seed: 1))
    #expect(counts(zipf, keys: 100, seed: 1) != counts(zipf, keys: 100, seed: 2))
  }

  @Test func aMixDrawsEachCallByItsWeight() throws {
    let mix = try CallMix("get=80,set=15,incr=5,lpop=0")
    var random = SplitMix64(seed: 3)
    var counts: [CallKind: Int] = [:]
    for _ in 0..<Self.draws { counts[mix.draw(&random), default: 0] += 1 }
    #expect(fits(counts[.get] ?? 0, share: 0.8))
    #expect(fits(counts[.set] ?? 0, share: 0.15))
    #expect(fits(counts[.incr] ?? 0, share: 0.05))
    #expect(counts[.lpop] == nil)
    #expect(mix.spaces == [.strings, .counters])
  }

  @Test func lengthsBelongToTheirKeysAndFillTheirBounds() throws {
    let sizes = try ValueSizes("16-1KiB")
    let lengths = (0..<20_000).map(sizes.bytes)
    #expect(lengths == (0..<20_000).map(sizes.bytes))
    #expect(lengths.min() == 16 && lengths.max() == 1_024)
    let mean = Double(lengths.reduce(0, +)) / Double(lengths.count)
    #expect(abs(mean - 520) < 10)
    #expect(try ValueSizes("64").bytes(ofKey: 5) == 64)
  }

  @Test func aValueIsKnownByItsLengthAndItsKey() throws {
    let sizes = try ValueSizes("3-40")
    let bytes = KeyBytes(sizes)
    for key in [0, 7, 12, 999_999_999] {
      bytes.select(.lists, key)
      let digits = String(repeating: "0", count: 12 - "\(key)".count) + "\(key)"
      #expect(String(decoding: bytes.key, as: UTF8.self) == "bench:l:" + digits)
      let value = Array(bytes.value)
      value.withUnsafeBytes { value in
        #expect(bytes.isValue(value, ofKey: key))
        #expect(!bytes.isValue(UnsafeRawBufferPointer(rebasing: value.dropLast()), ofKey: key))
      }
      var other = value
      other[0] ^= 1
      other.withUnsafeBytes { #expect(!bytes.isValue($0, ofKey: key)) }
    }
    bytes.select(.strings, 8)
    let eighth = Array(bytes.value)
    eighth.withUnsafeBytes { #expect(!bytes.isValue($0, ofKey: 9)) }
  }
}
