// What is given to the log is written, synced as the policy says, told, and found again.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct LogOutputTests {
  private func rig(_ policy: FsyncPolicy) throws -> (LogRig, SimulatedDisk) {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    return (LogRig(disk, "data", policy), disk)
  }

  private let second: UInt64 = 1_000_000_000

  @Test(arguments: FsyncPolicy.allCases)
  func numbersThatWereWrittenAreFoundByTheNextStart(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    #expect(try rig.start() == [])
    for _ in 0..<20 { rig.write(3, filler: 100) }
    rig.run()
    #expect(rig.writtenNumber == 60)
    rig.end()
    #expect(try rig.start() == Array(1...60))
    rig.write()
    rig.run()
    rig.end()
    #expect(try rig.start() == Array(1...61))
    #expect(rig.failure == nil)
    #expect(disk.names(in: "data").contains("log-00000000000000000000"))
  }

  @Test(arguments: FsyncPolicy.allCases)
  func theLoopWritesByItselfWhereNothingIsUnderWay(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    try rig.start()
    rig.run()
    rig.write(2, directly: true)
    #expect(rig.directWrites == (policy == .always ? 0 : 1))
    rig.run()
    #expect(rig.writtenNumber == 2)
    // What was queued goes first.
    rig.write(1)
    #expect(rig.output?.takesDirectWrites == false)
    rig.write(1, directly: true)
    rig.run(until: rig.now + second)
    #expect(rig.writtenNumber == 4)
    #expect(rig.syncedNumber == (policy == .never ? 0 : 4))
    // Up to the end of a segment, which the lane begins.
    for _ in 0..<200 {
      rig.write(1, filler: 200, directly: true)
      rig.run()
    }
    #expect(policy == .always || (150..<200).contains(rig.directWrites))
    #expect(disk.names(in: "data").filter { $0.hasPrefix("log-") }.count > 2)
    rig.end()
    #expect(try rig.start() == Array(1...204))
  }

  @Test func aDirectWriteThatIsLongerThanWhatTheSegmentHasLeftLetsTheSegmentGrow() throws {
    let (rig, _) = try rig(.everysec)
    try rig.start()
    rig.run()
    rig.write(1, filler: 9_000, directly: true)
    #expect(rig.directWrites == 1 && rig.writtenNumber == 1)
    #expect(rig.output?.takesDirectWrites == false, "the lane begins the next one")
    rig.write(1)
    rig.run()
    rig.write(1, directly: true)
    #expect(rig.directWrites == 2)
    rig.end()
    #expect(try rig.start() == [1, 2, 3])
  }

  @Test func lanesMayBeWokenAsOftenAsThereIsWork() throws {
    let (rig, _) = try rig(.everysec)
    try rig.start()
    rig.run()
    nonisolated(unsafe) var wakes = 0
    rig.output?.setWakeLane { _ in wakes += 1 }
    // A chain of wrapped closures, one for each wake, would overflow the stack.
    for _ in 0..<200_000 { rig.output?.keepFree(0) }
    #expect(wakes == 200_000)
  }

  @Test func aDirectWriteThatFindsNoRoomIsMadeByTheLaneWhenThereIsSome() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    disk.setFault(.error(FileErrorCode.noSpace), atCall: disk.calls + 1)
    rig.write(1, directly: true)
    #expect(rig.directWrites == 0 && rig.writtenNumber == 0)
    #expect(rig.output?.takesDirectWrites == false)
    rig.write(1)
    rig.run(until: rig.now + second)
    #expect(rig.writtenNumber == 2)
    #expect(rig.failure == nil)
    rig.write(1, directly: true)
    #expect(rig.directWrites == 1)
    rig.end()
    #expect(try rig.start() == [1, 2, 3])
  }

  @Test func aDirectWriteThatFailsEndsTheLog() throws {
    let (rig, disk) = try rig(.never)
    try rig.start()
    rig.run()
    disk.setFault(.error(FileErrorCode.inputOutput), atCall: disk.calls + 1)
    rig.write(1, directly: true)
    rig.takeEvents()
    #expect(rig.directWrites == 0 && rig.writtenNumber == 0)
    #expect(rig.failure != nil)
  }

  @Test(arguments: FsyncPolicy.allCases)
  func onTheMachinesFileSystemAsWell(_ policy: FsyncPolicy) throws {
    let temporary = try TemporaryDirectory()
    let rig = LogRig(PosixFiles(), temporary.path + "/data", policy)
    #expect(try rig.start() == [])
    for round in 0..<100 {
      rig.write(3, filler: 100, directly: round % 2 == 0)
      rig.run()
    }
    rig.end()
    #expect(try rig.start() == Array(1...300))
    rig.output?.close()
    rig.run()
    #expect(rig.isClosed)
    #expect(rig.failure == nil)
  }

  @Test func underAlwaysEachWriteIsSyncedBeforeItIsReported() throws {
    let (rig, disk) = try rig(.always)
    try rig.start()
    rig.write()
    rig.write()
    rig.perform(.writer)
    #expect(rig.writtenNumber == 2)
    #expect(rig.syncedNumber == 2)
    #expect(!disk.hasUnsynced("data/log-00000000000000000000"))
  }

  @Test func underEverysecTheSyncComesOnceASecondOrWhenItIsRequested() throws {
    let (rig, _) = try rig(.everysec)
    try rig.start()
    rig.write()
    rig.run()
    let first = rig.syncedNumber
    rig.write()
    rig.run()
    #expect(rig.writtenNumber == 2)
    #expect(rig.syncedNumber == first)
    rig.run(until: rig.now + second)
    #expect(rig.syncedNumber == 2)
    rig.write()
    rig.syncNow()
    rig.run()
    #expect(rig.syncedNumber == 3)
  }

  @Test func underNeverItComesOnlyWhenItIsRequested() throws {
    let (rig, _) = try rig(.never)
    try rig.start()
    rig.write()
    rig.run(until: 10 * second)
    #expect(rig.writtenNumber == 1)
    #expect(rig.syncedNumber == 0)
    rig.syncNow()
    rig.run()
    #expect(rig.syncedNumber == 1)
  }

  @Test(arguments: FsyncPolicy.allCases)
  func segmentsFollowOneAnotherGrowAndAreReadAsOneLog(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    try rig.start()
    for _ in 0..<300 {
      rig.write(1, filler: 200)
      rig.run()
    }
    let names = disk.names(in: "data").filter { $0.hasPrefix("log-") }
    #expect(names.count >= 5)
    let sizes = names.compactMap { disk.contents(of: "data/\($0)")?.count }
    #expect(sizes.first == 8 << 10)
    #expect(sizes.last == 16 << 10)
    rig.end()
    #expect(try rig.start() == Array(1...300))
  }

  @Test func aBatchThatIsLongerThanAnySegmentIsWrittenAndFound() throws {
    let (rig, _) = try rig(.always)
    try rig.start()
    rig.write(2, filler: 100_000)
    rig.write()
    rig.run()
    rig.write()
    rig.run()
    rig.end()
    #expect(try rig.start() == Array(1...4))
  }

  @Test(arguments: FsyncPolicy.allCases)
  func anEndWritesAndSyncsTheRest(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    try rig.start()
    rig.output?.beginPass(at: 0)
    rig.output?.writePass(TestPassBytes([1, 2, 3]))
    rig.write(3)
    rig.output?.close()
    rig.run()
    #expect(rig.isClosed)
    #expect(rig.passBytesBack == 3)
    #expect(rig.syncedNumber == 3)
    disk.restart(after: .nothingUnsynced)
    #expect(try rig.start() == [1, 2, 3])
  }

  @Test func aDirectoryThatIsRemovedOrReplacedEndsTheLog() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    try disk.remove("data/LOCK")
    disk.close(try disk.open("data/LOCK", for: .creating))
    rig.run(until: rig.now + second)
    #expect(rig.isGone)
  }

  /// Under `always` every reply has waited for its sync; else data that has a reply may go with it.
  private func loss(under policy: FsyncPolicy) -> String {
    policy == .always
      ? "Writes without a reply may be lost."
      : "Writes since the last sync may be lost, also those with a reply "
        + "(fsync: \(policy.rawValue))."
  }

  @Test(arguments: FsyncPolicy.allCases)
  func aFailedWriteOrSyncEndsTheLogAndNoOtherTryIsMade(_ policy: FsyncPolicy) throws {
    // The first two calls are the write and its sync, whatever the policy.
    for (offset, call) in [(1, "write"), (2, "sync")] {
      let (rig, disk) = try rig(policy)
      try rig.start()
      rig.run()
      disk.setFault(.error(FileErrorCode.inputOutput), atCall: disk.calls + offset)
      rig.write()
      rig.syncNow()
      rig.run(until: rig.now + second)
      let calls = disk.calls
      let failure = try #require(rig.failure, "a \(call) that fails")
      #expect(failure.sentence.contains("\(call) of \(failure.file): Input/output error"))
      #expect(failure.sentence.hasSuffix(loss(under: policy)), "\(failure.sentence)")
      #expect(rig.syncedNumber == 0, "nothing is told of what may be lost")
      rig.write()
      rig.syncNow()
      rig.run(until: rig.now + 10 * second)
      #expect(disk.calls == calls && rig.syncedNumber == 0)
    }
  }

  @Test(arguments: FsyncPolicy.allCases)
  func aFullDiskIsReportedBeforeAnythingIsLostAndIsOverByItself(_ policy: FsyncPolicy) throws {
    let (rig, disk) = try rig(policy)
    disk.capacity = 64 << 10
    try rig.start()
    var given = 0
    while rig.full.isEmpty, given < 1000 {
      rig.write(1, filler: 200)
      given += 1
      rig.run(until: rig.now + second / 100)
    }
    #expect(rig.full == [true])
    // What comes in until the loop knows is still taken.
    rig.write(5, filler: 200)
    rig.run()
    #expect(rig.writtenNumber == UInt64(given + 5))
    // And what doesn't fit waits.
    rig.write(1, filler: 100_000)
    rig.run(until: rig.now + second)
    #expect(rig.failure == nil)
    #expect(rig.writtenNumber == UInt64(given + 5))
    disk.capacity = 1 << 20
    rig.run(until: rig.now + second)
    #expect(rig.full == [true, false])
    #expect(rig.writtenNumber == UInt64(given + 6))
    rig.end()
    #expect(try rig.start().count == given + 6)
  }

  @Test func belowWhatIsToBeKeptFreeTheDiskCountsAsFull() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.run()
    disk.capacity = disk.usedBytes + 100_000
    rig.output?.keepFree(200_000)
    rig.run(until: rig.now + second)
    #expect(rig.full == [true])
    let room = try #require(rig.output?.room)
    #expect(room.needed >= 200_000 && room.free == UInt64(disk.capacity - disk.usedBytes))
    rig.write()
    rig.run()
    #expect(rig.writtenNumber == 1)
    disk.capacity = disk.usedBytes + 300_000
    rig.run(until: rig.now + second)
    #expect(rig.full == [true, false])
  }

  @Test func aStartThatFindsNoRoomSaysWhatIsFreeAndNeededAndLosesNothing() throws {
    let (rig, disk) = try rig(.always)
    try rig.start()
    rig.write(3)
    rig.run()
    rig.end()
    // A start that has these to remove makes room by itself.
    for name in disk.names(in: "data") where name == "spare" || name == "reserve" {
      try disk.remove("data/\(name)")
    }
    disk.capacity = disk.usedBytes
    let refusal = #expect(throws: LogRefusal.self) { try rig.start() }
    let sentence = refusal.map { "\($0)" } ?? ""
    #expect(sentence.hasPrefix("The disk of data is full: "))
    #expect(sentence.contains(" KiB are free, and 8 KiB needed to start"), "\(sentence)")
    #expect(sentence.contains("data/spare"), "\(sentence)")
    rig.end()
    disk.capacity = .max
    #expect(try rig.start() == [1, 2, 3])
  }

  @Test func aShardsOwnFullDiskHasRoomForItsNextStart() throws {
    let (rig, disk) = try rig(.everysec)
    try rig.start()
    rig.write(3)
    rig.run(until: rig.now + second)
    rig.end()
    disk.capacity = disk.usedBytes
    #expect(try rig.start() == [1, 2, 3])
  }
}
