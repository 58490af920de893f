// An effect in bytes.
//
//   effect = change:u8 database:varint version:u64 keyLength:varint key, and for each change:
//     1 put            length:varint value
//     2 put, expires   expiry:i64 length:varint value
//     3 put integer    number:i64
//     4 put integer, expires   expiry:i64 number:i64
//     5 write          lengthBefore:varint offset:varint length:varint bytes
//     6 expire         expiry:i64
//     7 persist        (it doesn't expire any more)
//     8 delete
//     9 insert at the head, 10 at the tail  lengthBefore:varint count:varint (length:varint value)+
//     11 insert within lengthBefore:varint before:varint length:varint value
//     12 remove at the head, 13 at the tail  lengthBefore:varint count:varint
//     14 remove each   lengthBefore:varint count:varint first:varint (distance to the next - 1)*
//     15 keep          lengthBefore:varint first:varint count:varint
//     16 set element   lengthBefore:varint index:varint length:varint value
//     17 empty         (keyLength is 0)
//
// The slot is in the header of the record. Times are milliseconds since 1970.

import Store

enum ChangeCode: UInt8, CaseIterable {
  case put = 1
  case putExpiring = 2
  case putInteger = 3
  case putIntegerExpiring = 4
  case write = 5
  case expire = 6
  case persist = 7
  case delete = 8
  case insertAtHead = 9
  case insertAtTail = 10
  case insertWithin = 11
  case removeAtHead = 12
  case removeAtTail = 13
  case removeEach = 14
  case keep = 15
  case setElement = 16
  case empty = 17
}

extension Effect {
  /// `Expiry.never`, visible to the compiler: every put checks it.
  @inline(__always)
  private static var neverMillis: Int64 { .max }

  /// The maximum encoded size of the effect. O(1) except for lists of values.
  @inline(__always)
  var encodedBytesMax: Int {
    // Change, database, version, length of the key; and up to four numbers of the change.
    let fixed = 1 &+ 8 &+ 6 &* ByteWriter.varintBytesMax
    return switch change {
    case .put(.bytes(let value), _): fixed &+ key.count &+ value.count
    case .put(.integer, _), .expire, .delete, .remove, .keep, .empty: fixed &+ key.count
    default: fixed &+ key.count &+ bytesMaxOfLongChange
    }
  }

  @inline(never)
  private var bytesMaxOfLongChange: Int {
    switch change {
    case .write(let bytes, _, _): bytes.count
    case .insert(let values, _, _):
      values.reduce(0) { $0 + ByteWriter.countedBytesMax($1.count) }
    case .insertWithin(let value, _, _), .setElement(let value, _, _): value.count
    case .removeEach(let indices, _): indices.count * ByteWriter.varintBytesMax
    case .put, .expire, .delete, .remove, .keep, .empty: 0
    }
  }

  /// Writes the effect; there is space for `encodedBytesMax`.
  @inline(__always)
  func write(to writer: inout ByteWriter) {
    switch change {
    case .put(.bytes(let value), let expiry):
      writeHead(expiry.unixMillis == Self.neverMillis ? .put : .putExpiring, &writer)
      if expiry.unixMillis != Self.neverMillis { writer.write(expiry.unixMillis) }
      writer.writeCounted(value)
    case .put(.integer(let number), let expiry):
      writeHead(expiry.unixMillis == Self.neverMillis ? .putInteger : .putIntegerExpiring, &writer)
      if expiry.unixMillis != Self.neverMillis { writer.write(expiry.unixMillis) }
      writer.write(number)
    case .delete:
      writeHead(.delete, &writer)
    case .expire(let expiry):
      writeHead(expiry.unixMillis == Self.neverMillis ? .persist : .expire, &writer)
      if expiry.unixMillis != Self.neverMillis { writer.write(expiry.unixMillis) }
    case .empty:
      writeHead(.empty, &writer)
    default:
      writeLongChange(to: &writer)
    }
  }

  @inline(__always)
  private func writeHead(_ code: ChangeCode, _ writer: inout ByteWriter) {
    writer.write(code.rawValue)
    writer.writeVarint(database)
    writer.write(version)
    writer.writeCounted(key)
  }

  private func writeHead(_ code: ChangeCode, lengthBefore: Int, _ writer: inout ByteWriter) {
    writeHead(code, &writer)
    writer.writeVarint(lengthBefore)
  }

  @inline(never)
  private func writeLongChange(to writer: inout ByteWriter) {
    switch change {
    case .write(let bytes, let offset, let lengthBefore):
      writeHead(.write, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(offset)
      writer.writeCounted(bytes)
    case .insert(let values, let end, let lengthBefore):
      writeHead(end == .head ? .insertAtHead : .insertAtTail, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(values.count)
      for value in values { writer.writeCounted(value) }
    case .insertWithin(let value, let before, let lengthBefore):
      writeHead(.insertWithin, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(before)
      writer.writeCounted(value)
    case .remove(let count, let end, let lengthBefore):
      writeHead(end == .head ? .removeAtHead : .removeAtTail, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(count)
    case .removeEach(let indices, let lengthBefore):
      writeHead(.removeEach, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(indices.count)
      var next = 0
      for index in indices {
        writer.writeVarint(index &- next)
        next = index &+ 1
      }
    case .keep(let range, let lengthBefore):
      writeHead(.keep, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(range.lowerBound)
      writer.writeVarint(range.count)
    case .setElement(let value, let index, let lengthBefore):
      writeHead(.setElement, lengthBefore: lengthBefore, &writer)
      writer.writeVarint(index)
      writer.writeCounted(value)
    case .put, .delete, .expire, .empty:
      preconditionFailure("written where it is short")
    }
  }
}
