// Chunks of a pass: large values are written from where they lie, as they were when the image was
// taken, whatever happens to them before they are written.

import Store
import TestSeeds
import Testing

@testable import Log

@Suite struct PassMakerTests {
  private let store = LoggedStore.makeStore()

  private func at(_ key: String, _ body: (KeyPlace) throws -> Void) rethrows {
    try Bytes(key.utf8).withUnsafeBytes {
      try body(store.find($0, slot: 1, database: 0, nowMillis: 1))
    }
  }

  private func set(_ key: String, _ value: Bytes) {
    at(key) { place in _ = value.withUnsafeBytes { store.set($0, at: place) } }
  }

  private func push(_ key: String, _ values: [Bytes]) throws {
    try at(key) { place in
      try values.withPieces { _ = try store.push($0, .tail, at: place) }
    }
  }

  private func chunks() -> [PassChunk] {
    let maker = PassMaker(of: store, begin: 0, state: [])
    var chunks: [PassChunk] = []
    while !maker.isDone {
      while maker.take(asOf: 0, keys: 100, bytes: 64 << 10) == .more {}
      if let chunk = maker.takeChunk() { chunks.append(chunk) }
    }
    return chunks
  }

  /// Writes chunks, and counts their batches and the most pieces in one.
  private func write(_ chunks: [PassChunk]) -> (pass: LoggedStore.Pass, batches: Int, most: Int) {
    var pass = LoggedStore.Pass(begin: 0)
    var (batches, most) = (0, 0)
    for chunk in chunks {
      while let pieces = chunk.nextBatch(
        at: 1 << 63 + UInt64(pass.bytes.count), committed: 0, epoch: 0,
        identity: LoggedStore.identity)
      {
        for piece in pieces { pass.bytes += piece }
        (batches, most) = (batches + 1, max(most, pieces.count))
      }
      chunk.release()
    }
    return (pass, batches, most)
  }

  private func replayed(_ pass: LoggedStore.Pass) throws -> StorePicture {
    let store = LoggedStore.makeStore()
    var recovery = Recovery(into: StoreReplay(into: store), pass: pass, log: [], seed: 1)
    try recovery.run()
    return StorePicture(store)
  }

  @Test func aLongListComesInSeveralPartsItsLongElementsFromWhereTheyLie() throws {
    var random = SeededRandom(seed: TestSeed.value)
    let small = (0..<9_000).map { _ in random.bytes(Int.random(in: 0...20, using: &random)) }
    try push("list", small)
    for size in [70_000, 1_200_000, 65_536, 65_537] {
      try push("list", [Bytes(repeating: 1, count: size), [7]])
    }
    try push("other", small)
    try push("short", [[1], [2]])
    let picture = StorePicture(store)
    let taken = chunks()
    // All of it goes before it is written.
    for key in ["list", "other", "short"] { at(key) { _ = store.delete(at: $0) } }
    while store.collectGarbage(entries: 1_000) {}
    let (pass, batches, most) = write(taken)
    #expect(most > 3 && batches > taken.count)
    #expect(try replayed(pass).difference(from: picture) == nil)
  }

  @Test func stringsThatAreHeldFillAChunkAndAreAsTheyWere() throws {
    for number in 0..<7 {
      set("large \(number)", Bytes(repeating: UInt8(number), count: 5 << 20))
      set("small \(number)", [UInt8(number)])
    }
    let picture = StorePicture(store)
    let taken = chunks()
    #expect(taken.count >= 4)
    #expect(taken.allSatisfy { $0.byteCount < PassMaker.pinnedBytes + (6 << 20) })
    for number in 0..<7 { set("large \(number)", [1]) }
    let pass = write(taken).pass
    #expect(store.pinnedBytes == 0)
    #expect(try replayed(pass).difference(from: picture) == nil)
  }

  @Test func anEmptyStoreHasAPassAsWell() throws {
    let (pass, batches, _) = write(chunks())
    #expect(batches == 3)
    #expect(try replayed(pass) == StorePicture(LoggedStore.makeStore()))
  }

  @Test func anImageHoldsKeysOfOneMomentOnly() throws {
    set("a", [1])
    set("b", [2])
    let maker = PassMaker(of: store, begin: 0, state: [])
    #expect(maker.take(asOf: 0, keys: 1, bytes: 1) == .chunkIsFull)
    #expect(maker.takeChunk()?.type == .passBegin)
    #expect(maker.take(asOf: 10, keys: 1, bytes: 1) == .more)
    #expect(maker.take(asOf: 11, keys: 1, bytes: 1) == .chunkIsFull)
    #expect(maker.takeChunk()?.asOf == 10 && maker.keyCount <= 1)
  }
}
