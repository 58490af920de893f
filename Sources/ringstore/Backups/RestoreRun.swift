// `ringstore admin restore`: reads a whole backup before anything is changed, then writes its keys
// into a running cluster, and compares the cluster's contents with it.
//
// The keys are sent by Pipelines, like any client's: so they are routed by slot to any number of
// shards, refused like other writes, and get new versions. One task; a stretch of some MiB is in
// progress at a time.

import Backups
import Glibc
import LogFiles
import RingstoreClient
import Store

struct RestoreRun {
  /// Why nothing was restored, or not all.
  struct Refusal: Error {
    let sentence: String
  }

  /// Its result.
  struct Report {
    let manifest: BackupManifest
    var keys = 0
    /// Keys that had expired before they could be written.
    var expired = 0
    /// Keys that expired between their writing and the comparison.
    var expiredMeanwhile = 0
    /// Whether counts and digests of all slots were compared, and are the same.
    var isCompared = false
  }

  let client: RingstoreClient
  let options: RingstoreCallOptions
  let directory: String
  /// The cluster may have keys; they are replaced if the backup has them.
  let merges: Bool
  /// The target of each database; empty: each to its own number.
  let databases: [Int: Int]
  private let files = PosixFiles()

  init(
    client: RingstoreClient, options: RingstoreCallOptions, directory: String, merges: Bool,
    databases: [Int: Int]
  ) {
    self.client = client
    self.options = options
    self.directory = directory
    self.merges = merges
    self.databases = databases
  }

  func run() async throws -> Report {
    let manifest = try BackupReader.manifest(in: directory, over: files)
    let targets = try targets(manifest)
    try check(manifest)
    let before: [Int: SlotContents]
    do {
      before = try await lookAtCluster(targets)
    } catch let error as RingstoreError where !error.isUnconnected {
      throw Refusal(
        sentence: "The cluster's keys could not be counted: "
          + "\(ConnectionAdvice.sentence(error.message)) "
          + (ConnectionAdvice.ofToken(error.message).map { "\($0) " } ?? "")
          + "Nothing was written; run the restore again\(Self.moreTime(error)).")
    }
    var report = Report(manifest: manifest)
    let expected = try await write(manifest, &report)
    guard !merges else { return report }
    do {
      try await compare(expected, with: before, &report)
    } catch let error as RingstoreError {
      throw Refusal(
        sentence: "All \(report.keys) keys were written, but could not be compared with the "
          + "backup: \(ConnectionAdvice.sentence(error.message)) Run the restore again with "
          + "--merge, or compare the digest of the backup with `ringstore admin digest`.")
    }
    return report
  }

  private static func moreTime(_ error: RingstoreError) -> String {
    error.code == .deadlineExceeded ? ", with a longer --timeout" : ""
  }

  // MARK: - Before anything is changed

  /// - Returns: the databases that are written to.
  private func targets(_ manifest: BackupManifest) throws -> [Int] {
    if let missing = databases.keys.sorted().first(where: { manifest.keys[$0] == nil }) {
      throw Refusal(sentence: "The backup has no keys of database \(missing).")
    }
    return databases.isEmpty ? manifest.keys.keys.sorted() : Set(databases.values).sorted()
  }

  /// Reads every byte.
  private func check(_ manifest: BackupManifest) throws {
    var found: [Int: SlotContents] = [:]
    var reading = BackupReading(manifest, in: directory, files, "checked")
    try reading.forEachBatch { store in
      for (slot, held) in store.contents() { found[slot] = (found[slot] ?? SlotContents()) + held }
    }
    for slot in Set(found.keys).union(manifest.slots.keys).sorted()
    where (found[slot] ?? SlotContents()) != (manifest.slots[slot] ?? SlotContents()) {
      throw BackupFault(directory, .otherContents(slot: slot))
    }
  }

  /// - Returns: the contents of the slots, for the comparison afterwards.
  private func lookAtCluster(_ targets: [Int]) async throws -> [Int: SlotContents] {
    for database in targets {
      var options = options
      options.database = UInt32(database)
      let keys = try await client.dbSize(options: options)
      if keys > 0, !merges {
        throw Refusal(
          sentence: "Database \(database) of the cluster has \(Self.counted(keys)): nothing was "
            + "changed. Restore into an empty one, or with --merge, which replaces existing keys.")
      }
    }
    if merges { return [:] }
    if try await client.dbSize(.allDatabases, options: options) == 0 { return [:] }
    return try await contents()
  }

