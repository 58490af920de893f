// `ringstore log verify`: whether a shard would start from a directory, and whether its two copies
// of the data are the same.

import ArgumentParser
import Log
import LogFiles
import Placement
import RingstoreAPI
import Store

struct LogVerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Checks all files of a data directory.",
    discussion: """
      Reads headers, identities and checksums, replays the log as a start does, and compares the \
      state with every later pass. It needs as much memory as the shard. A torn end, as a crash \
      leaves it, is not a fault. Meanwhile no shard can start there. If a shard is running, a fault \
      counts only if it is found twice, and reading ends where its writes end. Status 0: no fault. \
      1: a fault; it prints the fault, its place, and what 'ringstore log cut' would do. 2: it \
      can't be read.
      """)

  /// As many databases as a node can have.
  private static let databaseCount = 1_024

  @OptionGroup var place: LogDirectoryArgument

  @Option(help: "The shard's hash seed: 32 hexadecimal digits or file:PATH. (default: public)")
  var hashSeed: String?

  @Option(help: "The shard's configuration, for its hash_seed.")
  var config: String?

  @Flag(help: "Check headers, identities and checksums only: needs little memory and no hash seed.")
  var noReplay = false

  @Flag(help: "Write the report as one JSON value.")
  var json = false

  func run() async throws {
    let directory = try place.open(.ifFree)
    defer { directory.close() }
    let seed = noReplay ? .publicSeed : try await seed(of: directory)
    var store: Store?
    let makeTarget = { () -> any ReplayTarget in
      let made = Store(
        databaseCount: Self.databaseCount, slotCount: Slots.count, hashSeed: seed.words)
      store = made
      return StoreReplay(into: made)
    }
    let verification = LogVerification(directory, noReplay ? nil : makeTarget)
    let verdict = try reading { () throws(LogRefusal) in try verification.run() }
    if verdict.survey.isEmpty {
      throw LogToolFailure(unreadable: "there is no log in \(directory.path).")
    }
    let state =
      verdict.replay == .done && verdict.isSound ? store.map(LogVerdictText.State.init) : nil
    let report = LogVerdictText(verdict, directory: directory.path, state: state)
    Terminal.write((json ? report.json.text : report.text) + "\n")
    if verdict.isUnsettled {
      throw LogToolFailure(
        unreadable: "a shard changed the files during each read. "
          + "Try again, or stop it.")
    }
    guard verdict.isSound else {
      throw LogToolFailure(wrong: "\(report.verdictLine) in \(directory.path).")
    }
  }

  private func seed(of directory: LogDirectory) async throws -> HashSeed {
    let environment = ProcessState.environment()
    var file: ConfigFile?
    if let path = config ?? environment[SettingSources.configVariable] {
      file = try await ConfigFile.load(path, for: .shard)
    }
    let sources = SettingSources(
      .shard, flags: hashSeed.map { [.hashSeed: [$0]] } ?? [:], environment: environment, file: file
    )
    let seed = try sources.hashSeed()
    guard directory.owner.cluster.isEmpty || seed.logDigest == directory.owner.seedDigest else {
      throw LogToolFailure(
        unreadable: "the log was written with another hash seed. Give the shard's hash seed with "
          + "--hash-seed, --config or RINGSTORE_HASH_SEED, or check without it: --no-replay.")
    }
    return seed
  }
}
