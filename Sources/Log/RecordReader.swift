// Reads records part by part, for tools that show a log: their form is checked, nothing is applied.
// Replay has its own readers, with the same grammar.
//
// Owns the arrays that effects borrow. One thread.

import Store

/// A part of a record. Bytes are borrowed: valid until the called closure returns.
package enum RecordPart {
  case effect(Effect)
  case state(StateRecord)
  case passBegin(LogPosition, state: [StateRecord])
  case image(asOf: LogPosition, from: ImageCursor)
  /// The following keys are of this table. `keys` is their number if it is known, else 0.
  case table(slot: Int, database: Int, keys: Int)
  /// The elements of a complete list follow; those of a list in parts came before.
  case key(ReplayKey, ReplayValue)
  case imageEnd(ImageCursor)
  /// Elements of a long list, the first of which has this index, follow.
  case listPart(asOf: LogPosition, ReplayKey, first: Int)
  case element(UnsafeRawBufferPointer)
  case passEnd(lastAsOf: LogPosition, images: UInt64, keys: UInt64)
  /// A newer version has written it, and it may be passed over.
  case unknown(type: UInt8)
}

package final class RecordReader {
  private let effects = EffectReader()

  package init() {}

  /// Hands over the parts of a record in order.
  package func forEach(in record: Record, _ body: (RecordPart) -> Void) throws(LogDefect) {
    guard let type = try record.knownType() else { return body(.unknown(type: record.type)) }
    switch type {
    case .group: try readGroup(record, body)
    case .slotMap, .slotState, .versionCeiling, .newLife, .cleanStop:
      if let state = try StateRecord(type: type, payload: record.payload) { body(.state(state)) }
    case .passBegin:
      let begin = try PassBegin(record.payload)
      body(.passBegin(begin.begin, state: begin.state))
    case .image: try readImage(record.payload, body)
    case .imagePart: try readPart(record.payload, body)
    case .passEnd:
      let end = try PassEnd(record.payload)
      body(.passEnd(lastAsOf: end.lastAsOf, images: end.images, keys: end.keys))
    }
  }

  private func readGroup(_ record: Record, _ body: (RecordPart) -> Void) throws(LogDefect) {
    guard record.slot != BatchFormat.noSlot else { throw .badField }
    var reader = ByteReader(record.payload)
    repeat {
      body(.effect(try effects.next(&reader, slot: Int(record.slot))))
    } while !reader.isAtEnd
  }

  private func readImage(
    _ payload: UnsafeRawBufferPointer, _ body: (RecordPart) -> Void
  ) throws(LogDefect) {
    var image = try ImageReader(payload)
    body(.image(asOf: image.asOf, from: image.from))
    while true {
      switch try image.next() {
      case .section(let slot, let database, let keys):
        body(.table(slot: slot, database: database, keys: keys))
      case .key(let key, .bytes(let bytes)): body(.key(key, .bytes(bytes)))
      case .key(let key, .integer(let number)): body(.key(key, .integer(number)))
      case .key(let key, .listInParts(let count)):
        body(.key(key, .list(count: count, .inParts)))
      case .key(let key, .list(let count)):
        body(.key(key, .list(count: count, .whole)))
        while let element = try image.nextElement() { body(.element(element)) }
      case .end(let cursor): return body(.imageEnd(cursor))
      }
    }
  }

  private func readPart(
    _ payload: UnsafeRawBufferPointer, _ body: (RecordPart) -> Void
  ) throws(LogDefect) {
    var part = try ImagePart(payload)
    body(.listPart(asOf: part.asOf, part.key, first: part.first))
    while let element = try part.nextElement() { body(.element(element)) }
  }
}
