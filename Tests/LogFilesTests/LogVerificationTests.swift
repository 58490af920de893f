// A verification of a directory: it finds what a start finds, and says of damage where it is and
// what a cut would keep; it also finds damage that a start would not see.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct LogVerificationTests {
  /// A log of several segments behind a pass, and files of an older time beside them.
  private func makeLog() throws -> (log: StoredLog, old: [String: [UInt8]]) {
    let log = try StoredLog()
    try log.change(12)
    try log.pass()
    try log.change(5)
    log.rig.run()
    let old = log.files
    try log.pass()
    try log.change(40)
    log.end()
    return (log, old)
  }

  @Test func aSoundDirectoryIsSoundAndEndsWhereTheLogEnds() throws {
    let (log, _) = try makeLog()
    let end = log.position
    #expect(log.segments.count >= 2)
    for replays in [true, false] {
      let verdict = try StoredLog.verify(try StoredLog.disk(log.files), replays: replays)
      #expect(verdict.isSound)
      #expect(verdict.end == end)
      #expect(verdict.torn == nil)
      #expect(verdict.replay == (replays ? .done : .leftOut))
    }
  }

  @Test func nothingIsChangedNotEvenByADirectoryThatHasNoLockFile() throws {
    let (log, _) = try makeLog()
    let files = log.files
    let disk = try StoredLog.disk(files)
    _ = try StoredLog.verify(disk)
    #expect(disk.names(in: StoredLog.path) == files.keys.sorted())
    for (name, bytes) in files { #expect(disk.contents(of: "data/\(name)") == bytes) }
  }

  @Test func aFlippedBitAnywhereIsFoundWhereAStartFindsItOrWasInTheTornEnd() throws {
    let (log, _) = try makeLog()
    let files = log.files
    for (name, bytes) in files where name.hasPrefix("log-") || name.hasPrefix("pass-") {
      let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
      for byte in stride(from: 0, to: end, by: byteStep(end)) {
        let disk = try StoredLog.disk(files)
        disk.flip(bit: byte * 8 + byte % 8, of: "data/\(name)")
        let verdict = try StoredLog.verify(disk)
        let started = Result { try StoredLog.start(disk) }
        let context = "\(name), byte \(byte)"
        switch started {
        case .success:
          // A start removes older files, so only what it reads is judged by it.
          let stops = verdict.findings.contains(where: \.stopsStart)
          #expect(!stops, "\(context)")
          #expect(verdict.torn != nil || !verdict.findings.isEmpty, "\(context)")
        case .failure(let error):
          let refusal = try #require(error as? LogRefusal)
          #expect(verdict.findings.first?.refusal == refusal, "\(context)")
          #expect(verdict.findings.first?.stopsStart == true, "\(context)")
        }
      }
    }
  }

  /// Headers are long and the same everywhere.
  private func byteStep(_ end: Int) -> Int { max(1, end / 160) }

  @Test func whatACutWouldKeepIsSaidAndTheCutKeepsIt() throws {
    let log = try StoredLog()
    try log.change(60)
    log.end()
    let first = try #require(log.segments.first)
    let end = (log.contents(first).lastIndex { $0 != 0 } ?? 0) + 1
    for byte in stride(from: 4096, to: end, by: 97) {
      let disk = try StoredLog.disk(log.files)
      disk.flip(bit: byte * 8, of: "data/\(first)")
      let finding = try #require(try StoredLog.verify(disk).findings.first)
      let plan = try #require(try finding.cut?.get())
      try StoredLog.cut(disk, at: plan.position)
      #expect(try StoredLog.verify(disk).isSound)
      #expect(try StoredLog.start(disk).picture == log.pictures[plan.position], "byte \(byte)")
    }
  }

  @Test func aTornEndIsNoFaultAndIsReported() throws {
    let log = try StoredLog()
    try log.change(4)
    log.end()
    let name = try #require(log.segments.first)
    let end = (log.contents(name).lastIndex { $0 != 0 } ?? 0) + 1
    log.disk.flip(bit: (end - 1) * 8, of: "data/\(name)")
    let verdict = try StoredLog.verify(log.disk)
    #expect(verdict.isSound)
    #expect(verdict.torn?.contains("wrong checksum") == true)
  }

  @Test func missingAndForeignFilesAreReportedByName() throws {
    let (log, _) = try makeLog()
    let segments = log.segments
    for gone in segments.dropLast() + log.passes {
      var files = log.files
      files[gone] = nil
      let verdict = try StoredLog.verify(try StoredLog.disk(files))
      #expect(verdict.findings.first?.stopsStart == true, "\(gone)")
    }
    let other = try StoredLog()
    try other.change(3)
    other.end()
    var files = log.files
    var header = try decode(other.contents("log-00000000000000000000"))
    header.lineage = Lineage(high: 99, low: 99)
    header.position = 1 << 40
    files["log-00000001099511627776"] = header.encode()
    let verdict = try StoredLog.verify(try StoredLog.disk(files))
    guard case .mixed(let file, _)? = verdict.findings.first?.refusal else {
      Issue.record("\(verdict.findings)")
      return
    }
    #expect(file.hasSuffix("log-00000001099511627776"))
    // Which of the two logs is to be kept a cut can't know.
    let mixed = try StoredLog.disk(files)
    guard case .failure(CutRefusal.refused(.mixed)) = StoredLog.plan(mixed, at: log.position)
    else {
      Issue.record("a cut of two logs")
      return
    }
  }

  private func decode(_ bytes: [UInt8]) throws -> FileHeader {
    let result = bytes.withUnsafeBytes { bytes in Result { try FileHeader(decoding: bytes) } }
    return try result.get()
  }

  @Test func whereTheLogGoesBackFurtherItIsComparedWithEveryLaterPass() throws {
    let (log, old) = try makeLog()
    let disk = try StoredLog.disk(old.merging(log.files) { $1 })
    let verdict = try StoredLog.verify(disk)
    #expect(verdict.isSound)
    #expect(verdict.compared.map(\.text).suffix(1) == log.passes[...])
  }

  @Test func aPassThatIsNotWhatTheLogMakesIsFoundWhateverItsChecksumsSay() throws {
    let (log, old) = try makeLog()
    let name = try #require(log.passes.first)
    var files = old.merging(log.files) { $1 }
    files[name] = try changed(log.contents(name))
    let disk = try StoredLog.disk(files)
    let verdict = try StoredLog.verify(disk)
    let finding = try #require(verdict.findings.first)
    // The start has no second state to compare with.
    #expect(!finding.stopsStart)
    #expect(finding.refusal.place?.file == "data/\(name)")
    #expect(finding.refusal.reason.contains("differs"))
    #expect(try StoredLog.verify(disk, replays: false).isSound)
  }

  /// A pass with another byte in the value of a key, but with the right checksums.
  private func changed(_ bytes: [UInt8]) throws -> [UInt8] {
    let header = try decode(bytes)
    let reader = BatchReader(identity: header.identity, position: header.firstPosition)
    Array(bytes[4096...]).withUnsafeBytes { reader.feed($0) }
    reader.finish()
    var made = header.encode()
    var isChanged = false
    while case .batch(let batch) = reader.next() {
      let records = batch.records.map { record in
        var payload = Array(record.payload)
        if !isChanged, let place = payload.firstIndex(of: 0xee) {
          payload[place] = 0xef
          isChanged = true
        }
        return (type: record.type, slot: record.slot, payload: payload)
      }
      made += BatchFormat.batch(
        of: records, position: batch.position, committed: batch.committed,
        identity: header.identity)
    }
    #expect(isChanged)
    return made
  }

  @Test func damageToAnOlderFileIsReportedAndThatAStartHasNoNeedOfIt() throws {
    let (log, old) = try makeLog()
    let name = try #require(old.keys.sorted().first { $0.hasPrefix("pass-") })
    let disk = try StoredLog.disk(old.merging(log.files) { $1 })
    disk.flip(bit: 4200 * 8, of: "data/\(name)")
    let verdict = try StoredLog.verify(disk)
    #expect(verdict.findings.map(\.stopsStart) == [false])
    #expect(verdict.findings.first?.refusal.place?.file == "data/\(name)")
  }

  @Test func aDirectoryInUseIsVerifiedBesideItsShardAndNotLocked() throws {
    let log = try StoredLog()
    try log.change(5)
    let verdict = try StoredLog.verify(log.disk)
    #expect(verdict.isInUse && verdict.isSound)
    #expect(verdict.end == log.position)
    try log.change(1)
    #expect(log.rig.failure == nil)
    #expect(throws: LogRefusal.inUse(StoredLog.path)) { try StoredLog.cut(log.disk, at: 0) }
  }

  @Test func aDirectoryThatIsNotInUseIsHeldWhileItIsVerified() throws {
    let log = try StoredLog()
    log.end()
    let directory = try LogDirectory.inspect(StoredLog.path, over: log.disk, locking: .ifFree)
    #expect(!directory.isInUse)
    #expect(throws: LogRefusal.inUse(StoredLog.path)) { try log.start() }
    directory.close()
    try log.start()
  }
}
