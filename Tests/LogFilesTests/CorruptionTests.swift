// A flipped bit anywhere, and a log that is cut anywhere: what is found is a prefix of what was
// written, or the start refuses and changes nothing.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Testing

@Suite struct CorruptionTests {
  private let first = "data/log-00000000000000000000"

  /// A log of several batches, each of which says that the ones before it are durable.
  private func makeLog(_ batches: Int, closes: Bool = false) throws -> (SimulatedDisk, LogRig) {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    let rig = LogRig(disk, "data", .always)
    rig.settings.sizes = SegmentSizes(first: 6 << 10, largest: 6 << 10, fillStep: 6 << 10)
    try rig.start()
    for _ in 0..<batches {
      rig.write(1, filler: 20)
      rig.perform(.writer)
    }
    if closes {
      rig.output?.close()
      rig.run()
    }
    rig.end()
    return (disk, rig)
  }

  /// A copy of the directory, whatever was done to it.
  private func copy(_ disk: SimulatedDisk) throws -> SimulatedDisk {
    let made = try SimulatedDisk.withDirectory("data", seed: 2)
    for name in disk.names(in: "data") {
      made.close(try made.open("data/\(name)", for: .creating))
      made.setContents(of: "data/\(name)", to: disk.contents(of: "data/\(name)") ?? [])
    }
    return made
  }

  private enum Outcome: Equatable {
    case found([UInt64])
    case refused(file: String)
  }

  /// Starts on a damaged copy. A refusal must leave all files as they are.
  private func start(_ disk: SimulatedDisk) throws -> Outcome {
    let names = disk.names(in: "data").filter { $0 != "LOCK" }
    let before = names.map { disk.contents(of: "data/\($0)") }
    let rig = LogRig(disk, "data", .always)
    do {
      return .found(try rig.start())
    } catch let refusal as LogRefusal {
      #expect(disk.names(in: "data").filter { $0 != "LOCK" } == names)
      #expect(names.map { disk.contents(of: "data/\($0)") } == before)
      switch refusal {
      case .corrupt(let file, _, _), .otherCluster(let file, _, _), .otherShard(let file, _, _),
        .otherSeed(let file), .mixed(let file, _), .newerFormat(let file, _),
        .missing(let file, _), .fewerDatabases(let file, _):
        return .refused(file: file)
      case .notADirectory(let file), .inUse(let file), .noRoom(let file, _, _):
        return .refused(file: file)
      case .failed(let error): return .refused(file: error.path)
      }
    }
  }

  /// Bytes that the batches of the first segment take, its header included.
  private func end(of disk: SimulatedDisk) -> Int {
    let bytes = disk.contents(of: first) ?? []
    return (bytes.lastIndex { $0 != 0 } ?? 0) + 1
  }

  @Test func aFlippedBitInAnyByteIsFoundOrWasInTheLastBatch() throws {
    let (disk, _) = try makeLog(8)
    let end = end(of: disk)
    let lastBatch = (end - 4096) / 8
    for byte in 0..<end {
      for bit in [0, 7] {
        let damaged = try copy(disk)
        damaged.flip(bit: byte * 8 + bit, of: first)
        let outcome = try start(damaged)
        // Only what follows can say that a batch was durable.
        if byte >= end - lastBatch {
          #expect(outcome == .found(Array(1...7)), "byte \(byte), bit \(bit)")
        } else {
          #expect(outcome == .refused(file: first), "byte \(byte), bit \(bit)")
        }
      }
    }
  }

  @Test func afterACleanStopAFlippedBitIsFoundInTheLastBatchToo() throws {
    let (disk, _) = try makeLog(8, closes: true)
    let end = end(of: disk)
    let lastBatch = BatchFormat.batchBytesMin
    for byte in 4096..<end {
      let damaged = try copy(disk)
      damaged.flip(bit: byte * 8 + 5, of: first)
      let expected =
        byte >= end - lastBatch ? Outcome.found(Array(1...8)) : .refused(file: first)
      #expect(try start(damaged) == expected, "byte \(byte)")
    }
    #expect(try start(disk) == .found(Array(1...8)))
  }

