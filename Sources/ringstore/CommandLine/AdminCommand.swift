// `ringstore admin`: what an operator does to a running cluster and asks of it, with the outcome as
// an exit status.

import ArgumentParser
import Glibc
import RingstoreClient

struct AdminCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Changes a running cluster, or looks into it.",
    discussion: """
      plan: what a router's list of shards, as its file has it now, would change, and whether \
      anything is in the way. reload: the router reads the list again, and the cluster changes to \
      it. hotkeys: the keys that calls look up most often. bigkeys: the largest keys of all \
      databases, by a walk over all of them: give it time. snapshot: every shard writes all its \
      keys to its disk anew, at once; done when all have. digest: numbers that stand for the \
      contents of the shards, and with --json of each slot, by which two clusters, or one before \
      and after, can be compared. accept-loss SHARD: a shard that is refused with DATA_LOST is \
      taken as it is, without the data that it had. Status 0: done, or nothing is in the way; \
      1: not, and stderr says why.
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case plan, reload, hotkeys, bigkeys, snapshot, digest
    case acceptLoss = "accept-loss"
  }

  @Argument(help: "plan, reload, hotkeys, bigkeys, snapshot, digest or accept-loss.")
  var action: Action

  @Argument(help: "Of accept-loss: the shard's id.")
  var subject: String?

  @Option(
    help: """
      The router, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051)
      """)
  var server: String?

  @Option(
    parsing: .unconditional, help: "Of hotkeys and bigkeys: how many keys at most, up to 100.")
  var count: Int = 10

  @Flag(help: "Of hotkeys, bigkeys, snapshot and digest: write the reply as one JSON value.")
  var json = false

  @Flag(help: "Of accept-loss: don't ask whether it is meant.")
  var yes = false

  @Option(
    parsing: .unconditional,
    help: """
      Seconds that it may take, or of a snapshot that may pass without news: above 0, at most 600.
      """)
  var timeout: Double = 30

  func run() async throws {
    guard timeout.isFinite, timeout > 0, timeout <= 600 else {
      throw ConfigurationError("--timeout must be above 0 and at most 600 seconds.")
    }
    guard (1...100).contains(count) else {
      throw ConfigurationError("--count must be from 1 to 100.")
    }
    guard (subject != nil) == (action == .acceptLoss) else {
      throw ConfigurationError(
        action == .acceptLoss
          ? "accept-loss needs the id of a shard." : "\(action.rawValue) takes no further word.")
    }
    let server = try ServerAddress.of(flag: server, environment: ProcessState.environment())
    ProcessState.ignoreBrokenPipes()
    let client = RingstoreClient(host: server.host, port: server.port)
    defer { client.close() }
    let options = RingstoreCallOptions(timeout: .seconds(timeout))
    do {
      switch action {
      case .plan, .reload: try await reload(client, options)
      case .hotkeys:
        let report = try await client.hotKeys(count, options: options)
        try show(
          KeyReportText.text(report), KeyReportText.json(report), missing: report.unreachable)
      case .bigkeys:
        let report = try await client.bigKeys(count, .allDatabases, options: options)
        try show(
          KeyReportText.text(report), KeyReportText.json(report), missing: report.unreachable)
      case .digest:
        let report = try await client.digest(slots: json, options: options)
        try show(DigestText.text(report), DigestText.json(report), missing: report.unreachable)
      case .snapshot: try await snapshot(client, options)
      case .acceptLoss: try await acceptLoss(of: subject ?? "", client, options)
      }
    } catch let error as RingstoreError {
      throw Unhealthy(error.message)
    }
  }

  private func reload(_ client: RingstoreClient, _ options: RingstoreCallOptions) async throws {
    let reload = try await client.reload(planOnly: action == .plan, options: options)
    Terminal.write(ReloadText.text(reload, isPlan: action == .plan) + "\n")
    if reload.obstacle != nil { throw Unhealthy("the change would be refused") }
  }

  private func snapshot(
    _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    var bar = Terminal.bar
    defer { bar?.clear() }
    let shards = try await client.snapshot(options: options) { shards in
      let done = shards.count(where: \.isComplete)
      let keys = shards.reduce(0) { $0 + $1.keysDone }
      bar?.show(
        done: keys, of: shards.reduce(0) { $0 + $1.keys },
        "\(done) of \(shards.count) shards, \(keys) keys")
    }
    bar?.clear()
    try show(SnapshotText.text(shards), SnapshotText.json(shards), missing: [])
  }

  private func acceptLoss(
    of shard: String, _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    if !yes {
      guard Terminal.isTerminal(STDIN_FILENO) else {
        throw ConfigurationError(LossText.needsYes(shard))
      }
      Terminal.write(LossText.question(shard))
      guard let answer = readLine(), LossText.isMeant(answer, shard) else {
        throw Unhealthy("nothing was accepted")
      }
    }
    let accepted = try await client.acceptLoss(ofShard: shard, options: options)
    Terminal.write(LossText.text(accepted, shard) + "\n")
  }

  private func show(
    _ text: String, _ value: JSONValue, missing: [RingstoreError]
  ) throws {
    Terminal.write((json ? value.text : text) + "\n")
    if !missing.isEmpty { throw Unhealthy("not all shards could be asked") }
  }
}
