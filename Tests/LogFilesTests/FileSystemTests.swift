// What every file system of ours does alike: each test runs on the machine's and on the simulated
// one.

import Glibc
import LogFiles
import SimulatedDisk
import TestSeeds
import Testing

/// A file system with an empty directory in it.
final class FileSystemFixture: Sendable {
  enum Kind: String, CaseIterable { case posix, simulated }

  let files: any FileSystem
  let directory: String
  private let temporary: TemporaryDirectory?

  init(_ kind: Kind) throws {
    switch kind {
    case .posix:
      let made = try TemporaryDirectory()
      (files, directory, temporary) = (PosixFiles(), made.path, made)
    case .simulated:
      let disk = SimulatedDisk(seed: 1)
      try disk.createDirectory("data")
      (files, directory, temporary) = (disk, "data", nil)
    }
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }
}

@Suite struct FileSystemTests {
  typealias Kind = FileSystemFixture.Kind

  @Test(arguments: Kind.allCases)
  func whatWasWrittenIsReadAlsoInPiecesAndBeyondTheEnd(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    let file = try fixture.files.open(fixture.path("a"), for: .creating)
    try fixture.files.write(file, [1, 2, 3], at: 0)
    let pieces: [[UInt8]] = [[9], [], [8, 7]]
    // More pieces than one call of the system takes.
    let many = (0..<2000).map { [UInt8(truncatingIfNeeded: $0)] }
    try write(pieces, to: file, at: 5, fixture.files)
    #expect(try fixture.files.read(file, count: 100, at: 0) == [1, 2, 3, 0, 0, 9, 8, 7])
    #expect(try fixture.files.read(file, count: 2, at: 6) == [8, 7])
    #expect(try fixture.files.read(file, count: 2, at: 100) == [])
    #expect(try fixture.files.size(file) == 8)
    try write(many, to: file, at: 8, fixture.files)
    #expect(try fixture.files.read(file, count: 3000, at: 8) == many.flatMap { $0 })
    fixture.files.close(file)
    let again = try fixture.files.open(fixture.path("a"), for: .reading)
    #expect(try fixture.files.size(again) == 2008)
    fixture.files.close(again)
  }

  @Test func aPipeThatHasAFilesNameIsOpenedWithoutAWaitAndRefusedWhenItIsRead() throws {
    let fixture = try FileSystemFixture(.posix)
    try #require(mkfifo(fixture.path("log-1"), 0o600) == 0)
    let file = try fixture.files.open(fixture.path("log-1"), for: .reading)
    #expect(throws: FileError.self) { try fixture.files.read(file, count: 1, at: 0) }
    fixture.files.close(file)
  }

  private func write(
    _ pieces: [[UInt8]], to file: FileHandle, at offset: UInt64, _ files: any FileSystem
  ) throws {
    let flat = pieces.flatMap { $0 }
    try flat.withUnsafeBytes { all in
      var parts: [UnsafeRawBufferPointer] = []
      var at = 0
      for piece in pieces {
        parts.append(UnsafeRawBufferPointer(rebasing: all[at..<at + piece.count]))
        at += piece.count
      }
      try files.write(file, parts, at: offset)
    }
  }

  @Test(arguments: Kind.allCases)
  func aFileShrinksAndGrowsAndWhatGrowsIsZeros(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    let file = try fixture.files.open(fixture.path("a"), for: .creating)
    try fixture.files.write(file, [1, 2, 3, 4], at: 0)
    try fixture.files.truncate(file, to: 2)
    try fixture.files.truncate(file, to: 4)
    #expect(try fixture.files.read(file, count: 9, at: 0) == [1, 2, 0, 0])
    try fixture.files.allocate(file, size: 3)
    #expect(try fixture.files.size(file) == 4)
    try fixture.files.allocate(file, size: 10_000)
    #expect(try fixture.files.size(file) == 10_000)
    #expect(try fixture.files.read(file, count: 4, at: 9_998) == [0, 0])
    #expect(try fixture.files.read(file, count: 4, at: 0) == [1, 2, 0, 0])
    try fixture.files.sync(file)
    fixture.files.close(file)
  }

  @Test(arguments: Kind.allCases)
  func namesAreMadeRenamedOverOthersAndRemoved(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    let files = fixture.files
    let first = try files.open(fixture.path("a"), for: .creating)
    let second = try files.open(fixture.path("b"), for: .creatingIfMissing)
    try files.write(first, [1], at: 0)
    #expect(try Set(files.list(fixture.directory)) == ["a", "b"])
    #expect(try files.identity(of: first) != files.identity(of: second))
    try files.rename(fixture.path("a"), to: fixture.path("b"))
    #expect(try files.list(fixture.directory) == ["b"])
    #expect(try files.identity(at: fixture.path("b")) == files.identity(of: first))
    #expect(try files.identity(at: fixture.path("a")) == nil)
    #expect(try files.identity(at: fixture.path("b/c")) == nil)
    try files.remove(fixture.path("b"))
    #expect(try files.list(fixture.directory) == [])
    // Who has a file open still has it.
    #expect(try files.read(first, count: 1, at: 0) == [1])
    try files.syncDirectory(fixture.directory)
    files.close(first)
    files.close(second)
  }

