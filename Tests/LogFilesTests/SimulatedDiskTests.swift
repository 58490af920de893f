// The simulated disk does harm as it should: what isn't synced may go in every way, what is synced
// stays, and faults come where they were asked for.

import LogFiles
import SimulatedDisk
import Testing

@Suite struct SimulatedDiskTests {
  /// What is left of `d/a` after power losses with many seeds.
  private func leftovers(_ change: (SimulatedDisk, FileHandle) throws -> Void) throws -> Set<
    [UInt8]?
  > {
    var all: Set<[UInt8]?> = []
    for seed in 1...200 as ClosedRange<UInt64> {
      let disk = try SimulatedDisk.withDirectory("d", seed: seed)
      let file = try disk.open("d/a", for: .creating)
      try disk.write(file, [UInt8](repeating: 1, count: 1024), at: 0)
      try disk.sync(file)
      try disk.syncDirectory("d")
      try change(disk, file)
      disk.restart()
      all.insert(
        disk.contents(of: "d/a").map { bytes in
          stride(from: 0, to: bytes.count, by: sectorBytes).map { bytes[$0] } + [
            UInt8(bytes.count / 512)
          ]
        })
    }
    return all
  }

  private let sectorBytes = 512

  @Test func sectorsOfAnUnsyncedWriteAreLostKeptTornAndReordered() throws {
    let left = try leftovers { disk, file in
      try disk.write(file, [UInt8](repeating: 2, count: 1024), at: 0)
      try disk.write(file, [UInt8](repeating: 3, count: 1024), at: 0)
    }
    // Two sectors, each in any of its three versions.
    #expect(left == Set((1...3).flatMap { a in (1...3).map { b in [a, b, 2] as [UInt8] } }))
  }

  @Test func aFilesGrowthMayBeThereWithoutItsBytesAndTheOtherWayRoundNot() throws {
    let left = try leftovers { disk, file in
      try disk.write(file, [UInt8](repeating: 2, count: 512), at: 1024)
    }
    #expect(left == [[1, 1, 2], [1, 1, 0, 3], [1, 1, 2, 3]])
  }

  @Test func whatWasCutOffMayComeBackAndZerosMayBeThereInstead() throws {
    let left = try leftovers { disk, file in try disk.truncate(file, to: 512) }
    #expect(left == [[1, 1], [1, 1, 2], [1, 0, 2]])
  }

  @Test func syncedBytesStay() throws {
    let left = try leftovers { disk, file in
      try disk.write(file, [UInt8](repeating: 2, count: 512), at: 512)
      try disk.sync(file)
    }
    #expect(left == [[1, 2, 2]])
  }

  @Test func aSyncThatFailsLosesBytesThatReadsStillShowForGood() throws {
    let left = try leftovers { disk, file in
      disk.setFault(.error(FileErrorCode.inputOutput), atCall: disk.calls + 2)
      try disk.write(file, [UInt8](repeating: 2, count: 1024), at: 0)
      #expect(throws: FileError(.sync, "d/a", FileErrorCode.inputOutput)) { try disk.sync(file) }
      #expect(try disk.read(file, count: 1024, at: 0) == [UInt8](repeating: 2, count: 1024))
      try disk.sync(file)
    }
    #expect(left == Set((1...2).flatMap { a in (1...2).map { b in [a, b, 2] as [UInt8] } }))
  }

  @Test func bytesWrittenWhereAFailedSyncLostTheGrowthAreSyncedAgain() throws {
    let left = try leftovers { disk, file in
      disk.setFault(.error(FileErrorCode.inputOutput), atCall: disk.calls + 2)
      try disk.write(file, [UInt8](repeating: 2, count: 512), at: 1024)
      #expect(throws: FileError(.sync, "d/a", FileErrorCode.inputOutput)) { try disk.sync(file) }
      try disk.write(file, [UInt8](repeating: 3, count: 512), at: 1024)
      try disk.sync(file)
    }
    #expect(left == [[1, 1, 3, 3]])
  }

