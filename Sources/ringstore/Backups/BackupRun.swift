// `ringstore admin backup`: reads the shards' copies from a running cluster into a directory, reads
// all of that again, and only then writes the manifest that makes it a backup.
//
// One task; each piece is written before the next one is read: so a slow disk slows the backup, and
// nothing accumulates.

import Backups
import LogFiles
import RingstoreClient
import Store

struct BackupRun {
  let client: RingstoreClient
  let options: RingstoreCallOptions
  let directory: String
  let files = PosixFiles()

  /// How far the shards are. The numbers are the servers', so sums saturate.
  private struct Shards {
    private(set) var progress: [String: BackupPiece] = [:]
    /// The keys of the shards that have sent nothing yet; without them the bar would go back when
    /// they do.
    private var expected: [String: Int]

    init(of cluster: RingstoreClusterDescription) {
      let shards = cluster.nodes.filter { $0.role == .shard }
      expected = Dictionary(shards.map { ($0.id, $0.keys) }, uniquingKeysWith: max)
    }

    mutating func note(_ piece: BackupPiece) {
      progress[piece.shard] = piece
      expected[piece.shard] = nil
    }

    var keysDone: Int { Self.sum(progress.values.map(\.keysDone)) }

    var keys: Int { Self.sum(progress.values.map { max($0.keys, $0.keysDone) } + expected.values) }

    private static func sum(_ numbers: [Int]) -> Int {
      numbers.reduce(0) { sum, number in
        let (more, overflows) = sum.addingReportingOverflow(max(number, 0))
        return overflows ? .max : more
      }
    }
  }

  /// - Throws: RingstoreError, BackupFault. Then nothing is left in the directory.
  func run() async throws -> BackupManifest {
    let cluster = try await client.describe(options: options)
    let writer = try BackupWriter(directory, over: files)
    do {
      var manifest = try await copy(cluster, to: writer)
      try check(&manifest)
      try writer.publish(manifest)
      return manifest
    } catch {
      writer.discard()
      throw error
    }
  }

  private func copy(
    _ cluster: RingstoreClusterDescription, to writer: BackupWriter
  ) async throws -> BackupManifest {
    var shards = Shards(of: cluster)
    var bar = Terminal.bar
    defer { bar?.clear() }
    try await client.backup(options: options) { piece, bytes in
      switch piece.file {
      case .pass: try writer.write(bytes, to: .pass, of: piece.shard)
      case .log: try writer.write(bytes, to: .log, of: piece.shard)
      case nil: break
      }
      shards.note(piece)
      let keys = shards.keysDone
      bar?.show(
        done: keys, of: shards.keys,
        "\(keys) keys, \(ClusterTable.memory(Int(clamping: writer.byteCount))) copied")
    }
    return try writer.finish(
      version: RingstoreVersion.current, cluster: cluster.cluster,
      databases: max(1, shards.progress.values.map(\.databases).max() ?? 1),
      taken: shards.progress.mapValues(\.takenUnixMillis))
  }

  /// Reads what was written, and notes its contents. A restore compares with that.
  private func check(_ manifest: inout BackupManifest) throws {
    let told = manifest
    var reading = BackupReading(told, in: directory, files, "checked")
    try reading.forEachBatch { store in
      manifest.add(store)
    }
  }
}

/// All keys of a backup, batch by batch, with a bar.
struct BackupReading {
  private let manifest: BackupManifest
  private let directory: String
  private let files: PosixFiles
  private let what: String
  private var bar = Terminal.bar

  init(_ manifest: BackupManifest, in directory: String, _ files: PosixFiles, _ what: String) {
    self.manifest = manifest
    self.directory = directory
    self.files = files
    self.what = what
  }

  /// Reads it to its end; the manifest then has its bytes.
  mutating func forEachBatch(_ body: (Store) throws -> Void) throws {
    defer { bar?.clear() }
    // Logs are read twice.
    let total = manifest.shards.reduce(0) { $0 + $1.pass.size + 2 * $1.log.size }
    var before: UInt64 = 0
    for shard in manifest.shards {
      let reader = try BackupShardReader(shard, of: manifest, in: directory, over: files)
      while let store = try reader.next() {
        try body(store)
        let done = Int(clamping: before + reader.bytesRead)
        bar?.show(
          done: done, of: Int(clamping: total), "\(ClusterTable.memory(done)) \(what)")
      }
      before += reader.bytesRead
    }
  }
}

extension BackupManifest {
  /// Counts its keys.
  fileprivate mutating func add(_ store: Store) {
    for database in 0..<store.databaseCount {
      let count = store.keyCount(database: database)
      if count > 0 { keys[database, default: 0] += count }
    }
    for (slot, held) in store.contents() {
      slots[slot] = (slots[slot] ?? SlotContents()) + held
    }
  }
}
