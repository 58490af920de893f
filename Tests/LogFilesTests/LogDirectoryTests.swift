// A directory that isn't this shard's, or can't be used, is refused with a sentence that says why.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct LogDirectoryTests {
  private func makeDisk() throws -> SimulatedDisk {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    let rig = LogRig(disk, "data", .always)
    try rig.start()
    rig.write()
    rig.run()
    rig.end()
    return disk
  }

  private func refusal(
    _ disk: SimulatedDisk, _ path: String = "data", as owner: LogOwner = LogRig.owner
  ) -> LogRefusal? {
    do throws(LogRefusal) {
      let directory = try LogDirectory.open(path, as: owner, over: disk)
      defer { directory.close() }
      _ = try LogContents(of: directory)
      return nil
    } catch {
      return error
    }
  }

  private let file = "data/log-00000000000000000000"

  @Test func anotherClusterShardOrHashSeedIsRefused() throws {
    let disk = try makeDisk()
    #expect(refusal(disk) == nil)
    var owner = LogRig.owner
    owner.cluster = "other"
    #expect(
      refusal(disk, as: owner) == .otherCluster(file: file, found: "cluster", wanted: "other"))
    owner = LogRig.owner
    owner.shard = "shard-2"
    #expect(
      refusal(disk, as: owner) == .otherShard(file: file, found: "shard-1", wanted: "shard-2"))
    owner = LogRig.owner
    owner.seedDigest = 1
    #expect(refusal(disk, as: owner) == .otherSeed(file: file))
  }

  @Test func oneProcessUsesADirectoryUntilItEnds() throws {
    let disk = try makeDisk()
    let first = try LogDirectory.open("data", as: LogRig.owner, over: disk)
    #expect(refusal(disk) == .inUse("data"))
    first.close()
    #expect(refusal(disk) == nil)
  }

  @Test func aDirectoryThatIsNotThereIsMadeAndAFileInItsPlaceIsRefused() throws {
    let disk = try makeDisk()
    #expect(refusal(disk, "data/new") == nil)
    disk.restart(after: .nothingUnsynced)
    #expect(disk.names(in: "data").contains("new"))
    #expect(refusal(disk, file) == .notADirectory(file))
    #expect(refusal(disk, "none/deep/new") == nil)
    disk.restart(after: .nothingUnsynced)
    #expect(disk.names(in: "none/deep").contains("new"))
  }

  @Test func filesOfAnotherLogBesideOursAreRefused() throws {
    let disk = try makeDisk()
    let other = "data/log-00000000000000000777"
    let header = FileHeader(
      kind: .log, lineage: Lineage(high: 5, low: 5), directory: 3, cluster: "cluster",
      shard: "shard-1", seedDigest: 77, life: 1, position: 777, committed: 0)
    disk.close(try disk.open(other, for: .creating))
    disk.setContents(of: other, to: header.encode())
    #expect(refusal(disk) == .mixed(file: other, other: file))
    // A file under another's name.
    disk.setContents(of: other, to: disk.contents(of: file) ?? [])
    #expect(
      refusal(disk) == .corrupt(file: other, offset: 12, why: "its header belongs to another file"))
  }

  /// The file's bytes, as a version with another format would have written their header.
  private func inFormat(_ format: UInt32, _ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    bytes.withUnsafeMutableBytes { all in
      all.storeBytes(of: format.littleEndian, toByteOffset: 8, as: UInt32.self)
      let checksum = Checksum.extend(0, UnsafeRawBufferPointer(rebasing: all[..<4092]))
      all.storeBytes(of: checksum.littleEndian, toByteOffset: 4092, as: UInt32.self)
    }
    return bytes
  }

  @Test func filesOfANewerFormatAreRefusedAndLeftAsTheyAre() throws {
    let disk = try makeDisk()
    let bytes = try #require(disk.contents(of: file))
    disk.setContents(of: file, to: inFormat(1, bytes))
    #expect(refusal(disk) == nil)
    let newer = inFormat(2, bytes)
    disk.setContents(of: file, to: newer)
    #expect(refusal(disk) == .newerFormat(file: file, format: 2))
    let sentence = refusal(disk).map { "\($0)" }
    #expect(
      sentence == "\(file) has format 2, which a newer version of Ringstore has written. "
        + "Start that version.")
    let start = LogRig(disk, "data", .always)
    #expect(throws: LogRefusal.newerFormat(file: file, format: 2)) { try start.start() }
    #expect(disk.contents(of: file) == newer)
  }

  @Test func aPassOfANewerFormatIsRefused() throws {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    let rig = LogRig(disk, "data", .always)
    try rig.start()
    rig.write()
    rig.run()
    rig.beginPass(at: rig.appender.position)
    rig.output?.endPass(lastAsOf: rig.appender.position)
    rig.run()
    let begin = try #require(rig.completed.first)
    rig.end()
    #expect(refusal(disk) == nil)
    let pass = "data/\(LogFileName.pass(begin).text)"
    disk.setContents(of: pass, to: inFormat(7, try #require(disk.contents(of: pass))))
    #expect(refusal(disk) == .newerFormat(file: pass, format: 7))
  }

  @Test func whatTheSystemRefusesIsReportedWithWhatToDo() throws {
    let disk = try makeDisk()
    for (code, words) in [
      (FileErrorCode.readOnly, "read-only"), (FileErrorCode.noPermission, "can't be used"),
      (FileErrorCode.inputOutput, "Input/output error"),
      (FileErrorCode.noSpace, "are free, and 1 MiB needed"),
      (FileErrorCode.overQuota, "are free, and 1 MiB needed"),
    ] {
      disk.setFault(.error(code), atCall: disk.calls + 3)
      let sentence = refusal(disk).map { "\($0)" } ?? ""
      #expect(sentence.contains(words) && sentence.contains("data"), "\(sentence)")
    }
  }

  @Test func namesOfFilesAreReadAsTheyAreWrittenAndOthersAreNoneOfOurs() {
    let names: [LogFileName] = [
      .lock, .spare, .reserve, .segment(0), .segment(.max), .pass(7), .unfinishedPass(1 << 40),
      .aside(at: 5, .segment(3), number: 1), .aside(at: .max, .pass(.max), number: 999),
    ]
    for name in names { #expect(LogFileName(name.text) == name) }
    for text in [
      "", "log-", "log-1", "log-0000000000000000000x", "log-99999999999999999999",
      "log-00000000000000000001.part", "pass-0000000000000000000", "lock", ".part",
      "log-000000000000000000001", "cut-00000000000000000001",
      "cut-00000000000000000001-LOCK", "cut-00000000000000000001-log-00000000000000000001.1",
      "cut-00000000000000000001-log-00000000000000000001.1000", "cut-\u{e9}00000000000000001-",
      "cut-00000000000000000001-log-00000000000000000001.2.3",
    ] {
      #expect(LogFileName(text) == nil, "\(text)")
    }
  }
}
