// The lines that a batch is shown as. One thread.

import Log
import LogFiles
import Placement
import Store
import TextForms

package struct LogLines {
  package struct Line: Sendable, Equatable {
    /// Its depth: a batch, a record, a part of it.
    let depth: Int
    let fields: LogFields
    /// In JSON: of which batch and record it is.
    let place: [JSONValue.Member]

    package var text: String { String(repeating: "  ", count: depth) + fields.text }
    package var json: JSONValue { .object(place + fields.members) }
  }

  private let key: [UInt8]?
  private let slot: Int?
  private let database: Int?
  private let short: LogShortening
  private let reader = RecordReader()
  /// Whether the key of an image whose elements follow is shown.
  private var showsElements = false
  /// Why the last batch could be read in part only.
  package private(set) var defect: LogDefect?

  package init(key: [UInt8]? = nil, database: Int? = nil) {
    self.init(key: key, database: database, short: LogShortening())
  }

  init(key: [UInt8]?, database: Int?, short: LogShortening) {
    self.key = key
    slot = key.map { key in key.withUnsafeBytes { Slots.slot(of: $0) } }
    self.database = database
    self.short = short
  }

  /// - Returns: empty if nothing in the batch is selected.
  package mutating func lines(of batch: Batch, in file: LogFile) -> [Line] {
    let position = JSONValue.integer(Int64(bitPattern: batch.position & ~(1 << 63)))
    let offset = Int64(clamping: file.offset(of: batch.position))
    let head = LogFields(
      ("batch", file.name.text),
      [
        ("offset", .integer(offset)), ("length", .init(batch.bytes.count)),
        ("life", .init(bits: batch.life)), ("epoch", .init(batch.epoch)),
        ("committed", .init(batch.committed)),
      ])
    var lines: [Line] = []
    var number: Int64 = 0
    for record in batch.records {
      let place: [JSONValue.Member] = [
        .init("position", position), .init("record", .integer(number)),
      ]
      number += 1
      lines += self.lines(of: record, place)
      if defect != nil { break }
    }
    if lines.isEmpty, isFiltered, defect == nil { return [] }
    var first = head
    first.fields.insert(("position", .init(batch.position & ~(1 << 63))), at: 0)
    return [Line(depth: 0, fields: first, place: [])] + lines
  }

  private mutating func lines(of record: Record, _ place: [JSONValue.Member]) -> [Line] {
    var head = LogFields(("type", RecordType.name(of: record.type)))
    if record.slot != BatchFormat.noSlot { head.fields.append(("slot", .init(Int(record.slot)))) }
    var parts: [Line] = []
    var isWanted = !isFiltered
    do throws(LogDefect) {
      try reader.forEach(in: record) { part in
        if let fields = ofRecord(part) {
          head.fields += fields
          isWanted = isWanted || showsElements
        } else if let fields = fields(of: part) {
          parts.append(Line(depth: 2, fields: fields, place: place))
        }
      }
    } catch {
      defect = error
    }
    if parts.isEmpty, !isWanted, defect == nil { return [] }
    return [Line(depth: 1, fields: head, place: place)] + parts
  }

  private var isFiltered: Bool { key != nil || database != nil }

  /// The part's text for the record as a whole; nil: it has its own line.
  private mutating func ofRecord(_ part: RecordPart) -> [LogFields.Field]? {
    showsElements = showsElements && part.isElement
    switch part {
    case .state(let state): return state.fields
    case .passBegin(let begin, let state):
      return [("begin", .init(begin)), ("state", .list(state.map { .word($0.name) }))]
    case .image(let asOf, let from): return [("as_of", .init(asOf))] + LogFields.fields(of: from)
    case .listPart(let asOf, let key, let first):
      showsElements = isWanted(key)
      return [("as_of", .init(asOf))] + LogFields.place(of: key, short) + [("first", .init(first))]
    case .passEnd(let lastAsOf, let images, let keys):
      return [("last_as_of", .init(lastAsOf)), ("images", .init(images)), ("keys", .init(keys))]
    case .effect, .key, .table, .imageEnd, .element, .unknown: return nil
    }
  }

  private mutating func fields(of part: RecordPart) -> LogFields? {
    switch part {
    case .effect(let effect): return isWanted(effect) ? LogFields(effect, short) : nil
    case .key(let key, let value):
      showsElements = isWanted(key)
      return showsElements ? LogFields(key, value, short) : nil
    case .element(let bytes):
      guard showsElements else { return nil }
      return LogFields(("image", "element"), [("value", .init(bytes, first: short.bytesMax))])
    case .table(let slot, let database, let keys):
      guard !isFiltered else { return nil }
      return LogFields(
        ("image", "table"),
        [("slot", .init(slot)), ("database", .init(database)), ("keys", .init(keys))])
    case .imageEnd(let to):
      return isFiltered ? nil : LogFields(("image", "end"), LogFields.fields(of: to))
    case .unknown, .state, .passBegin, .image, .listPart, .passEnd: return nil
    }
  }

  private func isWanted(_ effect: Effect) -> Bool {
    if let database, database != effect.database { return false }
    guard let key else { return true }
    if case .empty = effect.change { return effect.slot == slot }
    return effect.key.elementsEqual(key)
  }

  private func isWanted(_ key: ReplayKey) -> Bool {
    if let database, database != key.database { return false }
    return self.key.map { key.key.elementsEqual($0) } ?? true
  }
}

extension RecordPart {
  fileprivate var isElement: Bool { if case .element = self { true } else { false } }
}
