// What a verification has found. Values; any thread.

package import Log

/// Something that is wrong.
package struct LogFinding: Sendable, Equatable {
  package let refusal: LogRefusal
  /// Whether a shard doesn't start because of it. Else it is in a file that a start would remove,
  /// or says that one that counts isn't what it should be.
  package let stopsStart: Bool
  /// What a cut could do about it; nil: nothing was asked, as no cut helps there.
  package internal(set) var cut: Result<CutPlan, CutRefusal>?

  /// Of a log that goes on, the sentence changes.
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
    /// Checksums only, as was asked.
    case leftOut
  }

  package let owner: LogOwner
  package let lineage: Lineage?
  package let isInUse: Bool
  /// Segments, then passes.
  package internal(set) var files: [File] = []
  package internal(set) var survey: LogSurvey
  /// Where a start begins to read the log, and where that ends.
  package internal(set) var begin: LogPosition?
  package internal(set) var end: LogPosition?
  /// What a crash has left at the end, in a sentence; no fault.
  package internal(set) var torn: String?
  package internal(set) var replay = Replay.none
  /// Passes that were compared with the log that was replayed from before them.
  package internal(set) var compared: [LogFileName] = []
  package internal(set) var findings: [LogFinding] = []
  /// Files came and went while they were read, as a shard works on them, each time that it was
  /// tried: nothing is known.
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

  /// What is wrong, without what a shard's refusal to start adds.
  package var reason: String {
    switch self {
    case .corrupt(let file, let offset, let why): "\(file) is corrupt at offset \(offset): \(why)."
    case .missing(let file, let why): "\(file) is missing: \(why)."
    default: description
    }
  }
}
