// `ringstore admin`: an operator's commands and queries for a running cluster, with the outcome as
// an exit status.

import ArgumentParser
import Backups
import Glibc
import RingstoreClient
import TextForms
import Users

struct AdminCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Changes or inspects a running cluster.",
    discussion: """
      plan: shows what the router's current list of shards would change, and whether anything \
      prevents the change. reload: the router reads its list again, and changes the cluster. \
      hotkeys: lists the keys that are looked up most often. bigkeys: lists the largest keys of \
      all databases, by a scan of all keys, which may take long. snapshot: makes every shard write all \
      its keys to disk now, and waits for them. digest: prints digests of the shards' data, with \
      --json also of each slot, to compare two clusters, or one cluster at two times. backup: \
      copies all keys into a directory while the cluster runs, each shard's from one moment. \
      restore: writes the keys of such a directory into a cluster. accept-loss SHARD: accepts a \
      shard that is refused with DATA_LOST, without its previous data. token USER: makes a token \
      for a user, without contacting a node, and prints it once, with the line for the users file. \
      top: shows nodes and their calls, updated live. clients: lists the connections of a node. \
      kill ID: closes one of them. loglevel [LEVEL]: shows or changes a node's log level, until it \
      exits. drain: a node accepts nothing new, finishes the calls in progress, and exits. The \
      last five apply to the node at --server, or to the shard that --node names. Status 0: done, or \
      nothing prevents the change; 1: failed, and stderr says why.
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case plan, reload, hotkeys, bigkeys, snapshot, digest, backup, restore, token
    case top, clients, kill, loglevel, drain
    case acceptLoss = "accept-loss"

    /// Its argument; nil: none.
    var subject: String? {
      switch self {
      case .backup, .restore: "a directory"
      case .acceptLoss: "the id of a shard"
      case .token: "the name of a user"
      case .kill: "the id of a connection"
      case .loglevel: "a level"
      case .plan, .reload, .hotkeys, .bigkeys, .snapshot, .digest, .top, .clients, .drain: nil
      }
    }

    var needsSubject: Bool { subject != nil && self != .loglevel }

    /// Whether it is about one node.
    var isAboutNode: Bool {
      switch self {
      case .top, .clients, .kill, .loglevel, .drain: true
      default: false
      }
    }
  }

  @Argument(
    help: """
      plan, reload, hotkeys, bigkeys, snapshot, digest, backup, restore, accept-loss, token, top, \
      clients, kill, loglevel or drain.
      """)
  var action: Action

  @Argument(
    help: """
      With backup and restore: the directory. With accept-loss: the shard's id. With token: the \
      user's name. With kill: the connection's id. With loglevel: the level.
      """,
    completion: .directory)
  var subject: String?

  @Option(
    help: """
      The router, as HOST:PORT. (default: RINGSTORE_SERVER; else 127.0.0.1 and RINGSTORE_PORT, or \
      50051)
      """)
  var server: String?

  @OptionGroup var tlsOptions: TLSClientOptions
  @OptionGroup var token: TokenOption

  @Option(
    help: """
      With clients, kill, loglevel, drain and top: the id of the node. (default: the node at \
      --server; with top: all nodes)
      """)
  var node: String = ""

  @Option(
    parsing: .unconditional, help: "With top: seconds between two reports, from 0.1 to 3600.")
  var interval: Double = 2

  @Option(
    parsing: .unconditional,
    help: """
      With hotkeys and bigkeys: the maximum number of keys, up to 100. With clients: of \
      connections, up to 10000. With top: the number of reports. (default: 10; with clients: 100; \
      with top: until it is stopped)
      """)
  var count: Int?

  @Flag(help: "With all but plan and reload: write the reply as one JSON value.")
  var json = false

  @Flag(
    help: """
      With restore: allow a cluster that already has keys. Keys that are in the backup too are \
      replaced.
      """)
  var merge = false

  @Option(
    parsing: .unconditionalSingleValue,
    help: """
      With restore: restore only database FROM of the backup, into database TO, as FROM:TO. May \
      be repeated.
      """)
  var database: [String] = []

  @Flag(help: "With accept-loss: don't ask for confirmation.")
  var yes = false

  @Option(
    parsing: .unconditional,
    help: """
      Seconds that it may take; with snapshot, backup and restore, seconds without progress: \
      above 0, at most 600.
      """)
  var timeout: Double = 30

  func run() async throws {
    guard timeout.isFinite, timeout > 0, timeout <= 600 else {
      throw ConfigurationError("--timeout must be above 0 and at most 600 seconds.")
    }
    let countMax = action == .top ? Int.max : action == .clients ? 10_000 : 100
    guard count.map({ (1...countMax).contains($0) }) ?? true else {
      throw ConfigurationError(
        countMax == .max ? "--count must be at least 1." : "--count must be from 1 to \(countMax).")
    }
    guard (0.1...3_600).contains(interval) else {
      throw ConfigurationError("--interval must be from 0.1 to 3600 seconds.")
    }
    guard node.isEmpty || action.isAboutNode else {
      throw ConfigurationError("--node is for top, clients, kill, loglevel and drain.")
    }
    let databases = try databasePlaces()
    guard action == .restore || !merge && database.isEmpty else {
      throw ConfigurationError("--merge and --database are for restore.")
    }
    guard action.subject == nil ? subject == nil : subject != nil || !action.needsSubject else {
      throw ConfigurationError(
        action.subject.map { "\(action.rawValue) needs \($0)." }
          ?? "\(action.rawValue) takes no further word.")
    }
    if action == .token { return try makeToken(for: subject ?? "") }
    let environment = ProcessState.environment()
    let server = try ServerAddress.of(flag: server, environment: environment)
    var configuration = try token.clientConfiguration()
    configuration.tls = try tlsOptions.configuration(environment)
    ProcessState.ignoreBrokenPipes()
    let client = RingstoreClient(
      host: server.host, port: server.port, configuration: configuration)
    defer { client.close() }
    let options = RingstoreCallOptions(timeout: .seconds(timeout))
    do {
      switch action {
      case .plan, .reload: try await reload(client, options)
      case .hotkeys:
        let report = try await client.hotKeys(count ?? 10, options: options)
        try show(
          KeyReportText.text(report), KeyReportText.json(report), missing: report.unreachable)
      case .bigkeys:
        let report = try await client.bigKeys(count ?? 10, .allDatabases, options: options)
        try show(
          KeyReportText.text(report), KeyReportText.json(report), missing: report.unreachable)
      case .digest:
        let report = try await client.digest(slots: json, options: options)
        try show(DigestText.text(report), DigestText.json(report), missing: report.unreachable)
      case .backup:
        let directory = subject ?? ""
        let run = BackupRun(client: client, options: options, directory: directory)
        let manifest = try await run.run()
        try show(
          BackupText.text(manifest, in: directory), BackupText.json(manifest, in: directory),
          missing: [])
      case .restore:
        let run = RestoreRun(
          client: client, options: options, directory: subject ?? "", merges: merge,
          databases: databases)
        let report = try await run.run()
        try show(BackupText.text(report), BackupText.json(report), missing: [])
      case .snapshot: try await snapshot(client, options)
      case .acceptLoss: try await acceptLoss(of: subject ?? "", client, options)
      case .token: break
      case .top:
        try await ClusterTop(client: client, options: options, node: node, json: json)
          .run(interval: .seconds(interval), looks: count)
      case .clients:
        let report = try await client.connections(
          ofNode: node, count: count ?? 100, options: options)
        try show(NodeText.text(report), NodeText.json(report), missing: [])
      case .kill: try await kill(subject ?? "", client, options)
      case .loglevel:
        let level = try await client.logLevel(subject, ofNode: node, options: options)
        try show(NodeText.text(level), NodeText.json(level), missing: [])
      case .drain:
        try await client.shutdown(node: node, options: options)
        let name = node.isEmpty ? "The node that was asked" : node
        try show(
          "\(name) drains and ends.", .object([.init("drains", .bool(true))]), missing: [])
      }
    } catch let error as RingstoreError {
      throw Unhealthy(error.message)
    } catch let fault as BackupFault {
      throw Unhealthy(fault.description)
    } catch let refusal as RestoreRun.Refusal {
      throw Unhealthy(refusal.sentence)
    }
  }

  private func makeToken(for user: String) throws(ConfigurationError) {
    guard UserDefinition.isName(user.utf8) else {
      throw ConfigurationError(
        "a user's name has 1 to \(UsersFile.nameBytesMax) letters, digits, '-', '_' or '.'.")
    }
    var random = SystemRandomNumberGenerator()
    let made = NewToken(Token.make(for: user, using: &random))
    Terminal.write((json ? made.json.text : made.text) + "\n")
  }

  /// The value of --database.
  private func databasePlaces() throws -> [Int: Int] {
    var places: [Int: Int] = [:]
    for text in database {
      let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      guard numbers.count == 2, let from = numbers[0], let to = numbers[1],
        (0..<1_024).contains(from), (0..<1_024).contains(to), places[from] == nil,
        !places.values.contains(to)
      else {
        throw ConfigurationError(
          "--database must be FROM:TO, two numbers of databases as in 0:3, each of them once.")
      }
      places[from] = to
    }
    return places
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

  private func kill(
    _ text: String, _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    guard let id = UInt64(text) else {
      throw ConfigurationError(
        "kill needs the id of a connection, a number; `ringstore admin clients` lists them.")
    }
    guard try await client.endConnection(id, ofNode: node, options: options) else {
      throw Unhealthy("the node has no connection \(id)")
    }
    try show(
      "connection \(id) was ended", .object([.init("ended", .bool(true))]), missing: [])
  }

  private func show(
    _ text: String, _ value: JSONValue, missing: [RingstoreError]
  ) throws {
    Terminal.write((json ? value.text : text) + "\n")
    if !missing.isEmpty { throw Unhealthy("not all shards could be reached") }
  }
}
