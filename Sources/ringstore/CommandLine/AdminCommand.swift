// `ringstore admin`: an operator's commands and queries for a running cluster, with the outcome as
// an exit status.

import ArgumentParser
import Backups
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
      all databases, by a scan of all keys, which may take long. snapshot: makes every shard write \
      all its keys to disk now, and waits for them. digest: prints digests of the shards' data, with \
      --json also of each slot, to compare two clusters, or one cluster at two times. backup: \
      copies all keys into a directory while the cluster runs, each shard's from one moment. \
      restore: writes the keys of such a directory into a cluster. accept-loss SHARD: accepts a \
      shard that is refused with DATA_LOST, without its previous data. token USER: makes a token \
      for a user, without contacting a node, and prints it once, with the line for the users file. \
      top: shows nodes and their calls, updated live. clients: lists the connections of a node. \
      kill ID: closes one of them. loglevel [LEVEL]: shows or changes a node's log level, until it \
      exits. slowlog: lists slow and large calls. config: lists a node's settings with their \
      sources. drain: a node accepts nothing new, finishes the calls in progress, and exits. The \
      last seven apply to the node at --server, or to the shard that --node names. Status 0: done, \
      or nothing prevents the change; 1: failed, and stderr says why.
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case plan, reload, hotkeys, bigkeys, snapshot, digest, backup, restore, token
    case top, clients, kill, loglevel, slowlog, config, drain
    case acceptLoss = "accept-loss"

    /// Its argument; nil: none.
    var subject: String? {
      switch self {
      case .backup, .restore: "a directory"
      case .acceptLoss: "the id of a shard"
      case .token: "the name of a user"
      case .kill: "the id of a connection"
      case .loglevel: "a level"
      case .plan, .reload, .hotkeys, .bigkeys, .snapshot, .digest, .top, .clients, .slowlog,
        .config, .drain:
        nil
      }
    }

    var needsSubject: Bool { subject != nil && self != .loglevel }

    /// Whether it is about one node.
    var isAboutNode: Bool {
      switch self {
      case .top, .clients, .kill, .loglevel, .slowlog, .config, .drain: true
      default: false
      }
    }

    /// How many --count may say.
    var countMax: Int {
      switch self {
      case .top: .max
      case .clients: 10_000
      case .slowlog: 1_000
      default: 100
      }
    }
  }

  @Argument(
    help: """
      plan, reload, hotkeys, bigkeys, snapshot, digest, backup, restore, accept-loss, token, top, \
      clients, kill, loglevel, slowlog, config or drain.
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
      With clients, kill, loglevel, slowlog, config, drain and top: the id of the node. (default: \
      the node at --server; with top: all nodes)
      """)
  var node: String = ""

  @Option(
    parsing: .unconditional, help: "With top: seconds between two reports, from 0.1 to 3600.")
  var interval: Double = 2

  @Option(
    parsing: .unconditional,
    help: """
      With hotkeys and bigkeys: the maximum number of keys, up to 100. With clients: of \
      connections, up to 10000. With slowlog: of slow and of large calls, up to 1000. With top: the \
      number of reports. (default: 10; with clients: 100; with top: until it is stopped)
      """)
  var count: Int?

  @Flag(help: "With all but plan and reload: write the reply as one JSON value.")
  var json = false

  @Flag(help: "With slowlog: clear the node's list of slow and large calls.")
  var reset = false

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
    let databases = try checkedDatabases()
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
      case .top, .clients, .kill, .loglevel, .slowlog, .config, .drain:
        try await lookIntoNode(client, options)
      }
    } catch let error as RingstoreError {
      let advised = ConnectionAdvice.added(
        to: error.message, isEncrypted: configuration.tls != nil)
      let reason = error.isUnconnected ? "\(server) can't be reached: \(advised)" : advised
      throw Unhealthy(
        error.code == .deadlineExceeded
          ? "\(ConnectionAdvice.sentence(reason)) --timeout SECONDS allows more time." : reason)
    } catch let fault as BackupFault {
      throw Unhealthy(fault.description)
    } catch let refusal as RestoreRun.Refusal {
      throw Unhealthy(refusal.sentence)
    }
  }

  /// Refuses what makes no sense together.
  ///
  /// - Returns: what --database says.
  private func checkedDatabases() throws -> [Int: Int] {
    guard timeout.isFinite, timeout > 0, timeout <= 600 else {
      throw ConfigurationError("--timeout must be above 0 and at most 600 seconds.")
    }
    let countMax = action.countMax
    guard count.map({ (1...countMax).contains($0) }) ?? true else {
      throw ConfigurationError(
        countMax == .max ? "--count must be at least 1." : "--count must be from 1 to \(countMax).")
    }
    guard (0.1...3_600).contains(interval) else {
      throw ConfigurationError("--interval must be from 0.1 to 3600 seconds.")
    }
    guard node.isEmpty || action.isAboutNode else {
      throw ConfigurationError(
        "--node is for top, clients, kill, loglevel, slowlog, config and drain.")
    }
    guard action == .slowlog || !reset else {
      throw ConfigurationError("--reset is for slowlog.")
    }
    guard action == .restore || !merge && database.isEmpty else {
      throw ConfigurationError("--merge and --database are for restore.")
    }
    guard action.subject == nil ? subject == nil : subject != nil || !action.needsSubject else {
      throw ConfigurationError(
        action.subject.map { "\(action.rawValue) needs \($0)." }
          ?? "\(action.rawValue) takes no further word.")
    }
    return try databasePlaces()
  }

  private func makeToken(for user: String) throws(ConfigurationError) {
    guard PlainName.isValid(user.utf8) else {
      throw ConfigurationError("a user's name has \(PlainName.form).")
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

  func show(
    _ text: String, _ value: JSONValue, missing: [RingstoreError]
  ) throws {
    if json { Terminal.write(value.text + "\n") } else { Terminal.show(text + "\n") }
    if !missing.isEmpty { throw Unhealthy("not all shards could be reached") }
  }
}
