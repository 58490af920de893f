// `ringstore health`: whether a node serves, as an exit status. For a container's health check and
// for scripts that wait for a node; it also prints one sentence for people. It calls
// grpc.health.v1, which needs no permission. Describe has the reason why a node isn't healthy, if
// it may be called.

import ArgumentParser
import GRPC
import Glibc
import RingstoreAPI
import RingstoreClient
import TextForms

struct HealthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health", abstract: "Checks whether a router or a shard serves.",
    discussion: "Status 0: it serves. 1: it doesn't, or didn't reply in time; stderr says why.")

  @Option(
    help: """
      The node, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051)
      """)
  var server: String?

  @OptionGroup var tlsOptions: TLSClientOptions
  @OptionGroup var token: TokenOption

  @Flag(help: "On a router: also check that every shard is reached and serves.")
  var shards = false

  @Flag(
    help: """
      Only check that the node replies, in any state: for liveness probes. It needs no \
      credentials; a refusal of the client is a reply.
      """)
  var alive = false

  @Option(parsing: .unconditional, help: "Seconds to wait for the reply: above 0, at most 60.")
  var timeout: Double = 5

  func run() async throws {
    guard timeout.isFinite, timeout > 0, timeout <= 60 else {
      throw ConfigurationError("--timeout must be above 0 and at most 60 seconds.")
    }
    let environment = ProcessState.environment()
    let server = try ServerAddress.of(flag: server, environment: environment)
    if alive { return try await checkLife(of: server, environment) }
    var configuration = try token.clientConfiguration()
    configuration.tls = try tlsOptions.configuration(environment)
    ProcessState.ignoreBrokenPipes()
    let client = RingstoreClient(
      host: server.host, port: server.port, configuration: configuration)
    defer { client.close() }
    let end = ContinuousClock.now + .seconds(timeout)
    var report: HealthReport
    do {
      report = HealthReport(
        try await client.health(timeout: .seconds(timeout)), needsShards: shards)
    } catch {
      let reason = ConnectionAdvice.added(
        to: error.message, isEncrypted: configuration.tls != nil)
      throw Unhealthy("\(server) does not reply: \(reason)")
    }
    let options = RingstoreCallOptions(timeout: end - ContinuousClock.now)
    if report.reason != nil, let cluster = try? await client.describe(options: options) {
      report = HealthReport(cluster, needsShards: shards)
    }
    if let reason = report.reason { throw Unhealthy("\(server): \(reason)") }
    Terminal.show(VisibleText.line(report.summary) + "\n")
  }

  private func checkLife(
    of server: HostPort, _ environment: [String: String]
  ) async throws {
    guard !shards else {
      throw ConfigurationError("--alive and --shards can't be given together.")
    }
    var configuration = RingstoreClient.Configuration()
    configuration.tls = try tlsOptions.configuration(environment)
    if let tls = configuration.tls, (try? tls.transport()) == nil {
      // A node keeps its old certificate when the files become unusable, so it may be alive.
      // Without them the handshake fails, but with a reply.
      configuration.tls = RingstoreClient.TLS()
    }
    ProcessState.ignoreBrokenPipes()
    let client = RingstoreClient(
      host: server.host, port: server.port, configuration: configuration)
    defer { client.close() }
    do {
      _ = try await client.health(timeout: .seconds(timeout))
      Terminal.show("\(server) is alive\n")
    } catch {
      guard error.isFromNode else { throw Unhealthy("\(server) does not reply: \(error.message)") }
      let reason = "\(server) is alive, but refuses this client: \(error.message)"
      Terminal.show(VisibleText.line(reason) + "\n")
    }
  }
}

extension RPCStatus {
  /// Whether the node sent something or closed the connection: a process that hangs does neither,
  /// and the system refuses connections to a port without one.
  fileprivate var isFromNode: Bool {
    switch code {
    case .deadlineExceeded, .cancelled: false
    case .unavailable: Self.replies.contains { message.contains($0) }
    default: true
    }
  }

  /// Parts of the messages of `ConnectionLoss` and `TLSFailure`.
  private static let replies = [
    "TLS: ", "the peer closed the connection", "the peer sent GOAWAY", "the connection failed: ",
  ]
}

/// A node that doesn't serve, in one sentence.
struct Unhealthy: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

/// A node's health. A value; any thread.
struct HealthReport {
  /// Why it isn't healthy; nil if it is.
  let reason: String?
  let summary: String

  /// - Parameters:
  ///   - statuses: the names that grpc.health.v1 lists, and whether each serves.
  ///   - needsShards: a router is well only with all of its shards.
  init(_ statuses: [String: Bool], needsShards: Bool) {
    let prefix = "shard/"
    let shards = statuses.keys.filter { $0.hasPrefix(prefix) }.sorted()
    let serving = shards.count { statuses[$0] == true }
    // Only shards serve links.
    let isRouter = statuses[LinkV1.Link.name] == nil
    let name = isRouter ? "the router" : "shard \(shards.first?.dropFirst(prefix.count) ?? "")"
    if statuses[""] != true {
      reason = "\(name) is not-serving"
    } else if needsShards, let lost = shards.first(where: { statuses[$0] != true }) {
      reason = "shard \(lost.dropFirst(prefix.count)) is not-serving"
    } else {
      reason = nil
    }
    summary =
      isRouter
      ? "router serving, \(serving) of \(shards.count) shards serving" : "\(name) serving"
  }

  /// With the reason, for a node that grpc.health.v1 says doesn't serve.
  ///
  /// - Parameter needsShards: a router is well only with all of its shards.
  init(_ cluster: RingstoreClusterDescription, needsShards: Bool) {
    let shards = cluster.nodes.filter { $0.role == .shard }
    let serving = shards.count { $0.state == .serving }
    // A router describes itself and its shards; a shard used alone describes only itself.
    guard let node = cluster.nodes.first(where: { $0.role == .router }) ?? shards.first else {
      reason = "its reply names no node"
      summary = ""
      return
    }
    // A shard whose disk stands replies to reads: it describes itself as serving, and says what is
    // wrong.
    if node.state != .serving || !node.detail.isEmpty {
      let name = node.role == .router ? "the router" : "shard \(node.id)"
      let state = node.state == .serving ? .notServing : node.state
      reason = "\(name) is \(state.rawValue)\(Self.detail(of: node))"
    } else if needsShards, let lost = shards.first(where: { $0.state != .serving }) {
      reason = "shard \(lost.id) is \(lost.state.rawValue)\(Self.detail(of: lost))"
    } else {
      reason = nil
    }
    summary =
      node.role == .router
      ? "router serving, \(serving) of \(shards.count) shards serving" : "shard \(node.id) serving"
  }

  private static func detail(of node: RingstoreClusterDescription.Node) -> String {
    node.detail.isEmpty ? "" : ": \(node.detail)"
  }
}
