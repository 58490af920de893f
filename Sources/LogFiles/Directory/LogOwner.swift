// The owner of a log: from the settings, and the files must match. Pure.

package import Log

/// The shard that opens a directory.
package struct LogOwner: Sendable, Equatable {
  package var cluster: String
  package var shard: String
  /// Of the cluster's hash seed, by which passes are ordered.
  package var seedDigest: UInt64

  package init(cluster: String, shard: String, seedDigest: UInt64) {
    self.cluster = cluster
    self.shard = shard
    self.seedDigest = seedDigest
  }
}

/// Random numbers for a new directory, passed in.
package struct NewLogIdentity: Sendable {
  package var lineage: Lineage
  package var directory: UInt64

  package init(lineage: Lineage, directory: UInt64) {
    self.lineage = lineage
    self.directory = directory
  }
}

/// Why a directory can't be used. Each has a sentence that says what to do.
package enum LogRefusal: Error, Equatable, Sendable, CustomStringConvertible {
  case notADirectory(String)
  case inUse(String)
  case otherCluster(file: String, found: String, wanted: String)
  case otherShard(file: String, found: String, wanted: String)
  case otherSeed(file: String)
  /// There are files of two logs, or of two directories.
  case mixed(file: String, other: String)
  case newerFormat(file: String, format: UInt32)
  case fewerDatabases(file: String, database: Int)
  case corrupt(file: String, offset: UInt64, why: String)
  case missing(file: String, why: String)
  /// The disk is full.
  case noRoom(directory: String, DiskRoom, FileError)
  case failed(FileError)

  package var description: String {
    switch self {
    case .notADirectory(let path):
      "\(path) is not a directory. Set data_dir to a directory, or to a path that doesn't exist."
    case .inUse(let path):
      "\(path) is in use by another process. Each shard needs its own data directory."
    case .otherCluster(let file, let found, let wanted):
      "\(file) belongs to the cluster \"\(found)\", and this shard to \"\(wanted)\". "
        + "Check data_dir and the cluster's name."
    case .otherShard(let file, let found, let wanted):
      "\(file) belongs to the shard \"\(found)\", and this shard is \"\(wanted)\". "
        + "Check data_dir and the shard's name."
    case .otherSeed(let file):
      "\(file) was written with another hash seed. Start the shard with the seed that the cluster "
        + "was created with."
    case .mixed(let file, let other):
      "\(file) and \(other) belong to different logs. Move the files that were copied here by "
        + "mistake out of the directory."
    case .newerFormat(let file, let format):
      "\(file) has format \(format), which a newer version of Ringstore has written. "
        + "Start that version."
    case .fewerDatabases(let file, let database):
      "\(file) has keys in database \(database), and this shard is set to fewer databases. Start it "
        + "with as many databases as before."
    case .corrupt(let file, let offset, let why):
      "\(file) is corrupt at offset \(offset): \(why). Nothing was changed. "
        + "`ringstore log verify` shows what can be read, and what `ringstore log cut` would keep; "
        + "restore the directory from a backup, or move it away and accept the loss."
    case .missing(let file, let why):
      "\(file) is missing: \(why). Nothing was changed. "
        + "Restore it from a backup, or move the directory away and accept the loss."
    case .noRoom(let directory, let room, let error):
      "The disk of \(directory) is full: \(room) to start (\(error)). Make room, and start the "
        + "shard again: nothing is lost."
    case .failed(let error):
      switch error.code {
      case FileErrorCode.readOnly:
        "\(error.path) is on a read-only file system. A shard must be able to write there."
      case FileErrorCode.noPermission:
        "\(error.path) can't be used by this user (\(error.call)). Check its owner and mode."
      default:
        "The data directory can't be used: \(error)."
      }
    }
  }
}
