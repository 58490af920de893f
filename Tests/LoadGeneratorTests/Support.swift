// What the tests of this room share.

@testable import LoadGenerator

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

func exponential(_ number: Double) -> Double { exp(number) }
func logarithm(_ number: Double) -> Double { log(number) }

extension LoadSettings {
  /// With the options as they are without any.
  static func with(_ change: (inout Options) -> Void) throws(LoadUsage) -> LoadSettings {
    var options = Options()
    change(&options)
    return try LoadSettings(options)
  }
}

extension LoadReport {
  /// A result with one run for each rate, whose latencies grow with it.
  static func sample(rates: [Double?], slower factor: Double = 1) throws -> LoadReport {
    let settings = try LoadSettings.with { _ in }
    let runs = rates.map { rate in
      var tally = LoadTally()
      let scale = factor * (rate ?? 1_000) / 1_000
      for place in 1...1_000 {
        let nanos = UInt64(Double(place) * 1_000 * scale)
        tally.record(
          place % 5 == 0 ? .set : .get, .done(found: place != 7), latencyNanos: nanos, sent: 20,
          received: 70)
      }
      tally.record(
        .get, .failed(CallFailure(code: "UNAVAILABLE", reason: "SHARD_UNAVAILABLE", message: "a")),
        latencyNanos: 5, sent: 0, received: 0)
      return Run(
        tally, rateWanted: rate, seconds: 1_000 / (rate ?? 1_000), connectionsLost: 0,
        cpuShares: [0.5])
    }
    return LoadReport(
      ringstore: "0.0.0", server: "localhost:1", startedUnixSeconds: 1_700_000_000,
      wasInterrupted: false,
      settings: Settings(settings, isEncrypted: false), runs: runs)
  }
}
