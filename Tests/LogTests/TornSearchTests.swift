// Whether a place without a whole batch is the end that a crash has torn, or damage.

import TestSeeds
import Testing

@testable import Log

@Suite struct TornSearchTests {
  /// Reads what it can, then looks through the rest.
  private func search(_ bytes: Bytes, cut: Int = 64) -> TornSearch {
    let reader = BatchReader(
      identity: LogBytes.identity, position: LogBytes.start, bytesMax: UInt64(bytes.count))
    var fed = 0
    var reads = true
    while reads {
      switch reader.next() {
      case .batch: continue
      case .endOfLog, .bad: reads = false
      case .needsMore:
        guard fed < bytes.count else {
          reader.finish()
          continue
        }
        let end = min(fed + cut, bytes.count)
        Bytes(bytes[fed..<end]).withUnsafeBytes { reader.feed($0) }
        fed = end
      }
    }
    let at = Int(reader.position - LogBytes.start)
    let search = TornSearch(
      identity: LogBytes.identity, position: reader.position, bytesMax: UInt64(bytes.count - at))
    search.feed(reader.unread)
    for from in stride(from: fed, to: bytes.count, by: cut) {
      Bytes(bytes[from..<min(from + cut, bytes.count)]).withUnsafeBytes { search.feed($0) }
    }
    return search
  }

  /// Each batch says that the one before it is durable.
  private func log(_ batches: Int) throws -> LogBytes {
    let ends = try LogBytes(batches: batches, seed: 7).ends
    return try LogBytes(batches: batches, seed: 7) { number in
      LogBytes.start + UInt64(number == 0 ? 0 : ends[number - 1])
    }
  }

  @Test func aLogCutAtEveryByteIsTornWithZerosBehindItAndWithout() throws {
    let log = try log(4)
    for count in 0...log.bytes.count {
      let cut = Bytes(log.bytes[..<count])
      #expect(!search(cut).isCorrupt)
      #expect(!search(cut + Bytes(repeating: 0, count: 200)).isCorrupt)
    }
  }

  @Test(arguments: [1, 7, 64, 100_000])
  func aFlippedBitAtEveryByteOfWhatWasDurableIsCorruption(cut: Int) throws {
    let log = try log(5)
    let last = log.ends[3]
    for place in stride(from: 0, to: log.bytes.count, by: cut == 64 ? 1 : 13) {
      var bytes = log.bytes
      bytes[place] ^= 0x10
      // The last batch tells of those before it, and nothing tells of the last.
      let expected = place < last
      #expect(search(bytes, cut: cut).isCorrupt == expected, "at \(place)")
    }
  }

  @Test func aBatchLostAsZerosIsCorruptionWhereALaterOneSaysItWasDurable() throws {
    let log = try log(5)
    var bytes = log.bytes
    for place in log.ends[1]..<log.ends[2] { bytes[place] = 0 }
    let found = search(bytes)
    #expect(found.isCorrupt)
    #expect(found.position == LogBytes.start + UInt64(log.ends[1]))
    #expect(found.committed == LogBytes.start + UInt64(log.ends[3]))
    #expect(found.lastEnd == LogBytes.start + UInt64(log.ends[4]))
  }

  @Test func batchesBehindATornOneThatSayNothingOfItLeaveItTorn() throws {
    let log = try LogBytes(batches: 5, seed: 7) { _ in LogBytes.start }
    var bytes = log.bytes
    bytes[log.ends[1] + 50] ^= 1
    let found = search(bytes)
    #expect(!found.isCorrupt && found.lastEnd == LogBytes.start + UInt64(log.ends[4]))
  }

  @Test func aLaterFilesHeaderTellsAndSoDoItsBatches() throws {
    let log = try log(3)
    let torn = Bytes(log.bytes[..<(log.ends[1] + 9)])
    let position = LogBytes.start + UInt64(log.ends[1])
    var header = FileHeaderTests.header
    header.lineage = LogBytes.identity.lineage
    header.life = 99
    header.position = position + 1_000
    header.committed = position
    let found = search(torn)
    found.begin(header, bytesMax: 10_000)
    #expect(!found.isCorrupt)
    let later = try LogBytes(batches: 1, seed: 2, identity: header.identity, start: header.position)
    { _ in position + 1 }
    later.bytes.withUnsafeBytes { found.feed($0) }
    #expect(found.isCorrupt)
    header.committed = position + 1
    let other = search(torn)
    other.begin(header, bytesMax: 0)
    #expect(other.isCorrupt)
  }

  @Test func bytesOfAClientThatLookLikeABatchDoNotCount() throws {
    let log = try log(3)
    // A value that holds the bytes of the log itself, which say a lot was durable.
    var random = SeededRandom(seed: 3)
    var bytes = Bytes(log.bytes[..<(log.ends[0] + 45)])
    bytes += random.bytes(33) + log.bytes + random.bytes(70)
    #expect(search(bytes).committed == nil)
  }
}
