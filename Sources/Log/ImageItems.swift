// The items of an image (PassFormat.swift has the grammar): written as the store hands out its
// keys, and read one after another.

import Store

extension PieceBuffer {
  /// The table of the following items; its number of keys is written later.
  /// - Returns: the place of that number.
  mutating func writeSection(slot: Int, database: Int) -> Int {
    var writer = ByteWriter(room(PassFormat.sectionBytesMax))
    writer.write(PassFormat.section)
    writer.write(UInt16(slot))
    writer.writeVarint(database)
    wrote(upTo: writer.end)
    let place = count
    skip(4)
    address(place).storeBytes(of: 0, as: UInt32.self)
    return place
  }

  mutating func write(_ entry: ImageEntry) {
    switch entry.value {
    case .bytes(let bytes):
      var writer = head(.bytes, entry, valueBytes: ByteWriter.countedBytesMax(bytes.count))
      writer.writeCounted(bytes)
      wrote(upTo: writer.end)
    case .integer(let number):
      var writer = head(.integer, entry, valueBytes: 8)
      writer.write(number)
      wrote(upTo: writer.end)
    case .list(let elements):
      let bytes = elements.byteCount + (elements.count + 1) * ByteWriter.varintBytesMax
      var writer = head(.list, entry, valueBytes: bytes)
      writer.writeVarint(elements.count)
      elements.forEach { writer.writeCounted($0) }
      wrote(upTo: writer.end)
    case .pinnedBytes(let pin):
      var writer = head(.bytes, entry, valueBytes: ByteWriter.varintBytesMax)
      writer.writeVarint(pin.count)
      wrote(upTo: writer.end)
      pin.withBytes(0..<pin.count) { insert($0) }
    case .pinnedList(let list):
      var writer = head(.listInParts, entry, valueBytes: ByteWriter.varintBytesMax)
      writer.writeVarint(list.count)
      wrote(upTo: writer.end)
    }
  }

  private mutating func head(
    _ kind: PassFormat.Kind, _ entry: ImageEntry, valueBytes: Int
  ) -> ByteWriter {
    var writer = ByteWriter(room(PassFormat.itemBytesMax + entry.key.count + valueBytes))
    let expires = entry.expiry != .never
    writer.write(kind.rawValue | (expires ? PassFormat.expires : 0))
    writer.write(entry.version)
    writer.write(entry.accessClock)
    if expires { writer.write(entry.expiry.unixMillis) }
    writer.writeCounted(entry.key)
    return writer
  }
}

/// A key of an image, and its table.
package struct ReplayKey {
  package internal(set) var slot: Int
  package var database: Int
  package internal(set) var key: UnsafeRawBufferPointer
  package internal(set) var version: UInt64 = 0
  package internal(set) var expiry = Expiry.never
  package internal(set) var accessClock: UInt32 = 0
}

/// The items of an image, one after another. Borrowed bytes.
enum ImageItem {
  case section(slot: Int, database: Int, keys: Int)
  case key(ReplayKey, ImageValue)
  case end(ImageCursor)
}

enum ImageValue {
  case bytes(UnsafeRawBufferPointer)
  case integer(Int64)
  /// This many elements follow: read them with `nextElement`.
  case list(count: Int)
  case listInParts(count: Int)
}

struct ImageReader {
  let asOf: LogPosition
  let from: ImageCursor
  private var reader: ByteReader
  private var table: (slot: Int, database: Int)?
  private var elementsLeft = 0

  init(_ payload: UnsafeRawBufferPointer) throws(LogDefect) {
    var reader = ByteReader(payload)
    asOf = try reader.read(UInt64.self)
    from = try reader.readCursor()
    self.reader = reader
  }

  /// The next item; the elements of a list must have been read.
  mutating func next() throws(LogDefect) -> ImageItem {
    precondition(elementsLeft == 0)
    let kind = try reader.read(UInt8.self)
    switch kind {
    case PassFormat.section:
      let (slot, database) = (Int(try reader.read(UInt16.self)), try reader.readCount())
      table = (slot, database)
      return .section(slot: slot, database: database, keys: Int(try reader.read(UInt32.self)))
    case PassFormat.imageEnd:
      let cursor = try reader.readCursor()
      try reader.expectEnd()
      return .end(cursor)
    default:
      return try readKey(kind)
    }
  }

  private mutating func readKey(_ kind: UInt8) throws(LogDefect) -> ImageItem {
    guard let table, let known = PassFormat.Kind(rawValue: kind & ~PassFormat.expires) else {
      throw .badField
    }
    let version = try reader.read(UInt64.self)
    let clock = try reader.read(UInt32.self)
    let expiry = kind & PassFormat.expires != 0 ? try reader.readExpiry() : .never
    let key = ReplayKey(
      slot: table.slot, database: table.database, key: try reader.readCounted(),
      version: version, expiry: expiry, accessClock: clock)
    switch known {
    case .bytes: return .key(key, .bytes(try reader.readCounted()))
    case .integer: return .key(key, .integer(try reader.read(Int64.self)))
    case .list:
      elementsLeft = try reader.readCount()
      guard elementsLeft > 0 else { throw .badField }
      return .key(key, .list(count: elementsLeft))
    case .listInParts: return .key(key, .listInParts(count: try reader.readCount()))
    }
  }

  mutating func nextElement() throws(LogDefect) -> UnsafeRawBufferPointer? {
    guard elementsLeft > 0 else { return nil }
    elementsLeft -= 1
    return try reader.readCounted()
  }
}

/// Elements of a list that is longer than one record should be.
struct ImagePart {
  let asOf: LogPosition
  let key: ReplayKey
  /// Index of the first element.
  let first: Int
  private var reader: ByteReader

  init(_ payload: UnsafeRawBufferPointer) throws(LogDefect) {
    var reader = ByteReader(payload)
    asOf = try reader.read(UInt64.self)
    let (slot, database) = (Int(try reader.read(UInt16.self)), try reader.readCount())
    key = ReplayKey(slot: slot, database: database, key: try reader.readCounted())
    first = try reader.readCount()
    self.reader = reader
  }

  mutating func nextElement() throws(LogDefect) -> UnsafeRawBufferPointer? {
    reader.isAtEnd ? nil : try reader.readCounted()
  }
}
