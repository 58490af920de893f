// The reader of the log's batches. The first two bytes say where the rest is split, the third how
// it is read: as it is, or with its head made right, so that what comes behind the checksum is
// reached. However the bytes come the same batches must be read; what was read is the
// beginning of the bytes; and the search behind a bad place finds the same.

import Log
import NodeCore

extension FuzzReader {
  package static let log = FuzzReader(name: "log", seeds: LogSeeds.batches) { input in
    guard input.count > 3 else { return }
    var bytes = Array(input[3...])
    if input[2] & 1 == 1 { LogSeeds.repairHead(&bytes) }
    let whole = BatchOutcome(of: [bytes])
    try bytes.withUnsafeBytes { all in
      for pieces in Splits.pieces(of: all, seed: input[0], at: input[1]) {
        let outcome = BatchOutcome(of: pieces.map { Array($0) })
        if outcome != whole {
          throw Finding("in \(pieces.count) pieces \(outcome), and at once \(whole)")
        }
      }
    }
    // What is whole stays so with anything behind it.
    let prefix = Array(bytes.prefix(whole.read))
    let again = BatchOutcome(of: [prefix])
    if again.ends != whole.ends || again.fault != nil {
      throw Finding("\(whole.ends) alone is read as \(again)")
    }
    _ = try? bytes.withUnsafeBytes { try FileHeader(decoding: $0) }
  }
}

/// The batches of a stream and what is behind them.
private struct BatchOutcome: Equatable {
  var ends: [LogPosition] = []
  var records = 0
  var fault: BatchFault?
  var committed: LogPosition?
  var lastEnd: LogPosition?

  var read: Int { Int(ends.last ?? 0) }

  init(of pieces: [[UInt8]]) {
    let count = UInt64(pieces.reduce(0) { $0 + $1.count })
    let reader = BatchReader(identity: LogSeeds.identity, position: 0, bytesMax: count)
    var fed = 0
    reading: while true {
      switch reader.next() {
      case .needsMore:
        guard fed < pieces.count else {
          reader.finish()
          continue
        }
        pieces[fed].withUnsafeBytes { reader.feed($0) }
        fed += 1
      case .batch(let batch):
        ends.append(batch.end)
        for record in batch.records { records += 1 + record.payload.count }
      case .endOfLog: break reading
      case .bad(let found):
        fault = found
        break reading
      }
    }
    let search = TornSearch(
      identity: LogSeeds.identity, position: reader.position, bytesMax: count - reader.position)
    search.feed(reader.unread)
    for piece in pieces[fed...] { piece.withUnsafeBytes { search.feed($0) } }
    (committed, lastEnd) = (search.committed, search.lastEnd)
  }
}
