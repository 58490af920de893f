// `ringstore bench`: a load on a cluster, and its results. This file has its options; the run
// itself is in BenchRun, the load in LoadGenerator.

import ArgumentParser
import Glibc
import LoadGenerator
import RingstoreClient
import TextForms

extension LoadProtocol: ExpressibleByArgument {}
extension CallSpacing: ExpressibleByArgument {}

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures a router or a shard under load.",
    discussion: """
      Without --rate it runs a closed loop: each connection makes its next call when one is done. \
      This shows the maximum throughput of the nodes. With --rate it runs an open loop: calls are \
      due at that rate, independent of earlier calls, and latencies begin when they are due. So \
      it shows the latencies that callers would see. All keys begin with `bench:`. Ctrl-C ends \
      the run early and prints its result. docs/LOAD.md explains the results. Status 0: done; \
      1: it failed, replies were wrong, or no call succeeded; 64: bad usage.
      """)

  @Option(
    help: """
      The node, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051; with --protocol line 127.0.0.1:9999, with resp 127.0.0.1:6379)
      """)
  var server: String?

  @OptionGroup var tlsOptions: TLSClientOptions
  @OptionGroup var token: TokenOption

  @Option(
    name: .customLong("user"),
    help: """
      With --protocol resp: the name of the user that has the token. (default: AUTH has only the \
      token)
      """)
  var userName: String?

  @Option(
    name: .customLong("protocol"),
    help: """
      How calls are made: unary, pipeline or line; or resp, Redis' protocol, to compare a Redis.
      """)
  var way = LoadProtocol.unary

  @Option(parsing: .unconditional, help: "Connections. (default: 16)")
  var connections: Int?

  @Option(
    parsing: .unconditional,
    help: """
      Concurrent calls on each connection; with --rate the maximum. (default: 1, with pipeline \
      64; with --rate 100, with --rate and pipeline, line or resp 1000)
      """)
  var inFlight: Int?

  @Option(
    parsing: .unconditional,
    help: "Except with unary: calls that are sent together. (default: 16 with pipeline, else 1)")
  var batch: Int?

  @Option(parsing: .unconditional, help: "Threads of the load generator.")
  var threads = 1

  @Option(
    name: [.customLong("rate"), .customLong("rates")], parsing: .unconditionalSingleValue,
    help: """
      Calls a second of all connections together. Several rates, as in 1000,2000,4000 or by \
      repeating the option, make one run each. (default: a closed loop)
      """)
  var rate: [String] = []

  @Option(
    help: "With --rate: poisson, as of many independent callers, or even.")
  var spacing = CallSpacing.poisson

  @Option(parsing: .unconditional, help: "Seconds that each run is measured. (default: 10)")
  var duration: Double?

  @Option(
    parsing: .unconditional,
    help: "Seconds of load before the measurement. (default: 1, with --calls 0)")
  var warmUp: Double?

  @Option(parsing: .unconditional, help: "Calls of each run, instead of a duration or in addition.")
  var calls: Int?

  @Option(parsing: .unconditional, help: "Keys of each type.")
  var keys = 10_000

  @Option(help: "Which keys are used: uniform, zipf[:THETA] or hot:FRACTION:SHARE.")
  var distribution = "uniform"

  @Option(
    parsing: .unconditional,
    help: "Bytes of a value, as N or MIN-MAX. Each key has its own fixed length.")
  var valueBytes = "64"

  @Option(help: "Shares of the calls get, set, incr, lpush and lpop.")
  var mix = "get=80,set=20"

  @Flag(help: "First store all strings; then every get must find its key.")
  var fill = false

  @Flag(help: "Delete the keys afterwards.")
  var clean = false

  @Option(parsing: .unconditional, help: "The same seed makes the same calls.")
  var seed: UInt64 = 1

  @Option(parsing: .unconditional, help: "The number of the database.")
  var database: UInt32 = 0

  @Option(parsing: .unconditional, help: "Seconds to wait for a reply.")
  var timeout: Double = 10

  @Option(
    defaultAsFlag: "-",
    help: "Write the result as JSON into this file, or without a file to stdout, without tables.")
  var json: String?

  @Option(help: "With several rates: plot latency over load into this file, as SVG.")
  var plot: String?

  @Option(
    parsing: .upToNextOption,
    help: "Compare two results of --json, A and B, instead of a load test.")
  var compare: [String] = []

  func run() async throws {
    guard compare.isEmpty else {
      guard json == nil, plot == nil else {
        throw ConfigurationError("--compare prints a table only; omit --json and --plot.")
      }
      return try BenchFiles.compare(compare)
    }
    let settings: LoadSettings
    do {
      settings = try LoadSettings(loadOptions)
    } catch {
      throw ConfigurationError(error.sentence)
    }
    guard plot == nil || settings.rates.count > 1 else {
      throw ConfigurationError("--plot needs several rates, as in --rate 1000,2000,4000.")
    }
    let environment = ProcessState.environment()
    let server = try address(environment)
    let tls = try tlsOptions.configuration(environment)
    let token = try token.read()
    try checkUser(token)
    let files = try BenchFiles(json: json, plot: plot)
    let target: LoadTarget
    do {
      target = LoadTarget(
        host: server.host, port: server.port,
        tls: try tls?.transport(speaksHTTP2: way.isGRPC), user: userName, token: token, settings)
    } catch {
      throw Unhealthy("TLS: \(error.sentence)")
    }
    ProcessState.ignoreBrokenPipes()
    let run = BenchRun(
      settings: settings, target: target, server: server, isEncrypted: tls != nil, files: files)
    try await run.run()
  }

  /// Redis' own.
  private static let respPort = 6_379

  /// Lines and RESP have other ports, which no variable names.
  private func address(_ environment: [String: String]) throws -> HostPort {
    guard server == nil, !way.isGRPC else {
      return try ServerAddress.of(flag: server, environment: environment)
    }
    let port = way == .line ? SettingSources.linePort : Self.respPort
    return HostPort(host: "127.0.0.1", port: port)
  }

  private func checkUser(_ token: String?) throws {
    guard let userName else { return }
    guard way == .resp else {
      throw ConfigurationError("--user is for --protocol resp; elsewhere the token says who calls.")
    }
    guard !userName.isEmpty, token != nil else {
      throw ConfigurationError(
        "--user needs a name, and a token in --token-file or \(TokenText.variable).")
    }
  }

  private var loadOptions: LoadSettings.Options {
    var options = LoadSettings.Options()
    options.way = way
    options.connections = connections
    options.inFlight = inFlight
    options.batch = batch
    options.threads = threads
    options.rates = rate
    options.spacing = spacing
    options.warmUpSeconds = warmUp
    options.durationSeconds = duration
    options.calls = calls
    options.keys = keys
    options.distribution = distribution
    options.valueBytes = valueBytes
    options.mix = mix
    options.seed = seed
    options.database = database
    options.fills = fill
    options.cleans = clean
    options.timeoutSeconds = timeout
    return options
  }
}
