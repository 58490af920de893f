// What a backup is, as its file MANIFEST says: lines of text, the last of which is the checksum of
// those before it. docs/FORMATS.md has the grammar. A directory without it is no backup: it is
// written last.
//
//   ringstore backup 1
//   version TEXT
//   cluster TEXT
//   databases NUMBER
//   shard SEED-DIGEST TAKEN-UNIX-MILLIS TEXT      then its files:
//   pass SIZE CRC32C NAME
//   log SIZE CRC32C NAME
//   database NUMBER KEYS
//   slot NUMBER KEYS EXPIRING-KEYS DIGEST DIGEST-OF-LASTING-KEYS
//   checksum CRC32C
//
// A value; any thread.

internal import Log

package struct BackupManifest: Equatable, Sendable {
  package static let name = "MANIFEST"
  static let head = "ringstore backup 1"
  /// Some 80 bytes for each slot, and for each shard.
  static let bytesMax = 16 << 20
  /// Of a cluster, a shard or a version.
  static let textBytesMax = FileHeader.nameBytesMax

  package struct File: Equatable, Sendable {
    package var name: String
    package var size: UInt64
    package var checksum: UInt32
  }

  package struct Shard: Equatable, Sendable {
    package var id: String
    /// Tells whether another cluster has the same hash seed.
    package var seedDigest: UInt64
    /// The moment of what its files hold.
    package var takenUnixMillis: Int64
    package var pass: File
    package var log: File
  }

  /// What was running.
  package var version: String
  package var cluster: String
  /// How many databases the shards had.
  package var databases: Int
  package var shards: [Shard] = []
  /// Keys of the databases that have any.
  package var keys: [Int: Int] = [:]
  /// What the slots with keys hold, those that have expired meanwhile among them.
  package var slots: [Int: SlotContents] = [:]

  package init(version: String, cluster: String, databases: Int) {
    self.version = version
    self.cluster = cluster
    self.databases = databases
  }

  package var totalKeys: Int { keys.values.reduce(0, +) }

  package var totalBytes: UInt64 {
    shards.reduce(0) { $0 + $1.pass.size + $1.log.size }
  }

  package var contents: SlotContents { slots.values.reduce(SlotContents()) { $0 + $1 } }
}

/// The digest of a slot's keys: sums over its keys, so those of parts can be added up.
package struct SlotContents: Equatable, Sendable {
  package var keys = 0
  package var expiringKeys = 0
  package var digest: UInt64 = 0
  package var lastingDigest: UInt64 = 0

  package init(keys: Int = 0, expiringKeys: Int = 0, digest: UInt64 = 0, lastingDigest: UInt64 = 0)
  {
    self.keys = keys
    self.expiringKeys = expiringKeys
    self.digest = digest
    self.lastingDigest = lastingDigest
  }

  package static func + (one: SlotContents, other: SlotContents) -> SlotContents {
    SlotContents(
      keys: one.keys + other.keys, expiringKeys: one.expiringKeys + other.expiringKeys,
      digest: one.digest &+ other.digest, lastingDigest: one.lastingDigest &+ other.lastingDigest)
  }
}
