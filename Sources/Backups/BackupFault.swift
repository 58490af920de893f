// Why a backup can't be read or written. Each has a message that says what to do.

package import LogFiles

package struct BackupFault: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Reason: Error, Equatable, Sendable {
    /// The directory holds no finished backup.
    case noManifest
    case newerFormat
    /// The bytes aren't those that were written.
    case damaged
    /// This many bytes instead of the number in the manifest.
    case otherSize(found: UInt64, wanted: UInt64)
    case otherChecksum
    /// The bytes are unchanged, but their contents are impossible.
    case unreadable(String)
    /// The contents don't match the manifest.
    case otherContents(slot: Int)
    case notEmpty
    case failed(FileError)
  }

  /// The file, or the directory.
  package let path: String
  package let reason: Reason

  package init(_ path: String, _ reason: Reason) {
    self.path = path
    self.reason = reason
  }

  package var description: String {
    switch reason {
    case .noManifest:
      "\(path) is missing or not a manifest: the directory has no backup, or one that was not "
        + "finished."
    case .newerFormat: "\(path) is from a newer version of Ringstore. Restore it with that version."
    case .damaged: "\(path) is damaged. Nothing of it was used."
    case .otherSize(let found, let wanted):
      "\(path) has \(found) bytes; the manifest says \(wanted). The backup is damaged."
    case .otherChecksum:
      "\(path) has another checksum than the manifest says. The backup is damaged."
    case .unreadable(let why): "\(path) can't be read: \(why)."
    case .otherContents(let slot):
      "The data of \(path) in slot \(slot) differs from its manifest. The backup is damaged."
    case .notEmpty:
      "\(path) is not empty. Name an empty directory, or one that doesn't exist yet."
    case .failed(let error): "\(error)"
    }
  }
}
