// What a driver of LogMerge does, over bytes in memory: reads them in random cuts and gives batches
// as they are asked for.

import Store
import TestSeeds

@testable import Log

struct Recovery {
  let merge: LogMerge
  private let log: Feed
  private var pass: Feed?
  private var random: SeededRandom

  /// A file that is read a piece at a time.
  private final class Feed {
    private let reader: BatchReader
    private let bytes: Bytes
    private var fed = 0
    private(set) var isClean = true

    init(_ bytes: Bytes, at position: LogPosition) {
      self.bytes = bytes
      reader = BatchReader(
        identity: LoggedStore.identity, position: position, bytesMax: UInt64(bytes.count))
    }

    func next(_ random: inout SeededRandom) -> Batch? {
      while true {
        switch reader.next() {
        case .batch(let batch): return batch
        case .endOfLog: return nil
        case .bad:
          isClean = false
          return nil
        case .needsMore:
          if fed == bytes.count { reader.finish() }
          let end = min(bytes.count, fed + Int.random(in: 1...50_000, using: &random))
          // A copy of its own, so that a reader that keeps a pointer is found out.
          Bytes(bytes[fed..<end]).withUnsafeBytes { reader.feed($0) }
          fed = end
        }
      }
    }
  }

  init(
    into target: any ReplayTarget, pass: LoggedStore.Pass?, log: Bytes, logStart: LogPosition = 0,
    seed: UInt64
  ) {
    merge = LogMerge(into: target, passBegin: pass?.begin)
    self.log = Feed(log, at: logStart)
    self.pass = pass.map { Feed($0.bytes, at: $0.begin | 1 << 63) }
    random = SeededRandom(seed: seed)
  }

  mutating func compare(_ pass: LoggedStore.Pass) throws {
    try merge.compare(passBegin: pass.begin)
    self.pass = Feed(pass.bytes, at: pass.begin | 1 << 63)
  }

  /// - Parameter untilPassEnds: whether to stop where the pass is merged.
  mutating func run(untilPassEnds: Bool = false) throws {
    while !(untilPassEnds && merge.hasPassEnded) {
      // Each step alone, so that it can stop behind the pass.
      let work = untilPassEnds ? 1 : Int.random(in: 1...400, using: &random)
      switch try merge.advance(work: work) {
      case .turn: continue
      case .nothing: return
      case .log:
        if let batch = log.next(&random) { try merge.giveLog(batch) } else { merge.logEnded() }
      case .pass:
        if let batch = pass?.next(&random) {
          merge.givePass(batch)
        } else {
          try merge.passEnded()
        }
      }
    }
  }
}