  @Test(arguments: Kind.allCases)
  func directoriesAreDistinguishedFromFiles(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    try fixture.files.createDirectory(fixture.path("d"))
    let file = try fixture.files.open(fixture.path("d/x"), for: .creating)
    #expect(try fixture.files.list(fixture.path("d")) == ["x"])
    #expect(try fixture.files.isDirectory(fixture.path("d")))
    #expect(try !fixture.files.isDirectory(fixture.path("d/x")))
    #expect(try fixture.files.freeBytes(at: fixture.path("d")) > 0)
    fixture.files.close(file)
  }

  @Test func whatAFolderTakesOfItsDiskIsTheFilesInIt() throws {
    let fixture = try FileSystemFixture(.posix)
    try fixture.files.createDirectory(fixture.path("d"))
    try fixture.files.createDirectory(fixture.path("d/inner"))
    let files = PosixFiles()
    #expect(try files.bytesTaken(in: fixture.path("d")) == 0)
    for name in ["x", "y"] {
      let file = try files.open(fixture.path("d/\(name)"), for: .creating)
      try files.write(file, [UInt8](repeating: 1, count: 100_000), at: 0)
      try files.sync(file)
      files.close(file)
    }
    let taken = try files.bytesTaken(in: fixture.path("d"))
    #expect(taken >= 200_000)
    let room = try files.room(at: fixture.path("d"))
    #expect(room.size > room.free && room.size >= taken)
    #expect(throws: FileError.self) { try files.bytesTaken(in: fixture.path("nothing")) }
  }

  @Test(arguments: Kind.allCases)
  func errorsNameCallPathAndCode(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    let files = fixture.files
    let missing = fixture.path("none")
    func expect(_ code: Int32, _ call: FileCall, _ path: String, _ body: () throws -> Void) {
      #expect(throws: FileError(call, path, code)) { try body() }
    }
    let none = FileErrorCode.noEntry
    expect(none, .open, missing) { _ = try files.open(missing, for: .reading) }
    expect(none, .open, missing) { _ = try files.open(missing, for: .writing) }
    expect(none, .remove, missing) { try files.remove(missing) }
    expect(none, .rename, missing) { try files.rename(missing, to: fixture.path("b")) }
    expect(none, .list, missing) { _ = try files.list(missing) }
    expect(none, .status, missing) { _ = try files.isDirectory(missing) }
    expect(none, .syncDirectory, missing) { try files.syncDirectory(missing) }
    let file = try files.open(fixture.path("a"), for: .creating)
    expect(FileErrorCode.exists, .open, file.path) {
      _ = try files.open(file.path, for: .creating)
    }
    files.close(file)
    let message = FileError(.write, "data/log-1", FileErrorCode.noSpace)
    #expect(message.isForWantOfRoom)
    #expect(!FileError(.sync, "data/log-1", FileErrorCode.noSpace).isForWantOfRoom)
    #expect("\(message)" == "write of data/log-1: No space left on device (error 28)")
  }

  @Test(arguments: Kind.allCases)
  func oneHandleHasTheLockOfAFileUntilItIsClosed(_ kind: Kind) throws {
    let fixture = try FileSystemFixture(kind)
    let files = fixture.files
    let first = try files.open(fixture.path("LOCK"), for: .creatingIfMissing)
    let second = try files.open(fixture.path("LOCK"), for: .creatingIfMissing)
    #expect(try files.lock(first))
    #expect(try files.lock(first))
    #expect(try !files.lock(second))
    files.close(first)
    #expect(try files.lock(second))
    files.close(second)
  }

  /// The machine's files are held against the simulated ones, call by call.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func randomCallsHaveTheSameOutcomeOnBoth(seed: UInt64) throws {
    let sides = try Kind.allCases.map { try FileSystemFixture($0) }
    var random = SeededRandom(seed: seed)
    for step in 0..<200 {
      let name = ["a", "b", "c"][random.below(3)]
      let other = ["a", "b", "c"][random.below(3)]
      let (kind, offset, count) = (random.below(8), random.below(3000), random.below(2000))
      let outcomes = sides.map { side in
        outcome(kind, side.path(name), side.path(other), offset, count, side)
      }
      #expect(outcomes[0] == outcomes[1], "seed \(seed), step \(step)")
    }
  }

  private func outcome(
    _ kind: Int, _ path: String, _ other: String, _ offset: Int, _ count: Int,
    _ side: FileSystemFixture
  ) -> String {
    let files = side.files
    do {
      switch kind {
      case 0: files.close(try files.open(path, for: .creating))
      case 1: try files.remove(path)
      case 2: try files.rename(path, to: other)
      case 3: return "\(try files.list(side.directory).sorted())"
      default: break
      }
      let file = try files.open(path, for: .writing)
      defer { files.close(file) }
      switch kind {
      case 4, 5:
        try files.write(
          file, [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count),
          at: UInt64(offset))
      case 6: try files.truncate(file, to: UInt64(offset))
      case 7: try files.allocate(file, size: UInt64(offset))
      default: break
      }
      return "\(try files.size(file)) \(try files.read(file, count: 6000, at: 0))"
    } catch {
      return "\(error.call) \(error.path.split(separator: "/").last ?? "") \(error.code)"
    }
  }
}