  @Test func aFlippedBitInAnOlderSegmentIsFoundAlsoInItsLastBatch() throws {
    let (disk, rig) = try makeLog(3)
    // A start begins a segment that says up to where the log is durable.
    #expect(try rig.start() == [1, 2, 3])
    rig.end()
    let end = end(of: disk)
    for byte in stride(from: 4096, to: end, by: 7) {
      let damaged = try copy(disk)
      damaged.flip(bit: byte * 8 + 3, of: first)
      #expect(try start(damaged) == .refused(file: first), "byte \(byte)")
    }
  }

  @Test func aLogThatIsCutAtAnyByteHasAPrefixOrIsRefusedWhereMoreWasDurable() throws {
    let (disk, _) = try makeLog(6)
    let bytes = disk.contents(of: first) ?? []
    let end = end(of: disk)
    let batch = (end - 4096) / 6
    for length in 0..<end {
      for isZeros in [false, true] {
        let damaged = try copy(disk)
        let rest = isZeros ? [UInt8](repeating: 0, count: bytes.count - length) : []
        damaged.setContents(of: first, to: bytes[..<length] + rest)
        let outcome = try start(damaged)
        if length < 4096, !isZeros || bytes[length..<4096].contains(where: { $0 != 0 }) {
          #expect(outcome == .refused(file: first), "cut at \(length)")
        } else {
          let left = max(0, length - 4096) / batch
          #expect(
            outcome == .found(left == 0 ? [] : Array(1...UInt64(left))), "cut at \(length)")
        }
      }
    }
  }

  @Test func aTornEndIsReportedACleanOneNotAndBytesOfATornEndNeverComeBack() throws {
    let (disk, rig) = try makeLog(3)
    disk.flip(bit: (end(of: disk) - 1) * 8, of: first)
    let directory = try LogDirectory.open("data", as: LogRig.owner, over: disk)
    let numbers = LogStartNumbers(
      identity: NewLogIdentity(lineage: Lineage(high: 9, low: 9), directory: 9), life: 50)
    let sink = NumberSink()
    let recovery = try LogRecovery(directory, numbers, rig.settings) { _ in sink }
    while try recovery.step() != nil {}
    #expect(sink.numbers == [1, 2])
    #expect(recovery.cut?.contains("wrong checksum") == true)
    let start = try recovery.begin()
    // The identity is that of the files, not the new one.
    #expect(start.header.lineage == Lineage(high: 1, low: 2))
    directory.close()
    #expect(try rig.start() == [1, 2])
  }

  @Test func missingFilesAreReportedByName() throws {
    let (disk, rig) = try makeLog(3)
    try rig.start()
    rig.write()
    rig.perform(.writer)
    rig.end()
    let segments = disk.names(in: "data").filter { $0.hasPrefix("log-") }
    #expect(segments.count == 2)
    let withoutFirst = try copy(disk)
    try withoutFirst.remove(first)
    #expect(try start(withoutFirst) == .refused(file: first))

    let withPass = try copy(disk)
    withPass.close(try withPass.open("data/pass-00000000000000000000", for: .creating))
    for segment in segments { try withPass.remove("data/\(segment)") }
    #expect(try start(withPass) == .refused(file: first))
  }

  @Test func damageToAPassThatCountsIsReportedByFile() throws {
    let disk = try SimulatedDisk.withDirectory("data", seed: 1)
    let rig = LogRig(disk, "data", .always)
    try rig.start()
    rig.write()
    let begin = rig.appender.position
    let maker = LogAppender(position: begin | 1 << 63)
    maker.append(.slotMap([1, 2, 3]))
    rig.beginPass(at: begin)
    if let batch = maker.takeBatch() { rig.output?.writePass(PassBatch(batch)) }
    rig.output?.endPass(lastAsOf: begin)
    rig.run()
    #expect(rig.completed == [begin])
    rig.end()
    let pass = "data/\(LogFileName.pass(begin).text)"
    let size = try #require(disk.contents(of: pass)?.count)
    for byte in stride(from: 4096, to: size, by: 3) {
      let damaged = try copy(disk)
      damaged.flip(bit: byte * 8, of: pass)
      let next = LogRig(damaged, "data", .always)
      let refusal = #expect(throws: LogRefusal.self) {
        try next.start { HistorySink(passBegin: $0) }
      }
      guard case .corrupt(pass, 4096, _) = refusal else {
        Issue.record("byte \(byte): \(String(describing: refusal))")
        continue
      }
    }
    try disk.remove(pass)
    #expect(try start(disk) == .refused(file: pass))
  }
}
