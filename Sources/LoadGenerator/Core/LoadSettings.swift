// The settings of a load: everything except its target. Checked when it is created, so that the
// rest of the room has only valid loads. A value; any thread.

/// How calls travel.
package enum LoadProtocol: String, Sendable, Hashable, CaseIterable, Codable {
  /// A gRPC call for each.
  case unary
  /// Batches on one gRPC stream for each connection.
  case pipeline
  /// Lines over TCP.
  case line
  /// Redis' protocol over TCP.
  case resp

  package var isGRPC: Bool { self == .unary || self == .pipeline }
}

package struct LoadSettings: Sendable, Hashable {
  package let way: LoadProtocol
  package let connections: Int
  /// Calls in progress on one connection.
  package let inFlight: Int
  /// Calls that are sent together.
  package let batch: Int
  package let threads: Int
  /// Calls a second of all connections, one run for each; none: one closed loop.
  package let rates: [Double]
  package let spacing: CallSpacing
  package let warmUpSeconds: Double
  /// nil: until the calls are made.
  package let durationSeconds: Double?
  /// nil: until the time is over.
  package let calls: Int?
  package let keys: Int
  package let distribution: KeyDistribution
  package let values: ValueSizes
  package let mix: CallMix
  package let seed: UInt64
  package let database: UInt32
  /// Whether all strings are stored before. A Get must find its key then.
  package let fills: Bool
  /// Whether the keys are deleted afterwards.
  package let cleans: Bool
  /// How long a call may stay without a reply.
  package let timeoutSeconds: Double

  package static let connectionsMax = 10_000
  package static let threadsMax = 256
  package static let keysMax = 1_000_000_000
  /// HTTP/2 streams that a node lets a connection have.
  package static let unaryInFlightMax = 1_024
  /// Calls that a node reads ahead of a Pipeline, and we of a connection of lines or RESP.
  package static let inFlightMax = 10_000
  /// The memory limit of the values of one connection's calls.
  package static let inFlightBytesMax = 1 << 30
  package static let rateMax = 10_000_000.0
  package static let ratesMax = 64
  package static let secondsMax = 86_400.0
  package static let callsMax = 1_000_000_000_000

  /// The value of the options; nil: none.
  package struct Options: Sendable {
    package var way = LoadProtocol.unary
    package var connections: Int?
    package var inFlight: Int?
    package var batch: Int?
    package var threads = 1
    package var rates: [String] = []
    package var spacing = CallSpacing.poisson
    package var warmUpSeconds: Double?
    package var durationSeconds: Double?
    package var calls: Int?
    package var keys = 10_000
    package var distribution = "uniform"
    package var valueBytes = "64"
    package var mix = "get=80,set=20"
    package var seed: UInt64 = 1
    package var database: UInt32 = 0
    package var fills = false
    package var cleans = false
    package var timeoutSeconds = 10.0

    package init() {}
  }

  package init(_ options: Options) throws(LoadUsage) {
    way = options.way
    threads = try Self.checked(options.threads, 1...Self.threadsMax, "--threads")
    connections = try Self.checked(
      options.connections ?? max(16, options.threads), 1...Self.connectionsMax, "--connections")
    guard connections >= threads else {
      throw LoadUsage("--connections must be at least as many as --threads: each has its own.")
    }
    rates = try Self.rates(options.rates)
    (inFlight, batch) = try Self.depth(options, isOpen: !rates.isEmpty)
    spacing = options.spacing
    if let asked = options.calls {
      calls = try Self.checked(asked, 1...Self.callsMax, "--calls")
      durationSeconds = try options.durationSeconds.map { seconds throws(LoadUsage) in
        try Self.checked(seconds, above: 0, "--duration")
      }
    } else {
      calls = nil
      durationSeconds = try Self.checked(options.durationSeconds ?? 10, above: 0, "--duration")
    }
    warmUpSeconds = try Self.checked(
      options.warmUpSeconds ?? (options.calls == nil ? 1 : 0), from: 0, "--warm-up")
    timeoutSeconds = try Self.checked(options.timeoutSeconds, above: 0, "--timeout")
    keys = try Self.checked(options.keys, 1...Self.keysMax, "--keys")
    distribution = try KeyDistribution(options.distribution)
    if case .hot = distribution, keys < 2 {
      throw LoadUsage("--distribution hot needs at least two --keys.")
    }
    values = try ValueSizes(options.valueBytes)
    guard inFlight <= Self.inFlightBytesMax / max(values.bytesMax, 1) else {
      throw LoadUsage(
        "--in-flight \(inFlight) with --value-bytes \(values.text) could use more than 1 GiB on "
          + "each connection.")
    }
    mix = try CallMix(options.mix)
    seed = options.seed
    database = options.database
    fills = options.fills
    cleans = options.cleans
    if fills, !mix.spaces.contains(.strings) {
      throw LoadUsage("--fill stores strings, and --mix has neither get nor set.")
    }
  }

  /// Calls in progress on a connection, and how many go together.
  private static func depth(
    _ options: Options, isOpen: Bool
  ) throws(LoadUsage) -> (inFlight: Int, batch: Int) {
    if options.way == .unary {
      guard options.batch == nil else {
        throw LoadUsage(
          "--batch is for --protocol pipeline, line and resp; unary calls go one by one.")
      }
      let usual = isOpen ? 100 : 1
      return (try checked(options.inFlight ?? usual, 1...unaryInFlightMax, "--in-flight"), 1)
    }
    let usualBatch = options.way == .pipeline ? min(16, options.inFlight ?? 16) : 1
    let batch = try checked(options.batch ?? usualBatch, 1...inFlightMax, "--batch")
    let usual =
      switch (options.way, isOpen) {
      case (_, true): max(1_000, batch)
      case (.pipeline, false): max(64, batch)
      default: batch
      }
    let inFlight = try checked(options.inFlight ?? usual, 1...inFlightMax, "--in-flight")
    guard batch <= inFlight else {
      throw LoadUsage("--batch must be at most --in-flight, \(inFlight).")
    }
    return (inFlight, batch)
  }

  private static func rates(_ texts: [String]) throws(LoadUsage) -> [Double] {
    let parts = texts.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
    guard parts.count <= ratesMax else {
      throw LoadUsage("--rate takes \(ratesMax) rates at most.")
    }
    var rates: [Double] = []
    for part in parts {
      guard let rate = Double(part), rate > 0, rate <= rateMax else {
        throw LoadUsage(
          "--rate is calls a second, above 0 and at most 10000000, or several with commas between "
            + "them, not '\(part)'.")
      }
      rates.append(rate)
    }
    return rates
  }

  private static func checked(
    _ number: Int, _ bounds: ClosedRange<Int>, _ option: String
  ) throws(LoadUsage) -> Int {
    guard bounds.contains(number) else {
      throw LoadUsage("\(option) must be from \(bounds.lowerBound) to \(bounds.upperBound).")
    }
    return number
  }

  private static func checked(
    _ seconds: Double, above: Double, _ option: String
  ) throws(LoadUsage) -> Double {
    guard seconds > above, seconds <= secondsMax else {
      throw LoadUsage("\(option) must be above 0 and at most 86400 seconds.")
    }
    return seconds
  }

  private static func checked(
    _ seconds: Double, from: Double, _ option: String
  ) throws(LoadUsage) -> Double {
    guard seconds >= from, seconds <= secondsMax else {
      throw LoadUsage("\(option) must be from 0 to 86400 seconds.")
    }
    return seconds
  }
}
