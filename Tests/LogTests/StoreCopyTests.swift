// A copy is the store as it was at one moment, whatever changes while it is taken.

import Store
import TestSeeds
import Testing

@testable import Log

@Suite struct StoreCopyTests {
  /// The bytes of both files, as far as they were handed out.
  private struct Files {
    var pass: Bytes = []
    var log: Bytes = []

    mutating func add(_ bytes: Bytes, to file: CopyFile) {
      if file == .pass { pass += bytes } else { log += bytes }
    }
  }

  private static let header = FileHeader(
    kind: .pass, lineage: Lineage(high: 1, low: 2), directory: 0, cluster: "c", shard: "s",
    seedDigest: 9, life: 3, position: 0, committed: 0)

  private func reader(_ bytes: Bytes, _ kind: FileHeader.Kind) throws -> BatchReader {
    let header = try bytes.withUnsafeBytes { try FileHeader(decoding: $0) }
    #expect(header.kind == kind && header.shard == "s" && header.position == 0)
    let reader = BatchReader(identity: header.identity, position: header.firstPosition)
    bytes.withUnsafeBytes {
      reader.feed(UnsafeRawBufferPointer(rebasing: $0[FileHeader.byteCount...]))
    }
    reader.finish()
    return reader
  }

  private func restored(_ files: Files) throws -> StorePicture {
    let store = LoggedStore.makeStore()
    let merge = LogMerge(into: StoreReplay(into: store), passBegin: 0)
    let (pass, log) = (try reader(files.pass, .pass), try reader(files.log, .log))
    while true {
      switch try merge.advance(work: 100) {
      case .turn: break
      case .pass:
        guard case .batch(let batch) = pass.next() else { throw ReplayFault(.logMissing, at: 0) }
        merge.givePass(batch)
      case .log:
        switch log.next() {
        case .batch(let batch): try merge.giveLog(batch)
        case .endOfLog: merge.logEnded()
        default: throw ReplayFault(.logMissing, at: 0)
        }
      case .nothing:
        #expect(merge.hasPassEnded)
        return StorePicture(store)
      }
    }
  }

  /// One piece, with time that runs out after a random number of looks.
  private func step(
    _ copy: StoreCopy, _ files: inout Files, _ random: inout SeededRandom
  ) {
    var looks = Int.random(in: 1...4, using: &random)
    var piece: Bytes = []
    let most = [1, 100, 5_000, 1 << 20].randomElement(using: &random) ?? 1
    let file = copy.next(
      bytes: most,
      hasTime: {
        looks -= 1
        return looks > 0
      }
    ) { piece += $0 }
    if let file { files.add(piece, to: file) }
    #expect(file != nil || piece.isEmpty)
    #expect(piece.count <= max(most, FileHeader.byteCount))
  }

  @Test func itIsTheStoreOfTheMomentWhenTheLastImageWasTaken() throws {
    for round in UInt64(0)..<25 {
      var random = SeededRandom(seed: TestSeed.value &+ round)
      let logged = LoggedStore(seed: TestSeed.value &+ round)
      for _ in 0..<200 { try logged.call() }
      let copy = StoreCopy(of: logged.store, header: Self.header)
      logged.store.observer = copy
      var files = Files()
      var moment: StorePicture?
      while !copy.isDone {
        step(copy, &files, &random)
        if copy.isTaken, moment == nil { moment = StorePicture(logged.store) }
        for _ in 0..<Int.random(in: 0...6, using: &random) { try logged.call() }
      }
      let difference = try restored(files).difference(from: try #require(moment))
      #expect(difference == nil, "RINGSTORE_TEST_SEED=\(TestSeed.value) round \(round)")
    }
  }

  @Test func anEmptyStoreHasACopyToo() throws {
    let store = LoggedStore.makeStore()
    let copy = StoreCopy(of: store, header: Self.header)
    var files = Files()
    var random = SeededRandom(seed: 1)
    while !copy.isDone { step(copy, &files, &random) }
    #expect(try restored(files).keys.isEmpty && files.log.count == FileHeader.byteCount)
  }

  @Test func moreChangesThanMayWaitLoseIt() throws {
    let store = LoggedStore.makeStore()
    func write() {
      for number in 0..<2_000 {
        Bytes("\(number)".utf8).withUnsafeBytes { key in
          let place = store.find(key, slot: number % 3, database: 0, nowMillis: 0)
          _ = store.set(key, expiry: .never, at: place)
        }
      }
    }
    write()
    let copy = StoreCopy(of: store, header: Self.header, logBytesMax: 10_000)
    store.observer = copy
    var bytes = 0
    // The headers, and some images, so that there is something to follow.
    for _ in 0..<4 { _ = copy.next(bytes: 1 << 20, hasTime: { false }) { bytes += $0.count } }
    #expect(!copy.isTaken && copy.keysDone > 0 && copy.keysDone < 1_000)
    for _ in 0..<20 where !copy.hasOverflowed { write() }
    #expect(copy.hasOverflowed && !copy.isDone)
  }
}
