// The replies of the calls, written field by field into the buffer they are sent from. Each method
// writes one whole message (or says which part); nothing is built in between. The buffer's thread.

import NIOCore

/// What a key holds: enum ValueType.
package enum ValueType: Int32, Sendable, CaseIterable {
  case none = 0
  case string = 1
  case list = 2
}

extension WireCursor {
  /// The fields of a `Value` that was found.
  @inline(__always)
  mutating func putValue(_ value: UnsafeRawBufferPointer, version: UInt64) {
    put(1, optionalBytes: value)
    put(2, varint: 1)
    put(3, optionalVarint: version)
  }
}

extension ByteBuffer {
  /// A whole `Value`: the reply of Get, LPop and RPop for a key that was found.
  package mutating func writeValue(_ value: UnsafeRawBufferPointer, version: UInt64) {
    writeFields(size: WireSize.value(count: value.count, version: version)) { cursor in
      cursor.putValue(value, version: version)
    }
  }

  /// A whole `Value` for a key that was not found: `found` is false, all else at its default.
  /// That message has no bytes; the call is here so that the code says what it answers.
  package mutating func writeMissingValue() {}

  /// A whole `Status`.
  package mutating func writeStatus(ok: Bool, count: Int64 = 0, version: UInt64 = 0) {
    writeFields(size: 2 + 11 + 11) { cursor in
      cursor.put(1, optionalVarint: ok ? 1 : 0)
      cursor.put(2, optionalVarint: UInt64(bitPattern: count))
      cursor.put(3, optionalVarint: version)
    }
  }

  /// One element of a `ListValues`. The message is: any number of these, then the end.
  package mutating func writeListValue(_ value: UnsafeRawBufferPointer) {
    writeBytesField(1, value)
  }

  /// The fields behind the elements of a `ListValues`.
  ///
  /// - Parameters:
  ///   - length: of the whole list, not of the range.
  ///   - firstIndex: the index in the list of the first element written.
  package mutating func writeListValuesEnd(found: Bool, length: Int64, firstIndex: Int64) {
    writeFields(size: 2 + 11 + 11) { cursor in
      cursor.put(2, optionalVarint: found ? 1 : 0)
      cursor.put(3, optionalVarint: UInt64(bitPattern: length))
      cursor.put(4, optionalVarint: UInt64(bitPattern: firstIndex))
    }
  }

  /// A whole `TypeResponse`.
  package mutating func writeTypeResponse(_ type: ValueType) {
    writeOptionalIntField(1, Int64(type.rawValue))
  }

  /// A whole `IncrByResponse`.
  package mutating func writeIncrByResponse(value: Int64, version: UInt64) {
    writeFields(size: 11 + 11) { cursor in
      cursor.put(1, optionalVarint: zigZag(value))
      cursor.put(2, optionalVarint: version)
    }
  }

  /// One key of a `KeysResponse`. The message is: any number of these, then the end.
  package mutating func writeKeysKey(_ key: UnsafeRawBufferPointer) {
    writeBytesField(1, key)
  }

  /// The fields behind the keys of a `KeysResponse`; an empty token: there are no more.
  package mutating func writeKeysEnd(
    nextPageToken: UnsafeRawBufferPointer, unreachable: [CallError] = []
  ) {
    writeOptionalBytesField(2, nextPageToken)
    for error in unreachable { writeError(3, error) }
  }

  /// One key of a `ScanPage`. The message is: any number of these, then the end.
  package mutating func writeScanKey(_ key: UnsafeRawBufferPointer) {
    writeBytesField(1, key)
  }

  /// The fields behind the keys of a `ScanPage`.
  ///
  /// - Parameter slotsDone: how many of the 16,384 slots the scan is through with.
  package mutating func writeScanPageEnd(
    resumeToken: UnsafeRawBufferPointer, slotsDone: UInt32, unreachable: [CallError] = []
  ) {
    writeOptionalBytesField(2, resumeToken)
    writeOptionalVarintField(3, UInt64(slotsDone))
    for error in unreachable { writeError(4, error) }
  }

  /// One entry of a `StatsResponse`, whose only field is a map. The message is any number of these,
  /// each with its own name.
  package mutating func writeStatsCounter(_ name: String, _ value: Int64) {
    let mark = beginLengthDelimited(1, sizeHint: name.utf8.count + 13)
    writeOptionalStringField(1, name)
    writeOptionalIntField(2, value)
    endLengthDelimited(mark)
  }

  /// A whole `DbSizeResponse`.
  package mutating func writeDbSizeResponse(keys: Int64, unreachable: [CallError] = []) {
    writeOptionalIntField(1, keys)
    for error in unreachable { writeError(2, error) }
  }

  /// A whole `ResetResponse`.
  package mutating func writeResetResponse(keysRemoved: Int64) {
    writeOptionalIntField(1, keysRemoved)
  }

  /// A field that holds message `Error`: one item's or one shard's failure in a reply that is OK.
  package mutating func writeError(_ field: Int, _ error: CallError) {
    let mark = beginLengthDelimited(field, sizeHint: 64)
    writeOptionalIntField(1, Int64(error.code.rawValue))
    writeOptionalStringField(2, error.message)
    writeOptionalStringField(3, error.reason?.rawValue ?? "")
    writeOptionalStringField(4, error.shard ?? "")
    endLengthDelimited(mark)
  }
}