  // MARK: - Writing

  /// - Returns: what it has added to the slots.
  private func write(
    _ manifest: BackupManifest, _ report: inout Report
  ) async throws -> [Int: SlotContents] {
    var expected: [Int: SlotContents] = [:]
    var bar = Terminal.bar
    defer { bar?.clear() }
    let total = manifest.totalKeys
    for shard in manifest.shards {
      let reader = try BackupShardReader(
        shard, of: manifest, in: directory, databases: databases.isEmpty ? nil : databases,
        over: files)
      while let store = try reader.next() {
        let nowMillis = Self.nowMillis
        for (slot, held) in store.contents(nowMillis: nowMillis) {
          expected[slot] = (expected[slot] ?? SlotContents()) + held
        }
        var cursor = ImageCursor()
        while cursor < store.imageEnd {
          var stretch = RestoreStretch(merges: merges, nowMillis: nowMillis)
          cursor = stretch.take(from: store, at: cursor)
          report.expired += stretch.expired
          do {
            try await stretch.write(to: client, options)
          } catch let error as RingstoreError {
            throw Refusal(
              sentence: "The restore stopped after \(report.keys) keys: "
                + "\(ConnectionAdvice.sentence(error.message)) They are in the cluster, and some "
                + "of the next ones may be. Run it again with --merge to complete it"
                + "\(Self.moreTime(error)).")
          }
          report.keys += stretch.count
          let done = report.keys
          bar?.show(done: done, of: total, "\(done) of \(total) keys restored")
        }
      }
    }
    return expected
  }

  /// "1 key", "2 keys".
  static func counted(_ keys: Int) -> String { keys == 1 ? "1 key" : "\(keys) keys" }

  private static var nowMillis: Int64 { Int64(time(nil)) * 1_000 }

  // MARK: - Afterwards

  /// How often slots that change are checked again.
  private static let looksMax = 5

  private func contents() async throws -> [Int: SlotContents] {
    for look in 1... {
      let told = try await client.digest(slots: true, options: options)
      if let missing = told.unreachable.first { throw missing }
      if told.found.allSatisfy({ $0.slotsChanged == 0 }) {
        var contents: [Int: SlotContents] = [:]
        for (slot, held) in told.found.flatMap(\.slots) {
          guard let held else { continue }
          contents[slot] =
            (contents[slot] ?? SlotContents())
            + SlotContents(
              keys: held.keys, expiringKeys: held.expiringKeys, digest: held.digest,
              lastingDigest: held.lastingDigest)
        }
        return contents
      }
      guard look < Self.looksMax else { break }
      try await Task.sleep(for: .milliseconds(500))
    }
    throw Refusal(
      sentence:
        "Another client writes to the cluster, so its data can't be compared. The restored keys "
        + "are in the cluster.")
  }

  /// All keys that don't expire must exist; some of the others may be gone by now.
  private func compare(
    _ added: [Int: SlotContents], with before: [Int: SlotContents], _ report: inout Report
  ) async throws {
    let after = try await contents()
    for slot in Set(added.keys).union(after.keys).union(before.keys).sorted() {
      let none = SlotContents()
      let wanted = (before[slot] ?? none) + (added[slot] ?? none)
      let found = after[slot] ?? none
      if found == wanted { continue }
      let isLasting =
        found.lastingDigest == wanted.lastingDigest
        && found.keys - found.expiringKeys == wanted.keys - wanted.expiringKeys
      guard isLasting, found.expiringKeys < wanted.expiringKeys else {
        throw Refusal(
          sentence: "Slot \(slot) holds \(Self.counted(found.keys)) and other data than the "
            + "\(Self.counted(wanted.keys)) of the backup: the restore failed, or another client "
            + "wrote meanwhile.")
      }
      report.expiredMeanwhile += wanted.expiringKeys - found.expiringKeys
    }
    report.isCompared = true
  }
}
