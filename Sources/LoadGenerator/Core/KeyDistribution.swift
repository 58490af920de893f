// Which keys a load uses how often. Values; any thread.

import NodeCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package enum KeyDistribution: Sendable, Hashable {
  /// Each key as often as any other.
  case uniform
  /// The key of rank r in proportion to 1 / r^theta.
  case zipf(theta: Double)
  /// A fraction of the keys gets this share of the calls; each of them as often as the next.
  case hot(fraction: Double, share: Double)

  /// The value that YCSB and most papers on Zipf use.
  package static let thetaDefault = 0.99
  package static let thetaMax = 10.0

  package init(_ text: String) throws(LoadUsage) {
    let words = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    switch (words[0], words.count) {
    case ("uniform", 1): self = .uniform
    case ("zipf", 1): self = .zipf(theta: Self.thetaDefault)
    case ("zipf", 2):
      guard let theta = Double(words[1]), theta > 0, theta <= Self.thetaMax else {
        throw LoadUsage("zipf:THETA needs a THETA above 0 and at most 10, as in zipf:0.99.")
      }
      self = .zipf(theta: theta)
    case ("hot", 3):
      guard let fraction = Double(words[1]), let share = Double(words[2]),
        fraction > 0, fraction < 1, share > 0, share < 1
      else {
        throw LoadUsage(
          "hot:FRACTION:SHARE needs two numbers between 0 and 1, as in hot:0.01:0.9.")
      }
      self = .hot(fraction: fraction, share: share)
    default:
      throw LoadUsage(
        "--distribution is uniform, zipf[:THETA] or hot:FRACTION:SHARE, not '\(text)'.")
    }
  }

  package var text: String {
    switch self {
    case .uniform: "uniform"
    case .zipf(let theta): "zipf:\(theta)"
    case .hot(let fraction, let share): "hot:\(fraction):\(share)"
    }
  }
}

/// Draws numbers of keys by a distribution. O(1) for each.
package struct KeyChooser: Sendable {
  private enum Way: Sendable {
    case uniform
    case zipf(ZipfSampler)
    case hot(keys: UInt64, share: Double)
  }

  private let way: Way
  private let keys: UInt64
  /// Ranks are laid over the keys by this step, which has no divisor in common with their number:
  /// keys of neighbouring ranks were not stored one after the other.
  private let step: UInt64

  package init(_ distribution: KeyDistribution, keys: Int) {
    precondition(keys > 0, "there must be a key")
    self.keys = UInt64(keys)
    switch distribution {
    case .uniform: way = .uniform
    case .zipf(let theta): way = .zipf(ZipfSampler(ranks: keys, theta: theta))
    case .hot(let fraction, let share):
      // Neither set is empty if there are two keys.
      let hot = max(1, min(keys - 1, Int((Double(keys) * fraction).rounded())))
      way = .hot(keys: UInt64(hot), share: share)
    }
    step = Self.coprime(to: UInt64(keys))
  }

  package func draw(_ random: inout SplitMix64) -> Int {
    switch way {
    case .uniform: Int(Self.below(keys, &random))
    case .zipf(let sampler): key(ofRank: UInt64(sampler.draw(&random)))
    case .hot(let hot, let share):
      if hot == keys || Self.unit(&random) < share {
        key(ofRank: Self.below(hot, &random))
      } else {
        key(ofRank: hot + Self.below(keys - hot, &random))
      }
    }
  }

  /// The key that has a rank, counted from 0.
  package func key(ofRank rank: UInt64) -> Int {
    // Both are below 2^32 (LoadSettings.keysMax).
    Int((rank &* step) % keys)
  }

  /// Near the golden section of the keys, so that neighbours are far apart.
  private static func coprime(to keys: UInt64) -> UInt64 {
    var step = max(1, UInt64(Double(keys) * 0.618_033_988_749_895))
    while greatestCommonDivisor(step, keys) != 1 { step += 1 }
    return step
  }

  private static func greatestCommonDivisor(_ one: UInt64, _ other: UInt64) -> UInt64 {
    var (one, other) = (one, other)
    while other != 0 { (one, other) = (other, one % other) }
    return one
  }

  /// Lemire's method without its correction: with 64 random bits and fewer than 2^32 keys no share
  /// is off by more than 2^-32 of itself.
  static func below(_ bound: UInt64, _ random: inout SplitMix64) -> UInt64 {
    random.next().multipliedFullWidth(by: bound).high
  }

  /// From 0 up to but not 1.
  static func unit(_ random: inout SplitMix64) -> Double {
    Double(random.next() >> 11) * 0x1p-53
  }
}

/// Zipf's distribution over ranks by rejection-inversion: exact, without tables, for any exponent.
/// Source: W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone
/// discrete distributions" (1996).
package struct ZipfSampler: Sendable {
  private let ranks: Double
  private let theta: Double
  private let integralOfFirst: Double
  private let integralOfLast: Double
  private let squeeze: Double

  package init(ranks: Int, theta: Double) {
    self.ranks = Double(ranks)
    self.theta = theta
    integralOfFirst = Self.integral(1.5, theta) - 1
    integralOfLast = Self.integral(Double(ranks) + 0.5, theta)
    squeeze = 2 - Self.inverse(Self.integral(2.5, theta) - Self.height(2, theta), theta)
  }

  /// A rank from 0 on.
  package func draw(_ random: inout SplitMix64) -> Int {
    while true {
      let area = integralOfLast + KeyChooser.unit(&random) * (integralOfFirst - integralOfLast)
      let place = Self.inverse(area, theta)
      let rank = min(max((place + 0.5).rounded(.down), 1), ranks)
      if rank - place <= squeeze
        || area >= Self.integral(rank + 0.5, theta) - Self.height(rank, theta)
      {
        return Int(rank) - 1
      }
    }
  }

  private static func height(_ place: Double, _ theta: Double) -> Double {
    exp(-theta * log(place))
  }

  /// The integral of the heights from 1 on.
  private static func integral(_ place: Double, _ theta: Double) -> Double {
    let logarithm = log(place)
    return growth((1 - theta) * logarithm) * logarithm
  }

  private static func inverse(_ area: Double, _ theta: Double) -> Double {
    let scaled = max(area * (1 - theta), -1)
    return exp(logarithm(scaled) * area)
  }

  /// (e^x - 1) / x, and 1 at 0.
  private static func growth(_ place: Double) -> Double {
    abs(place) > 1e-8 ? expm1(place) / place : 1 + place / 2
  }

  /// log(1 + x) / x, and 1 at 0.
  private static func logarithm(_ place: Double) -> Double {
    abs(place) > 1e-8 ? log1p(place) / place : 1 - place / 2
  }
}
