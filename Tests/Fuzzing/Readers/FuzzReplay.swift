// The merge of a pass with the log, behind all checksums. The first two bytes say how much is read
// and done in a turn; then come records, each with a head of six bytes:
//
//   record = stream:u8 (bit 0: of the pass, else of the log) type:u8 slot:u8 (255: none) place:u8
//            length:u16 payload
//
// The position that a record of a pass begins with is that behind as many records of the log as
// `place` says, since nothing found by chance would fit. However the work is cut into turns, the
// outcome must be the same, and whatever the records hold nothing may trap.

import Log
import NodeCore
import Store

extension FuzzReader {
  package static let replay = FuzzReader(name: "replay", seeds: LogSeeds.replays) { input in
    guard input.count > 3 else { return }
    let files = FuzzedFiles(Array(input[3...]))
    let outcome = ReplayOutcome(of: files, work: .max, batchesAtOnce: true)
    for work in [1, Int(input[0]) + 1] {
      let other = ReplayOutcome(of: files, work: work, batchesAtOnce: false)
      if other != outcome { throw Finding("in turns of \(work) \(other), at once \(outcome)") }
    }
  }
}

/// A log and a pass, as files would hold them.
private struct FuzzedFiles {
  var log: [UInt8] = []
  var pass: [UInt8] = []
  var passBegin: LogPosition?

  private struct Record {
    let isPass: Bool
    let type: UInt8
    let slot: UInt16
    let place: Int
    var payload: [UInt8]
  }

  init(_ input: [UInt8]) {
    let records = Self.records(input)
    var positions: [LogPosition] = [0]
    for record in records where !record.isPass {
      log += BatchFormat.batch(
        of: [(record.type, record.slot, record.payload)], position: UInt64(log.count),
        identity: LogSeeds.identity)
      positions.append(UInt64(log.count))
    }
    for var record in records where record.isPass {
      let position = positions[min(record.place, positions.count - 1)]
      if passBegin == nil { passBegin = position }
      for byte in 0..<min(8, record.payload.count) {
        record.payload[byte] = UInt8(truncatingIfNeeded: position >> (8 * UInt64(byte)))
      }
      pass += BatchFormat.batch(
        of: [(record.type, record.slot, record.payload)], position: UInt64(pass.count),
        identity: LogSeeds.identity)
    }
  }

  private static func records(_ input: [UInt8]) -> [Record] {
    var records: [Record] = []
    var rest = input[...]
    while rest.count >= 6 {
      let head = Array(rest.prefix(6))
      let length = Int(head[4]) | Int(head[5]) << 8
      let payload = rest.dropFirst(6).prefix(length)
      records.append(
        Record(
          isPass: head[0] & 1 == 1, type: head[1], slot: head[2] == 255 ? 0xffff : UInt16(head[2]),
          place: Int(head[3]), payload: Array(payload)))
      rest = rest.dropFirst(6 + length)
    }
    return records
  }
}

/// What a replay came to.
private struct ReplayOutcome: Equatable {
  var fault: ReplayFault?
  var position: LogPosition = 0
  var state: [StateRecord] = []
  var keys = 0
  var versionMax: UInt64 = 0
  var mark: UInt64 = 0

  init(of files: FuzzedFiles, work: Int, batchesAtOnce: Bool) {
    let store = LogSeeds.makeStore()
    var told: [StateRecord] = []
    let target = StoreReplay(into: store) { told.append($0) }
    let merge = LogMerge(
      into: target, passBegin: files.passBegin, passBytes: UInt64(files.pass.count))
    do {
      try Self.run(merge, files, work: work, batchesAtOnce: batchesAtOnce)
    } catch {
      fault = error
    }
    (position, state, keys) = (merge.position, told, store.totalKeyCount)
    versionMax = store.versionMax
    mark = Self.mark(of: store)
  }

  private static func run(
    _ merge: LogMerge, _ files: FuzzedFiles, work: Int, batchesAtOnce: Bool
  ) throws(ReplayFault) {
    var log = Source(files.log, batchesAtOnce)
    var pass = Source(files.pass, batchesAtOnce)
    while true {
      switch try merge.advance(work: min(work, 1 << 40)) {
      case .turn: continue
      case .nothing: return
      case .log:
        if let batch = log.next() { try merge.giveLog(batch) } else { merge.logEnded() }
      case .pass:
        if let batch = pass.next() { merge.givePass(batch) } else { try merge.passEnded() }
      }
    }
  }

  /// Of all keys, versions and strings, in their order.
  private static func mark(of store: Store) -> UInt64 {
    var mark: UInt64 = 0
    func add(_ bytes: UnsafeRawBufferPointer) {
      for byte in bytes { mark = (mark &+ UInt64(byte) &+ 1) &* 0x9e37_79b9_7f4a_7c15 }
    }
    var cursor = ImageCursor()
    while cursor < store.imageEnd {
      cursor = store.image(from: cursor, keys: 100, bytes: .max) { entry in
        add(entry.key)
        mark = mark &* 3 &+ entry.version &+ UInt64(bitPattern: entry.expiry.unixMillis)
        switch entry.value {
        case .bytes(let bytes): add(bytes)
        case .list(let list): list.forEach { add($0) }
        case .integer(let number): mark = mark &* 5 &+ UInt64(bitPattern: number)
        case .pinnedBytes(let pin): mark = mark &* 7 &+ UInt64(pin.count)
        case .pinnedList(let list): mark = mark &* 11 &+ UInt64(list.count)
        }
        return true
      }
    }
    return mark
  }

  /// Batches of bytes in memory.
  private struct Source {
    private let reader: BatchReader
    private var rest: ArraySlice<UInt8>
    private let step: Int

    init(_ bytes: [UInt8], _ atOnce: Bool) {
      reader = BatchReader(
        identity: LogSeeds.identity, position: 0, bytesMax: UInt64(bytes.count))
      rest = bytes[...]
      step = atOnce ? max(1, bytes.count) : 37
    }

    mutating func next() -> Batch? {
      while true {
        switch reader.next() {
        case .batch(let batch): return batch
        case .endOfLog, .bad: return nil
        case .needsMore:
          if rest.isEmpty { reader.finish() }
          Array(rest.prefix(step)).withUnsafeBytes { reader.feed($0) }
          rest = rest.dropFirst(step)
        }
      }
    }
  }
}
