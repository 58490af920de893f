// What a verification has found. Values; any thread.

package import Log

/// Something that is wrong.
package struct LogFinding: Sendable, Equatable {
  package let refusal: LogRefusal
  /// Whether a shard can't start because of it. Otherwise it is in a file that a start would
  /// remove, or it shows that a needed file has wrong content.
  package let stopsStart: Bool
  /// The possible cut; nil: not checked, because no cut helps there.
  package internal(set) var cut: Result<CutPlan, CutRefusal>?

  /// Of a log that continues, the sentence changes.
  func isSamePlace(as other: LogFinding) -> Bool {
    guard let place = refusal.place, let otherPlace = other.refusal.place else {
      return refusal == other.refusal
    }
    return place == otherPlace
  }
}

package struct LogVerdict: Sendable {
  /// What was read of a file, and whether a start reads it.
  package struct File: Sendable {
    package let scan: FileScan
    package let isNeeded: Bool
  }

  package enum Replay: Sendable, Equatable {
    case none
    /// Records were replayed, and every image was in its place.
    case done
    /// Checksums only, as requested.
    case leftOut
  }

  package let owner: LogOwner
  package let lineage: Lineage?
  package let isInUse: Bool
  /// Segments, then passes.
  package internal(set) var files: [File] = []
  package internal(set) var survey: LogSurvey
  /// The range of the log that a start reads.
  package internal(set) var begin: LogPosition?
  package internal(set) var end: LogPosition?
  /// A sentence about the torn end of a crash, which is not a fault.
  package internal(set) var torn: String?
  package internal(set) var replay = Replay.none
  /// Passes that were compared with the log that was replayed from before them.
  package internal(set) var compared: [LogFileName] = []
  package internal(set) var findings: [LogFinding] = []
  /// A running shard changed the files during every attempt: nothing is known.
  package internal(set) var isUnsettled = false

  package var isSound: Bool { findings.isEmpty && !isUnsettled }
}

extension LogRefusal {
  /// Where it is, if it is in a file.
  package var place: (file: String, offset: UInt64)? {
    switch self {
    case .corrupt(let file, let offset, _): (file, offset)
    case .otherCluster(let file, _, _), .otherShard(let file, _, _), .otherSeed(let file),
      .mixed(let file, _), .newerFormat(let file, _), .fewerDatabases(let file, _),
      .missing(let file, _):
      (file, 0)
    case .notADirectory, .inUse, .noRoom, .failed: nil
    }
  }

  /// The fault, without the additions of a shard's refusal to start.
  package var reason: String {
    switch self {
    case .corrupt(let file, let offset, let why): "\(file) is corrupt at offset \(offset): \(why)."
    case .missing(let file, let why): "\(file) is missing: \(why)."
    default: description
    }
  }
}
