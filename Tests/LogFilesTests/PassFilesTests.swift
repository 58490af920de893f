// The files of passes: written in steps, named, replaced and removed, or given up.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct PassFilesTests {
  private func rig(_ policy: FsyncPolicy) throws -> (LogRig, SimulatedDisk) {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    return (LogRig(disk, "data", policy), disk)
  }

  private let second: UInt64 = 1_000_000_000

  @Test(
    arguments: FsyncPolicy.allCases
  )
  func aCompletePassIsNamedByASegmentAndWhatIsOlderGoes(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    try rig.start()
    for _ in 0..<100 {
      rig.write(1, filler: 200)
      rig.run()
    }
    let begin = rig.appender.position
    rig.output?.beginPass(at: begin)
    for _ in 0..<10 { rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: 1000))) }
    rig.run()
    #expect(rig.passBytesBack == 10_000)
    #expect(rig.output?.passBytesQueued == 0)
    rig.write(5)
    rig.output?.endPass(lastAsOf: rig.appender.position)
    rig.run()
    #expect(rig.completed == [begin])
    #expect(rig.syncedNumber == 105)
    let names = disk.names(in: "data")
    #expect(names.filter { $0.hasPrefix("pass-") } == [LogFileName.pass(begin).text])
    // The segment in which the pass begins, and the one that names it.
    #expect(names.filter { $0.hasPrefix("log-") }.count == 2)
    #expect(disk.contents(of: "data/\(LogFileName.pass(begin).text)")?.count == 4096 + 10_000)
    rig.write(5)
    rig.run()
    rig.end()
    let found = try rig.start()
    #expect(found.last == 110)
    #expect(disk.names(in: "data").contains(LogFileName.pass(begin).text))
  }

  @Test func theSyncOfASecondWaitsForNoMoreThanAStepOfAChunk() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run(until: second)
    let begin = rig.appender.position
    rig.output?.beginPass(at: begin)
    rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: 10_000)))
    rig.perform(.background)
    rig.perform(.background)
    let part = "data/\(LogFileName.unfinishedPass(begin).text)"
    #expect(disk.contents(of: part)?.count == 4096 + rig.settings.passStepBytes)
    rig.write(1, directly: true)
    rig.now += second
    rig.perform(.background)
    #expect(rig.syncedNumber == 1)
    #expect(rig.passBytesBack == 0)
    rig.run()
    #expect(rig.passBytesBack == 10_000)
    let contents = disk.contents(of: part)
    #expect(contents?.dropFirst(4096) == [UInt8](repeating: 7, count: 10_000)[...])
  }

  @Test(arguments: [true, false])
  func aChunkThatIsBeingWrittenComesBackIfItsPassEnds(isClosing: Bool) throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    rig.output?.beginPass(at: 0)
    rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: 20_000)))
    rig.output?.writePass(TestPassBytes([8, 9]))
    for _ in 0..<3 { rig.perform(.background) }
    if isClosing {
      rig.output?.close()
    } else {
      disk.capacity = disk.usedBytes
    }
    rig.run()
    #expect(rig.passBytesBack == 20_002)
    #expect(rig.output?.passBytesQueued == 0)
    #expect(rig.abandoned == [0])
    #expect(!disk.names(in: "data").contains { $0.hasPrefix("pass-") })
  }

  @Test func whatTheSystemHoldsOfAFileIsDroppedInStepsBeforeTheFileIsRemovedOrReplaced() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    func makePass(_ bytes: Int) {
      rig.beginPass(at: rig.appender.position)
      rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: bytes)))
      rig.output?.endPass(lastAsOf: rig.appender.position)
      rig.run()
    }
    let first = "data/\(LogFileName.pass(rig.appender.position).text)"
    makePass(5 << 19)
    disk.startTrace()
    makePass(1)
    let steps = [0, 1, 2].map { "drop \(first) \($0 << 20) \(1 << 20)" }
    let replaced = disk.trace.filter { $0.contains("drop") || $0.contains("rename") }
    #expect(Array(replaced.prefix(3)) == steps)
    #expect(rig.completed.count == 2)

    rig.write(1)
    rig.run()
    disk.startTrace()
    makePass(1)
    let removed = disk.trace.filter {
      $0.hasPrefix("drop \(first)") || $0.hasSuffix(" remove \(first)")
    }
    #expect(removed.first == "drop \(first) 0 \(1 << 20)")
    #expect(removed.count == 2)
    #expect(disk.contents(of: first) == nil)
  }

  @Test func aPassThatIsGivenUpLeavesNoFile() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.output?.beginPass(at: 0)
    rig.output?.writePass(TestPassBytes([1, 2, 3]))
    rig.run()
    #expect(disk.names(in: "data").contains("pass-00000000000000000000.part"))
    rig.output?.abandonPass()
    rig.output?.writePass(TestPassBytes([4, 5]))
    rig.run()
    #expect(rig.abandoned == [0])
    #expect(rig.passBytesBack == 5)
    #expect(!disk.names(in: "data").contains { $0.hasPrefix("pass-") })
  }

  @Test func aPassThatFindsNoRoomIsGivenUpAndOneCanBeNamedOnAFullDisk() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    for _ in 0..<100 {
      rig.write(1, filler: 200)
      rig.run()
    }
    disk.capacity = disk.usedBytes + 16_000
    rig.output?.beginPass(at: rig.appender.position)
    for _ in 0..<30 { rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: 1000))) }
    rig.output?.endPass(lastAsOf: rig.appender.position)
    rig.run()
    #expect(rig.abandoned.count == 1)
    #expect(rig.passBytesBack == 30_000)
    #expect(rig.full == [true])
    rig.run(until: rig.now + second)
    #expect(rig.full == [true, false])
    // Now the pass has just enough, and the next segment finds nothing.
    rig.output?.beginPass(at: rig.appender.position)
    rig.output?.writePass(TestPassBytes([UInt8](repeating: 7, count: 8000)))
    rig.run()
    disk.capacity = disk.usedBytes
    while rig.full.last != true {
      rig.write(1, filler: 200)
      rig.run()
    }
    rig.output?.endPass(lastAsOf: rig.appender.position)
    rig.run()
    #expect(rig.completed.count == 1)
    rig.run(until: rig.now + 2 * second)
    #expect(rig.full.last == false)
    #expect(rig.failure == nil)
  }

  @Test func aPassWhoseFileFindsNoRoomIsGivenUp() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    rig.beginPass(at: rig.appender.position)
    rig.output?.writePass(TestPassBytes([1, 2, 3]))
    // The first call finds no file to remove, the second one makes the file.
    disk.setFault(.error(FileErrorCode.noSpace), atCall: disk.calls + 2)
    rig.run()
    #expect(rig.abandoned == [rig.appender.position])
    #expect(rig.passBytesBack == 3)
    rig.run(until: rig.now + second)
    rig.beginPass(at: rig.appender.position)
    rig.output?.endPass(lastAsOf: rig.appender.position)
    rig.run()
    #expect(rig.completed.count == 1)
  }

  @Test func aPassWhoseSyncFindsNoRoomIsGivenUp() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    rig.beginPass(at: rig.appender.position)
    rig.perform(.background)
    rig.output?.endPass(lastAsOf: rig.appender.position)
    disk.setFault(.error(FileErrorCode.noSpace), atCall: disk.calls + 1)
    rig.run()
    #expect(rig.abandoned == [rig.appender.position])
    #expect(rig.failure == nil && rig.full == [true])
  }
}
