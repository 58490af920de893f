// The reader of batches: any cut of the stream, any damage to it.

import Store
import TestSeeds
import Testing

@testable import Log

@Suite struct BatchReaderTests {
  @Test func howeverTheBytesComeTheSameBatchesAreRead() throws {
    var random = SeededRandom(seed: TestSeed.value)
    let log = try LogBytes(batches: 12, seed: TestSeed.value)
    let whole = try LogReading(log.bytes)
    #expect(whole.groups == log.groups && whole.ends == log.ends && whole.end == .endOfLog)
    #expect(try LogReading(log.bytes, cuts: Array(1..<log.bytes.count)) == whole)
    for _ in 0..<50 {
      let cuts = (0..<Int.random(in: 1...20, using: &random)).map { _ in
        Int.random(in: 0...log.bytes.count, using: &random)
      }
      #expect(try LogReading(log.bytes, cuts: cuts.sorted()) == whole)
    }
    #expect(try LogReading(log.bytes, finishes: false).end == .stillReads)
  }

  @Test func aLogCutAtEveryByteGivesEveryWholeBatchBeforeTheCut() throws {
    let log = try LogBytes(batches: 5, seed: TestSeed.value)
    for count in 0...log.bytes.count {
      let reading = try LogReading(Bytes(log.bytes[..<count]))
      let whole = log.ends.filter { $0 <= count }
      #expect(reading.ends == whole, "cut at \(count)")
      if count == whole.last ?? 0 {
        #expect(reading.end == .endOfLog)
      } else {
        #expect(reading.end == .bad(.badLength) || reading.end == .bad(.cutShort))
      }
    }
  }

  @Test func aLogCutAtEveryByteAndZerosBehindItGivesEveryWholeBatch() throws {
    let log = try LogBytes(batches: 4, seed: TestSeed.value)
    for count in 0...log.bytes.count {
      let zeros = Bytes(repeating: 0, count: log.bytes.count + 100 - count)
      let reading = try LogReading(Bytes(log.bytes[..<count]) + zeros)
      // The last bytes of a batch may be zeros themselves: then nothing is missing.
      let whole = log.ends.filter { end in end <= count || log.bytes[count..<end].allZero }
      #expect(reading.ends == whole, "cut at \(count)")
      let isClean = count <= (whole.last ?? 0)
      let isLost = whole.count < log.ends.count && !isClean
      switch reading.end {
      case .endOfLog: #expect(isClean || log.bytes[(whole.last ?? 0)..<count].prefix(4).allZero)
      case .bad(let fault): #expect(isLost && fault.mayBeTorn)
      case .stillReads: Issue.record("it ends")
      }
    }
  }

  @Test func aFlippedBitAtEveryByteIsFoundAndWhatIsBeforeItIsRead() throws {
    let log = try LogBytes(batches: 4, seed: TestSeed.value)
    for place in log.bytes.indices {
      for bit in 0..<8 {
        var bytes = log.bytes
        bytes[place] ^= 1 << bit
        let reading = try LogReading(bytes)
        #expect(reading.ends == log.ends.filter { $0 <= place }, "bit \(bit) of \(place)")
        #expect(reading.end != .endOfLog || bytes[place] == 0)
      }
    }
  }

  @Test func bytesOfAnotherLifeLineageOrPositionNeverPass() throws {
    let log = try LogBytes(batches: 3, seed: 1)
    var other = LogBytes.identity
    other.life ^= 1
    #expect(try LogReading(log.bytes, identity: other).end == .bad(.otherPlace))
    other = LogBytes.identity
    other.lineage.low ^= 1
    #expect(try LogReading(log.bytes, identity: other).end == .bad(.wrongChecksum))
    let later = LogBytes.start + 1
    #expect(try LogReading(log.bytes, start: later).end == .bad(.otherPlace))
  }

  @Test func whatAnEarlierUseOfTheFileLeftBehindTheLogNeverPasses() throws {
    var older = LogBytes.identity
    older.life = 0xdead
    for seed in 0..<20 as Range<UInt64> {
      let log = try LogBytes(batches: 3, seed: seed)
      let stale = try LogBytes(batches: 9, seed: seed, identity: older)
      let sameLife = try LogBytes(
        batches: 9, seed: seed, start: LogBytes.start - UInt64(log.ends[1]))
      for behind in [stale, sameLife] where behind.bytes.count > log.bytes.count {
        let bytes = log.bytes + behind.bytes[log.bytes.count...]
        let reading = try LogReading(bytes)
        #expect(reading.ends == log.ends && reading.groups == log.groups)
      }
    }
  }

  @Test func aLengthThatTheFileCannotHoldIsNotWaitedFor() throws {
    let log = try LogBytes(batches: 1, seed: 1)
    var bytes = log.bytes
    bytes[3] = 0x7f
    #expect(try LogReading(bytes, finishes: false).end == .bad(.badLength))
  }

  @Test func recordsThatDoNotFillTheirBatchAreNoTornEnd() throws {
    let log = try LogBytes(batches: 1, seed: 1)
    for (offset, byte) in [(40, log.bytes[40] ^ 1), (44, 0)] as [(Int, UInt8)] {
      var bytes = log.bytes
      bytes[offset] = byte
      reseal(&bytes)
      let reading = try LogReading(bytes)
      #expect(reading.end == .bad(.malformed))
    }
    #expect(!BatchFault.malformed.mayBeTorn)
  }

  @Test func aRecordOfANewerVersionIsPassedOverOnlyIfItSaysSo() throws {
    var bytes = try LogBytes(batches: 1, seed: 1).bytes
    bytes[44] = 200
    reseal(&bytes)
    #expect(throws: LogDefect.unknownRecord(type: 200)) { try LogReading(bytes) }
    bytes[45] = 0
    reseal(&bytes)
    #expect(try LogReading(bytes).end == .endOfLog)
  }

  private func reseal(_ bytes: inout Bytes) {
    bytes.withUnsafeMutableBytes { batch in
      guard let start = batch.baseAddress else { return }
      let checksum = BatchFormat.checksum(UnsafeRawBufferPointer(batch), LogBytes.identity)
      BatchFormat.setChecksum(checksum, at: start)
    }
  }
}

extension Sequence where Element == UInt8 {
  var allZero: Bool { allSatisfy { $0 == 0 } }
}
