// `ringstore admin`: what an operator does to a running cluster and asks of it, with the outcome as
// an exit status.

import ArgumentParser
import Backups
import RingstoreClient
import TextForms
import Users

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
      and after, can be compared. backup: all keys into a directory, each shard's as of one moment, \
      while the cluster goes on. restore: the keys of such a directory into a cluster. \
      accept-loss SHARD: a shard that is refused with DATA_LOST is taken as it is, without the data \
      that it had. token USER: makes a token for a user, asking no node; it is printed once, with \
      the line for the users file. top: nodes and their calls, live. clients: the connections of a \
      node. kill ID: ends one of them. loglevel [LEVEL]: tells or changes which events a node logs, \
      until it ends. slowlog: the calls that took long or were large lately. config: a node's \
      settings, and where each of them is from. drain: a node takes nothing new, answers what is \
      under way, and ends. These seven are about the node that is asked, or the shard that --node \
      names. Status 0: done, or nothing is in the way; 1: not, and stderr says why.
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case plan, reload, hotkeys, bigkeys, snapshot, digest, backup, restore, token
    case top, clients, kill, loglevel, slowlog, config, drain
    case acceptLoss = "accept-loss"

    /// What it is called with; nil: nothing.
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
      Of backup and restore: the directory. Of accept-loss: the shard's id. Of token: the user's \
      name. Of kill: the connection's id. Of loglevel: the level.
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
      Of clients, kill, loglevel, slowlog, config, drain and top: the node that is meant, by its \
      id. (default: the one that is asked; of top: all)
      """)
  var node: String = ""

  @Option(
    parsing: .unconditional, help: "Of top: seconds between two looks, from 0.1 to 3600.")
  var interval: Double = 2

  @Option(
    parsing: .unconditional,
    help: """
      Of hotkeys and bigkeys: how many keys at most, up to 100. Of clients: how many connections, \
      up to 10000. Of slowlog: how many slow and how many large calls, up to 1000. Of top: how \
      many looks. (default: 10; of clients: 100; of top: until it is stopped)
      """)
  var count: Int?

  @Flag(help: "Of all but plan and reload: write the reply as one JSON value.")
  var json = false

  @Flag(help: "Of slowlog: have the node forget these calls, and those that aren't shown.")
  var reset = false

  @Flag(
    help: """
      Of restore: into a cluster that has keys already. Those that the backup has as well are \
      replaced.
      """)
  var merge = false

  @Option(
    parsing: .unconditionalSingleValue,
    help: """
      Of restore: only this database of the backup, into that one of the cluster, as FROM:TO. May \
      be said several times.
      """)
  var database: [String] = []

  @Flag(help: "Of accept-loss: don't ask whether it is meant.")
  var yes = false

  @Option(
    parsing: .unconditional,
    help: """
      Seconds that it may take, or of snapshot, backup and restore that may pass without news: \
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
      throw Unhealthy(error.message)
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
    guard UserDefinition.isName(user.utf8) else {
      throw ConfigurationError(
        "a user's name has 1 to \(UsersFile.nameBytesMax) letters, digits, '-', '_' or '.'.")
    }
    var random = SystemRandomNumberGenerator()
    let made = NewToken(Token.make(for: user, using: &random))
    Terminal.write((json ? made.json.text : made.text) + "\n")
  }

  /// What --database says.
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
    Terminal.write((json ? value.text : text) + "\n")
    if !missing.isEmpty { throw Unhealthy("not all shards could be asked") }
  }
}
