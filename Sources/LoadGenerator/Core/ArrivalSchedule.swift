// When the calls of an open loop are due, independent of the results of earlier calls. A value; the
// caller has the clock.

import NodeCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How the calls of an open loop are spaced.
package enum CallSpacing: String, Sendable, Hashable, CaseIterable, Codable {
  /// Like calls of many independent clients: the pauses are exponential.
  case poisson
  /// One pause is as long as the next.
  case even
}

/// The moments at which one thread's calls are due.
package struct ArrivalSchedule: Sendable {
  private let startNanos: UInt64
  private let nanosPerCall: Double
  private let spacing: CallSpacing
  private var random: SplitMix64
  /// Behind the start. Kept apart from it: a sum of both would lose nanoseconds within hours.
  private var dueBehindStart: Double
  private let firstBehindStart: Double
  private var calls: Double = 0

  /// - Parameters:
  ///   - rate: calls a second of all threads.
  ///   - thread: counted from 0. With even spacing, the threads alternate.
  package init(
    rate: Double, _ spacing: CallSpacing, startNanos: UInt64, thread: Int, of threads: Int,
    seed: UInt64
  ) {
    self.startNanos = startNanos
    self.spacing = spacing
    nanosPerCall = 1e9 * Double(threads) / rate
    random = SplitMix64(seed: seed)
    firstBehindStart =
      switch spacing {
      case .even: nanosPerCall * Double(thread) / Double(threads)
      case .poisson: Self.pause(nanosPerCall, &random)
      }
    dueBehindStart = firstBehindStart
  }

  /// When the next call is due.
  package var nextNanos: UInt64 { startNanos &+ UInt64(dueBehindStart) }

  /// The next call was started.
  package mutating func advance() {
    switch spacing {
    case .even:
      // Multiplied, not added up: no error grows.
      calls += 1
      dueBehindStart = firstBehindStart + calls * nanosPerCall
    case .poisson: dueBehindStart += Self.pause(nanosPerCall, &random)
    }
  }

  /// How many calls are due from the next one to `endNanos`; with exponential pauses, the expected
  /// number. O(1): with a stalled server there may be millions.
  package func callsLeft(before endNanos: UInt64) -> Int {
    guard nextNanos < endNanos else { return 0 }
    return Int((Double(endNanos - nextNanos) / nanosPerCall).rounded(.up))
  }

  private static func pause(_ mean: Double, _ random: inout SplitMix64) -> Double {
    -log(1 - KeyChooser.unit(&random)) * mean
  }
}