  @Test func namesAreDurableWithTheDirectorysSyncOnly() throws {
    var seen: Set<[String]> = []
    for seed in 1...200 as ClosedRange<UInt64> {
      let disk = try SimulatedDisk.withDirectory("d", seed: seed)
      for name in ["a", "b", "c"] {
        let file = try disk.open("d/\(name)", for: .creating)
        try disk.sync(file)
      }
      disk.restart()
      seen.insert(disk.names(in: "d"))
    }
    #expect(seen.count == 8)
    let disk = try SimulatedDisk.withDirectory("d", seed: 1)
    disk.close(try disk.open("d/a", for: .creating))
    try disk.syncDirectory("d")
    try disk.rename("d/a", to: "d/b")
    disk.restart(after: .nothingUnsynced)
    #expect(disk.names(in: "d") == ["a"])
    try disk.rename("d/a", to: "d/b")
    try disk.syncDirectory("d")
    disk.restart()
    #expect(disk.names(in: "d") == ["b"])
  }

  @Test func aRenameGivesItsOwnFileTheNewNameAlsoWhereOlderChangesAreLost() throws {
    for seed in 1...100 as ClosedRange<UInt64> {
      let disk = try SimulatedDisk.withDirectory("d", seed: seed)
      let old = try disk.open("d/a", for: .creating)
      try disk.write(old, [1], at: 0)
      try disk.sync(old)
      try disk.syncDirectory("d")
      try disk.remove("d/a")
      let new = try disk.open("d/a", for: .creating)
      try disk.write(new, [2], at: 0)
      try disk.sync(new)
      try disk.rename("d/a", to: "d/b")
      disk.restart()
      #expect([nil, [2]].contains(disk.contents(of: "d/b")), "seed \(seed)")
    }
  }

  @Test func thePowerGoesDuringACallAndStaysOffUntilTheRestart() throws {
    let disk = try SimulatedDisk.withDirectory("d", seed: 1)
    disk.setFault(.powerLoss, atCall: disk.calls + 2)
    let file = try disk.open("d/a", for: .creating)
    #expect(throws: FileError.self) { try disk.write(file, [1], at: 0) }
    #expect(disk.isOff)
    #expect(throws: FileError.self) { try disk.sync(file) }
    disk.restart(after: .nothingUnsynced)
    #expect(!disk.isOff)
    #expect(disk.names(in: "d").isEmpty)
    #expect(throws: FileError(.write, "d/a", FileErrorCode.badHandle)) {
      try disk.write(file, [1], at: 0)
    }
  }

  @Test func aProcessThatEndsLeavesItsWritesAndItsLocksBehind() throws {
    let disk = try SimulatedDisk.withDirectory("d", seed: 1)
    let file = try disk.open("d/a", for: .creating)
    #expect(try disk.lock(file))
    try disk.write(file, [1, 2], at: 0)
    disk.endProcess()
    #expect(disk.contents(of: "d/a") == [1, 2])
    #expect(disk.hasUnsynced("d/a"))
    #expect(try disk.lock(disk.open("d/a", for: .writing)))
    disk.restart(after: .nothingUnsynced)
    #expect(disk.contents(of: "d/a") == nil)
  }

  @Test func aFullDiskTakesWhatItHasRoomForAndMoreOnceSomethingIsGone() throws {
    let disk = try SimulatedDisk.withDirectory("d", seed: 1)
    disk.capacity = 4096
    let first = try disk.open("d/a", for: .creating)
    let second = try disk.open("d/b", for: .creating)
    try disk.allocate(first, size: 2048)
    try disk.write(second, [UInt8](repeating: 1, count: 2048), at: 0)
    #expect(try disk.freeBytes(at: "d") == 0)
    let full = FileError(.write, "d/b", FileErrorCode.noSpace)
    #expect(throws: full) { try disk.write(second, [1], at: 2048) }
    #expect(throws: FileError(.allocate, "d/a", FileErrorCode.noSpace)) {
      try disk.allocate(first, size: 2049)
    }
    // What was set aside can be written.
    try disk.write(first, [UInt8](repeating: 1, count: 2048), at: 0)
    try disk.remove("d/a")
    try disk.write(second, [1], at: 2048)
  }

  @Test func bitsFlipOnTheDiskAsWellAsInWhatIsRead() throws {
    let disk = try SimulatedDisk.withDirectory("d", seed: 1)
    let file = try disk.open("d/a", for: .creating)
    try disk.write(file, [0, 0], at: 0)
    try disk.sync(file)
    try disk.syncDirectory("d")
    disk.flip(bit: 9, of: "d/a")
    #expect(disk.contents(of: "d/a") == [0, 2])
    disk.restart()
    #expect(disk.contents(of: "d/a") == [0, 2])
  }
}
