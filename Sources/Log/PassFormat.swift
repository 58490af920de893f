// The format of a pass's records.
//
//   pass begin = begin:u64 count:varint (type:u8 length:varint payload)*      state as it is there
//   image      = asOf:u64 from:cursor item* 255:u8 to:cursor
//   cursor     = slot:u16 database:varint hash:u64 keyLength:varint key
//   item       = 0:u8 slot:u16 database:varint keys:u32   the items behind it are of this table
//              | kind:u8 version:u64 clock:u32 [expiry:i64] keyLength:varint key value
//   kind       = 1 bytes, 2 integer, 3 list, 4 list in parts; and 128 where the key expires
//   value      = length:varint bytes | number:i64 | count:varint element* | count:varint
//   element    = length:varint bytes
//   image part = asOf:u64 slot:u16 database:varint keyLength:varint key first:varint element*
//   pass end   = lastAsOf:u64 images:u64 keys:u64
//
// `keys` is the table's number of keys if the image has it from its beginning, else 0. The elements
// of a list in parts are in image parts, in batches before the image's, with the same asOf; `first`
// is the index of a part's first element.

import Store

enum PassFormat {
  static let section: UInt8 = 0
  static let imageEnd: UInt8 = 255
  static let expires: UInt8 = 128

  enum Kind: UInt8 {
    case bytes = 1
    case integer = 2
    case list = 3
    case listInParts = 4
  }

  static let sectionBytesMax = 1 + 2 + ByteWriter.varintBytesMax + 4
  /// The minimum size of a key: kind, version, clock, length and a value of a byte.
  static let keyBytesMin = 15
  /// Of an item except for its key and value.
  static let itemBytesMax = 1 + 8 + 4 + 8 + ByteWriter.varintBytesMax

  static func cursorBytesMax(_ cursor: ImageCursor) -> Int {
    2 + 8 + 2 * ByteWriter.varintBytesMax + cursor.key.count
  }
}

extension ByteWriter {
  mutating func write(_ cursor: ImageCursor) {
    write(UInt16(truncatingIfNeeded: cursor.slot))
    writeVarint(cursor.database)
    write(cursor.hash)
    cursor.key.withUnsafeBytes { writeCounted($0) }
  }
}

extension ByteReader {
  mutating func readCursor() throws(LogDefect) -> ImageCursor {
    let (slot, database) = (Int(try read(UInt16.self)), try readCount())
    // So that one more is a number as well.
    guard database < .max else { throw .badNumber }
    return ImageCursor(
      slot: slot, database: database, hash: try read(UInt64.self), key: Array(try readCounted()))
  }
}

/// The beginning of a pass.
struct PassBegin {
  let begin: LogPosition
  let state: [StateRecord]

  init(_ payload: UnsafeRawBufferPointer) throws(LogDefect) {
    var reader = ByteReader(payload)
    begin = try reader.read(UInt64.self)
    let count = try reader.readCount()
    guard count <= reader.rest.count else { throw .cutShort }
    var state: [StateRecord] = []
    for _ in 0..<count {
      let type = try reader.read(UInt8.self)
      let payload = try reader.readCounted()
      guard let known = RecordType(rawValue: type) else { throw .unknownRecord(type: type) }
      guard let record = try StateRecord(type: known, payload: payload) else { throw .badField }
      state.append(record)
    }
    try reader.expectEnd()
    self.state = state
  }

  static func write(_ begin: LogPosition, _ state: [StateRecord], to buffer: inout PieceBuffer) {
    let bytes = state.reduce(8 + ByteWriter.varintBytesMax) {
      $0 + 1 + ByteWriter.countedBytesMax($1.payloadCount)
    }
    var writer = ByteWriter(buffer.room(bytes))
    writer.write(begin)
    writer.writeVarint(state.count)
    for record in state {
      writer.write(record.type.rawValue)
      writer.writeVarint(record.payloadCount)
      record.write(to: &writer)
    }
    buffer.wrote(upTo: writer.end)
  }
}

/// The end of a pass: the counts that must have been read by then.
struct PassEnd: Equatable {
  var lastAsOf: LogPosition
  var images: UInt64
  var keys: UInt64

  init(lastAsOf: LogPosition, images: UInt64, keys: UInt64) {
    self.lastAsOf = lastAsOf
    self.images = images
    self.keys = keys
  }

  init(_ payload: UnsafeRawBufferPointer) throws(LogDefect) {
    var reader = ByteReader(payload)
    lastAsOf = try reader.read(UInt64.self)
    images = try reader.read(UInt64.self)
    keys = try reader.read(UInt64.self)
    try reader.expectEnd()
  }

  func write(to buffer: inout PieceBuffer) {
    var writer = ByteWriter(buffer.room(24))
    writer.write(lastAsOf)
    writer.write(images)
    writer.write(keys)
    buffer.wrote(upTo: writer.end)
  }
}
