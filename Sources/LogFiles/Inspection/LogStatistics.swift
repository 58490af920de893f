// The content of a directory in numbers, and the work of a start. Reads every file once and changes
// none. One thread.

package import Log

package struct LogStatistics: Sendable {
  /// The target of a start (docs/BENCHMARKS.md, `recovery`): half a second for a million keys of a
  /// pass, a second for a million changes after it. A fast machine needs less.
  package static let nanosPerKey = 500
  package static let nanosPerEffect = 1_000
  /// Of an ordinary SSD.
  package static let bytesPerSecond: UInt64 = 512 << 20

  package let owner: LogOwner
  package private(set) var segments = 0
  package private(set) var passes = 0
  /// Of batches, without headers of files and allocated space.
  package private(set) var logBytes: UInt64 = 0
  package private(set) var passBytes: UInt64 = 0
  package private(set) var headBytes: UInt64 = 0
  package private(set) var batches = 0
  private var records: [UInt8: FileScan.Count] = [:]
  /// Of the files themselves.
  package private(set) var diskBytes: UInt64 = 0
  package private(set) var asideFiles = 0
  package private(set) var asideBytes: UInt64 = 0
  package private(set) var begin: LogPosition?
  package private(set) var end: LogPosition?
  /// The one that a start begins with.
  package private(set) var newestPass: FileScan?
  /// What a start replays.
  package private(set) var keysToRead: UInt64 = 0
  package private(set) var effectsToRead: UInt64 = 0
  private var bytesToRead: UInt64 = 0
  /// Files that could not be counted.
  package private(set) var unreadable: [LogRefusal] = []

  package init(of directory: LogDirectory) throws(LogRefusal) {
    owner = directory.owner
    let survey = try LogSurvey(of: directory)
    guard !survey.isEmpty else {
      throw .missing(file: directory.path, why: "there is no log in it")
    }
    unreadable = survey.unreadable.map(\.refusal)
    for name in survey.leftovers + survey.unreadable.map(\.name) {
      diskBytes += try directory.size(of: name)
    }
    for name in survey.aside {
      asideFiles += 1
      asideBytes += try directory.size(of: name)
    }
    diskBytes += asideBytes
    let named = survey.segments.compactMap(\.header.newestPass).max()
    let first = survey.segments.last { $0.position <= named ?? 0 }?.position ?? 0
    for file in survey.passes + survey.segments {
      guard let scan = try scan(file, directory) else { continue }
      add(scan)
      let isNeeded = file.header.kind == .pass ? file.position == named : file.position >= first
      if isNeeded { count(scan) }
    }
  }

  private mutating func scan(
    _ file: LogFile, _ directory: LogDirectory
  ) throws(LogRefusal) -> FileScan? {
    do throws(LogRefusal) {
      return try FileScan(file, in: directory)
    } catch {
      // A shard that runs has removed it meanwhile.
      guard case .failed(let failure) = error, failure.isMissing else { throw error }
      return nil
    }
  }

  private mutating func add(_ scan: FileScan) {
    diskBytes += scan.file.size
    headBytes += scan.headBytes
    batches += scan.batches
    for (type, count) in scan.records {
      records[type, default: FileScan.Count()].records += count.records
      records[type, default: FileScan.Count()].bytes += count.bytes
    }
    switch scan.file.header.kind {
    case .log:
      segments += 1
      logBytes += scan.batchBytes
      begin = min(begin ?? scan.file.position, scan.file.position)
      end = max(end ?? 0, scan.end)
    case .pass:
      passes += 1
      passBytes += scan.batchBytes
    }
  }

  /// What a start reads.
  private mutating func count(_ scan: FileScan) {
    bytesToRead += scan.batchBytes
    effectsToRead += UInt64(scan.effects)
    if scan.file.header.kind == .pass {
      newestPass = scan
      keysToRead = scan.passEnd?.keys ?? 0
    }
  }

  /// By type.
  package var kinds: [(type: UInt8, count: FileScan.Count)] {
    records.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// How much of the batches is the newest pass: about the data itself. nil: there is none.
  package var liveRatio: Double? {
    newestPass.map { Double($0.batchBytes) / Double(max(1, logBytes + passBytes)) }
  }

  package var recoverySeconds: Double {
    Double(keysToRead) * Double(Self.nanosPerKey) / 1e9
      + Double(effectsToRead) * Double(Self.nanosPerEffect) / 1e9
      + Double(bytesToRead) / Double(Self.bytesPerSecond)
  }
}
