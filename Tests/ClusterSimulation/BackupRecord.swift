// A backup of a simulated cluster: its files, and the contents of each shard after each event while
// it was made. It is restored into a cluster of another size. Of each shard, the restored keys must
// be those that it held at one of these moments.
//
// Owns the files and the moments. One thread.

import Backups
import Log
import NIOCore
import RingstoreAPI
import SimulatedDisk

final class BackupRecord {
  private static let directory = "backup"
  private static let restoredShardsMax = 5

  private unowned let cluster: SimulatedCluster
  private let disk: SimulatedDisk
  private var writer: BackupWriter?
  private var taken: [String: Int64] = [:]
  private var databases = 1
  /// For each shard, its contents at every moment of the backup.
  private var moments: [String: Set<KeyContents.OfKeys>] = [:]

  init(_ cluster: SimulatedCluster) {
    self.cluster = cluster
    disk = SimulatedDisk(seed: 1)
    doing { writer = try BackupWriter(Self.directory, over: disk) }
  }

  private func doing(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      cluster.context.found(.backupWrong, "\(error)")
    }
  }

  func note(_ contents: KeyContents.OfKeys, of shard: String) {
    moments[shard, default: []].insert(contents)
  }

  /// A message of the stream has arrived.
  func add(_ message: UnsafeRawBufferPointer) {
    doing {
      let piece = try V1.BackupPiece(message)
      let shard = String(decoding: piece.shard, as: UTF8.self)
      if piece.data.count > 0 {
        try writer?.write(piece.data, to: piece.file == .pass ? .pass : .log, of: shard)
      }
      databases = max(databases, Int(piece.databases))
      if piece.complete { taken[shard] = piece.takenUnixMillis }
    }
  }

  /// The stream is complete: restores it, and compares.
  func finish() {
    cluster.context.cover(.backedUp)
    doing {
      guard
        let manifest = try writer?.finish(
          version: "0", cluster: SimulatedCluster.name, databases: databases, taken: taken)
      else { return }
      let size = cluster.context.number(1...Self.restoredShardsMax)
      let restored = try RestoredCluster(shards: size)
      for shard in manifest.shards {
        let reader = try BackupShardReader(
          shard, of: manifest, in: Self.directory, batchBytes: 200, over: disk)
        var keys: [[UInt8]] = []
        while let batch = try reader.next() {
          keys += restored.take(batch, nowMillis: shard.takenUnixMillis)
        }
        if cluster.context.configuration.sabotage == .leavesKeysOut { keys = keys.dropLast() }
        compare(restored.contents(of: keys), shard.id, takenMillis: shard.takenUnixMillis)
      }
    }
  }

  private func compare(_ found: KeyContents.OfKeys, _ shard: String, takenMillis: Int64) {
    // A key that is due at that moment is absent for clients, deleted or not.
    let states = (moments[shard] ?? []).map { $0.filter { $0.value.expiry > takenMillis } }
    guard !states.contains(found) else { return }
    cluster.context.found(
      .backupWrong, "shard \(shard) never held what its backup has: \(found), but \(states)")
  }
}

/// The backups in progress, for which contents of shards are noted.
final class BackupWatch {
  private unowned let cluster: SimulatedCluster
  private var open: [ObjectIdentifier: BackupRecord] = [:]

  init(_ cluster: SimulatedCluster) { self.cluster = cluster }

  func begin() -> BackupRecord {
    let record = BackupRecord(cluster)
    open[ObjectIdentifier(record)] = record
    for shard in cluster.shards { look(at: shard) }
    return record
  }

  func end(_ record: BackupRecord) { open[ObjectIdentifier(record)] = nil }

  /// A shard's store may have changed.
  func look(at shard: SimulatedShard) {
    guard !open.isEmpty, shard.state != .down, shard.showsKeys else { return }
    let contents = shard.core.contents(
      of: cluster.generator.keys.map(\.name), nowNanos: cluster.context.nowNanos)
    for record in open.values { record.note(contents, of: shard.id) }
  }
}
