// A log as it lies in a file, made from random effects, and what a reader makes of bytes.

import Store
import TestSeeds
import Testing

@testable import Log

struct LogBytes {
  static let identity = LogIdentity(lineage: Lineage(high: 0xa1a2, low: 0xb1b2), life: 0xc0ff_ee00)
  static let start: LogPosition = 1 << 33

  var bytes: Bytes = []
  /// Where batches end, counted from the start.
  var ends: [Int] = []
  var groups: [[OwnedEffect]] = []

  /// - Parameter committed: what each batch says is durable, by its number from 0.
  init(
    batches: Int, seed: UInt64, identity: LogIdentity = identity, start: LogPosition = start,
    committed: (Int) -> LogPosition = { _ in 0 }
  ) throws {
    var random = SeededRandom(seed: seed)
    let appender = LogAppender(position: start)
    for number in 0..<batches {
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let slot = Int.random(in: 0..<100, using: &random)
        let effects = (0..<Int.random(in: 1...2, using: &random)).map { _ in
          OwnedEffect.random(slot: slot, &random)
        }
        for effect in effects { effect.lend { appender.willApply($0) } }
        appender.groupEnded(slot: slot)
        groups.append(effects)
      }
      let batch = try #require(appender.takeBatch())
      batch.seal(committed: committed(number), lineage: identity.lineage, life: identity.life)
      bytes += batch.bytes
      ends.append(bytes.count)
      appender.recycle(batch)
    }
  }
}

/// What a reader made of bytes.
struct LogReading: Equatable {
  enum End: Equatable {
    case endOfLog
    case bad(BatchFault)
    case stillReads
  }

  var ends: [Int] = []
  var groups: [[OwnedEffect]] = []
  var end = End.stillReads
  var unread = 0

  init(
    _ bytes: Bytes, cuts: [Int] = [], identity: LogIdentity = LogBytes.identity,
    start: LogPosition = LogBytes.start, finishes: Bool = true
  ) throws {
    let reader = BatchReader(identity: identity, position: start, bytesMax: UInt64(bytes.count))
    let effects = EffectReader()
    for (from, to) in zip([0] + cuts, cuts + [bytes.count]) {
      // A copy of its own for each, so that a reader that keeps a pointer is found out.
      Bytes(bytes[from..<to]).withUnsafeBytes { reader.feed($0) }
      if to == bytes.count, finishes { reader.finish() }
      try take(reader, start, effects)
    }
    unread = reader.unread.count
    #expect(reader.position == start + UInt64(ends.last ?? 0))
  }

  private mutating func take(
    _ reader: BatchReader, _ start: LogPosition, _ effects: EffectReader
  ) throws {
    while true {
      switch reader.next() {
      case .needsMore:
        end = .stillReads
        return
      case .endOfLog:
        end = .endOfLog
        return
      case .bad(let fault):
        end = .bad(fault)
        return
      case .batch(let batch):
        ends.append(Int(batch.end - start))
        var last = batch.position
        for record in batch.records {
          guard try record.knownType() == .group else { continue }
          var group: [OwnedEffect] = []
          try effects.forEach(in: record.payload, slot: Int(record.slot)) {
            group.append(OwnedEffect($0))
          }
          groups.append(group)
          #expect(record.end > last && record.end <= batch.end)
          last = record.end
        }
        #expect(last == batch.end)
      }
    }
  }
}
