// Checks a directory: everything that a start checks, with the same code; also files that a start
// doesn't need; and that two images of one state are equal: the log is replayed from the oldest
// pass with a complete log, and the state is compared with every later pass.
//
// A shard may be using the directory. Then a fault counts only if it is found twice in a row: a
// shard never rewrites durable data.
//
// One thread. Changes no file.

package import Log

package struct LogVerification {
  /// Of a directory that is in use: as often it is read, until two readings agree.
  private static let attemptsMax = 5
  private static let workPerStep = 10_000
  private static let stepBytes = 1 << 20

  private let directory: LogDirectory
  private let makeTarget: (() -> any ReplayTarget)?

  /// - Parameter makeTarget: makes the target of each replay; nil: no replay, only checksums are
  ///   checked.
  package init(_ directory: LogDirectory, _ makeTarget: (() -> any ReplayTarget)?) {
    self.directory = directory
    self.makeTarget = makeTarget
  }

  /// - Throws: the error that prevented reading.
  package func run() throws(LogRefusal) -> LogVerdict {
    var verdict = try readOnce()
    guard directory.isInUse else { return verdict }
    for _ in 1..<Self.attemptsMax where !verdict.findings.isEmpty {
      let again = try readOnce()
      let isSame = again.findings.elementsEqual(verdict.findings) { $0.isSamePlace(as: $1) }
      verdict = again
      if isSame { return verdict }
    }
    verdict.isUnsettled = !verdict.findings.isEmpty
    return verdict
  }

  private func readOnce() throws(LogRefusal) -> LogVerdict {
    let survey = try LogSurvey(of: directory)
    var verdict = LogVerdict(
      owner: directory.owner, lineage: (survey.segments + survey.passes).first?.header.lineage,
      isInUse: directory.isInUse, survey: survey)
    var needed: [LogFile] = []
    do throws(LogRefusal) {
      let contents = try LogContents(of: directory)
      needed = contents.segments + (contents.pass.map { [$0] } ?? [])
      if !contents.isNew { try replay(contents, &verdict) }
    } catch {
      try add(error, stopsStart: true, to: &verdict)
    }
    try scan(survey, needed: Set(needed.map(\.name)), &verdict)
    if !verdict.findings.contains(where: \.stopsStart) { try compare(&verdict) }
    for index in verdict.findings.indices {
      verdict.findings[index].cut = CutPlan.advice(
        for: verdict.findings[index], directory, survey)
    }
    return verdict
  }

  /// Records a fault; throws an error that only prevented reading.
  private func add(
    _ refusal: LogRefusal, stopsStart: Bool, to verdict: inout LogVerdict
  ) throws(LogRefusal) {
    switch refusal {
    case .failed(let error):
      // A shard that works on the directory removes files: the next try has another list.
      guard directory.isInUse, error.isMissing else { throw refusal }
    case .notADirectory, .inUse, .otherCluster, .otherShard, .otherSeed, .noRoom: throw refusal
    case .corrupt, .missing, .mixed, .newerFormat, .fewerDatabases: break
    }
    let finding = LogFinding(refusal: refusal, stopsStart: stopsStart)
    if !verdict.findings.contains(where: { $0.isSamePlace(as: finding) }) {
      verdict.findings.append(finding)
    }
  }

  // MARK: - What a start does

  private func replay(_ contents: LogContents, _ verdict: inout LogVerdict) throws(LogRefusal) {
    verdict.begin = contents.begin
    let passes = contents.pass.map { [$0] } ?? []
    let sink: any LogSink =
      if let makeTarget {
        LogMerge(
          into: makeTarget(), passBegin: contents.pass?.position,
          passBytes: contents.pass?.size ?? .max)
      } else {
        UnreadSink(passes: passes.count)
      }
    let end = try run(contents.segments, passes, from: contents.begin, sink)
    verdict.end = end.position
    verdict.replay = makeTarget == nil ? .leftOut : .done
    if let fault = end.fault {
      let file = directory.filePath(contents.segments[end.segment].name)
      verdict.torn =
        directory.isInUse
        ? nil : "\(file) ends at offset \(end.offset), as a crash leaves it: \(fault)."
    }
  }

  private func run(
    _ segments: [LogFile], _ passes: [LogFile], from begin: LogPosition, _ sink: any LogSink
  ) throws(LogRefusal) -> LogEnd {
    let replay = try LogReplay(
      directory, segments: segments, passes: passes, from: begin, stepBytes: Self.stepBytes, sink)
    while true {
      if case .done(let end) = try replay.step(work: Self.workPerStep) { return end }
    }
  }

  // MARK: - Every file by itself

  private func scan(
    _ survey: LogSurvey, needed: Set<LogFileName>, _ verdict: inout LogVerdict
  ) throws(LogRefusal) {
    for unreadable in survey.unreadable {
      // All segments count as long as they are there.
      try add(unreadable.refusal, stopsStart: false, to: &verdict)
    }
    let isCorrupt = verdict.findings.contains { $0.stopsStart }
    for file in survey.segments + survey.passes {
      let isNeeded = needed.contains(file.name)
      do throws(LogRefusal) {
        let scan = try FileScan(file, in: directory)
        verdict.files.append(LogVerdict.File(scan: scan, isNeeded: isNeeded))
        // The end of the part that a start reads was already checked with the whole log.
        let mayEnd = file == survey.segments.last || isNeeded && !isCorrupt
        if let refusal = fault(of: scan, mayEnd: mayEnd) {
          try add(refusal, stopsStart: isNeeded, to: &verdict)
        }
      } catch {
        try add(error, stopsStart: isNeeded, to: &verdict)
      }
    }
  }

  private func fault(of scan: FileScan, mayEnd: Bool) -> LogRefusal? {
    let file = directory.filePath(scan.file.name)
    if let defect = scan.defect {
      return .corrupt(file: file, offset: defect.offset, why: "\(defect.defect)")
    }
    let isPass = scan.file.header.kind == .pass
    if let fault = scan.fault, isPass || !mayEnd {
      return .corrupt(file: file, offset: scan.offset, why: "\(fault)")
    }
    if isPass, scan.passEnd == nil {
      return .corrupt(file: file, offset: scan.offset, why: "the pass is not complete")
    }
    return nil
  }

  // MARK: - One state twice

  /// Replays from the oldest pass, or the log's beginning, from which the log is whole.
  private func compare(_ verdict: inout LogVerdict) throws(LogRefusal) {
    guard let makeTarget, verdict.replay == .done, let end = verdict.end else { return }
    let chain = Self.chain(verdict)
    guard let first = chain.first else { return }
    let lineage = first.header.lineage
    var passes = verdict.files.compactMap { file -> LogFile? in
      guard file.scan.file.header.kind == .pass, let passEnd = file.scan.passEnd,
        file.scan.file.header.lineage == lineage, file.scan.fault == nil,
        file.scan.file.position >= first.position, passEnd.lastAsOf <= end
      else { return nil }
      return file.scan.file
    }
    var base: LogFile?
    if first.position > 0 {
      guard !passes.isEmpty else { return }
      base = passes.removeFirst()
    }
    guard !passes.isEmpty else { return }
    let begin = base?.position ?? 0
    let merge = LogMerge(
      into: makeTarget(), passBegin: base?.position, passBytes: base?.size ?? .max)
    do throws(LogRefusal) {
      try Self.setComparisons(merge, passes, directory)
      _ = try run(chain, (base.map { [$0] } ?? []) + passes, from: begin, merge)
    } catch {
      return try add(error, stopsStart: false, to: &verdict)
    }
    verdict.compared = passes.map(\.name)
  }

  private static func setComparisons(
    _ merge: LogMerge, _ passes: [LogFile], _ directory: LogDirectory
  ) throws(LogRefusal) {
    do throws(ReplayFault) {
      try merge.compare(passBegins: passes.map(\.position))
    } catch {
      throw .corrupt(file: directory.path, offset: 0, why: "\(error)")
    }
  }

  /// The segments, from the first from which on none is missing.
  private static func chain(_ verdict: LogVerdict) -> [LogFile] {
    let scans = verdict.files.map(\.scan).filter { $0.file.header.kind == .log }
    var first = scans.count
    while first > 0,
      first == scans.count
        || scans[first - 1].end == scans[first].file.position
          && scans[first - 1].file.header.lineage == scans[first].file.header.lineage
    {
      first -= 1
    }
    return scans[first...].map(\.file)
  }
}

/// Reads everything without using it: the readers make the checks.
private final class UnreadSink: LogSink {
  private let passes: Int
  private(set) var passesEnded = 0
  private var hasEnded = false

  init(passes: Int) { self.passes = passes }

  func givePass(_ batch: Batch) {}
  func passEnded() throws(ReplayFault) { passesEnded += 1 }
  func giveLog(_ batch: Batch) throws(ReplayFault) {}
  func logEnded() { hasEnded = true }

  func advance(work: Int) throws(ReplayFault) -> LogMerge.Wish {
    if passesEnded < passes { return .pass }
    return hasEnded ? .nothing : .log
  }
}
