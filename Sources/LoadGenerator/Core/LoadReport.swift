// The result of a load as it is written to a file and read again: docs/LOAD.md describes each
// member. Values; any thread.
//
// By Codable, with members in alphabetical order: unlike other JSON of the program this one is read
// by it as well, so that it has one description for both ways.

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

package struct LoadReport: Sendable, Hashable, Codable {
  package static let schemaName = "ringstore-bench"
  package static let schemaVersion = 1
  /// The longest file that is read.
  package static let fileBytesMax = 16 << 20

  package var schema = schemaName
  package var version = schemaVersion
  /// The program's own version.
  package var ringstore: String
  /// The server, as HOST:PORT.
  package var server: String
  package var startedUnixSeconds: Int
  package var wasInterrupted: Bool
  package var settings: Settings
  package var runs: [Run]

  package init(
    ringstore: String, server: String, startedUnixSeconds: Int, wasInterrupted: Bool,
    settings: Settings,
    runs: [Run]
  ) {
    self.ringstore = ringstore
    self.server = server
    self.startedUnixSeconds = startedUnixSeconds
    self.wasInterrupted = wasInterrupted
    self.settings = settings
    self.runs = runs
  }

  package struct Settings: Sendable, Hashable, Codable {
    package var way: LoadProtocol
    package var connections: Int
    package var inFlight: Int
    package var batch: Int
    package var threads: Int
    package var spacing: CallSpacing
    package var warmUpSeconds: Double
    package var durationSeconds: Double?
    package var calls: Int?
    package var keys: Int
    package var distribution: String
    package var valueBytes: String
    package var mix: String
    package var seed: UInt64
    package var database: UInt32
    package var filled: Bool
    package var encrypted: Bool

    private enum CodingKeys: String, CodingKey {
      case way = "protocol"
      case connections, inFlight, batch, threads, spacing, warmUpSeconds, durationSeconds, calls
      case keys, distribution, valueBytes, mix, seed, database, filled, encrypted
    }
  }

  /// One run: the only one of a closed loop, or one of each rate.
  package struct Run: Sendable, Hashable, Codable {
    /// Calls a second; nil: a closed loop.
    package var rateWanted: Double?
    package var seconds: Double
    package var calls: Int
    /// Calls a second that were done.
    package var rate: Double
    package var failed: Int
    package var unsent: Int
    package var connectionsLost: Int
    package var latency: Latency?
    package var kinds: [Kind]
    package var failures: [Failure]
    package var bytesSent: Int
    package var bytesReceived: Int
    package var generator: Generator
    /// Sentences about the limits of the figures.
    package var remarks: [String]
  }

  /// Of calls that were done, in microseconds.
  package struct Latency: Sendable, Hashable, Codable {
    package var meanMicros: Double
    package var p50Micros: Double
    package var p90Micros: Double
    package var p99Micros: Double
    package var p999Micros: Double
    package var p9999Micros: Double
    package var maxMicros: Double
  }

  package struct Kind: Sendable, Hashable, Codable {
    package var name: String
    package var calls: Int
    package var found: Int
    package var failed: Int
    package var latency: Latency?
  }

  package struct Failure: Sendable, Hashable, Codable {
    package var code: String
    package var reason: String
    package var message: String
    package var count: Int
  }

  package struct Generator: Sendable, Hashable, Codable {
    /// Of each thread, the CPU time that it used of the time that passed.
    package var cpuShares: [Double]
    /// How late calls of an open loop were sent; nil: a closed loop.
    package var lagP99Micros: Double?
    package var lagMaxMicros: Double?
  }
}

extension LoadReport.Latency {
  /// nil if no call succeeded.
  package init?(_ latencies: LatencyHistogram) {
    guard !latencies.isEmpty else { return nil }
    func micros(_ percentile: Double) -> Double {
      Self.micros(Double(latencies.nanos(atPercentile: percentile)))
    }
    self.init(
      meanMicros: Self.micros(latencies.meanNanos), p50Micros: micros(50), p90Micros: micros(90),
      p99Micros: micros(99), p999Micros: micros(99.9), p9999Micros: micros(99.99),
      maxMicros: Self.micros(Double(latencies.maxNanos)))
  }

  /// To a hundredth of a microsecond: no clock is more precise.
  static func micros(_ nanos: Double) -> Double { (nanos / 10).rounded() / 100 }
}

extension LoadReport.Run {
  package init(
    _ tally: LoadTally, rateWanted: Double?, seconds: Double, connectionsLost: Int,
    cpuShares: [Double]
  ) {
    let rate = seconds > 0 ? Double(tally.done) / seconds : 0
    let isOpen = rateWanted != nil
    func lag(_ percentile: Double) -> Double? {
      guard isOpen, !tally.lags.isEmpty else { return nil }
      return LoadReport.Latency.micros(Double(tally.lags.nanos(atPercentile: percentile)))
    }
    self.init(
      rateWanted: rateWanted, seconds: seconds, calls: tally.done, rate: rate,
      failed: tally.failed, unsent: tally.unsent, connectionsLost: connectionsLost,
      latency: LoadReport.Latency(tally.latencies),
      kinds: tally.kinds.map { kind, one in
        LoadReport.Kind(
          name: kind.name, calls: one.done, found: one.found, failed: one.failed,
          latency: LoadReport.Latency(one.latencies))
      },
      failures: tally.failures.sorted { $0.count > $1.count }.map {
        LoadReport.Failure(
          code: $0.code, reason: $0.reason, message: $0.message, count: $0.count)
      },
      bytesSent: tally.bytesSent, bytesReceived: tally.bytesReceived,
      generator: LoadReport.Generator(
        cpuShares: cpuShares, lagP99Micros: lag(99), lagMaxMicros: lag(100)),
      remarks: GeneratorReview.remarks(tally, cpuShares: cpuShares))
  }
}

extension LoadReport.Settings {
  package init(_ settings: LoadSettings, isEncrypted: Bool) {
    self.init(
      way: settings.way, connections: settings.connections, inFlight: settings.inFlight,
      batch: settings.batch, threads: settings.threads, spacing: settings.spacing,
      warmUpSeconds: settings.warmUpSeconds, durationSeconds: settings.durationSeconds,
      calls: settings.calls, keys: settings.keys, distribution: settings.distribution.text,
      valueBytes: settings.values.text, mix: settings.mix.text, seed: settings.seed,
      database: settings.database, filled: settings.fills, encrypted: isEncrypted)
  }
}

extension LoadReport {
  /// As JSON, with a line end.
  package func json() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
  }

  /// - Throws: a message to be written after the file's name.
  package init(json: [UInt8]) throws(LoadUsage) {
    struct Head: Decodable {
      var schema: String
      var version: Int
    }
    do {
      let decoder = JSONDecoder()
      let head = try decoder.decode(Head.self, from: Data(json))
      guard head.schema == Self.schemaName else { throw LoadUsage(Self.noResult) }
      guard head.version == Self.schemaVersion else {
        throw LoadUsage(
          "is a result of version \(head.version), and this program reads "
            + "\(Self.schemaVersion)")
      }
      self = try decoder.decode(LoadReport.self, from: Data(json))
    } catch let usage as LoadUsage {
      throw usage
    } catch {
      throw LoadUsage(Self.noResult)
    }
  }

  private static let noResult = "is no result of `ringstore bench --json`"
}
