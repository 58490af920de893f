// The sizes of the parts of a protobuf message: with them a writer can reserve once and write a
// length before its contents. Pure arithmetic; any thread.

package enum WireSize {
  /// Bytes of `value` as a varint: 1...10.
  @inline(__always)
  package static func varint(_ value: UInt64) -> Int {
    let bits = 64 &- (value | 1).leadingZeroBitCount
    return (bits &* 9 &+ 64) >> 6
  }

  @inline(__always)
  package static func tag(_ field: Int) -> Int {
    varint(UInt64(truncatingIfNeeded: field) &<< 3)
  }

  /// Tag, length and contents of a bytes field with `count` bytes in it.
  @inline(__always)
  package static func bytesField(_ field: Int, count: Int) -> Int {
    tag(field) &+ varint(UInt64(truncatingIfNeeded: count)) &+ count
  }

  /// Like `bytesField`, but nothing for an empty value: proto3 leaves a default out.
  @inline(__always)
  package static func optionalBytesField(_ field: Int, count: Int) -> Int {
    count == 0 ? 0 : bytesField(field, count: count)
  }

  /// Tag and value of a varint field, or nothing for 0.
  @inline(__always)
  package static func optionalVarintField(_ field: Int, _ value: UInt64) -> Int {
    value == 0 ? 0 : tag(field) &+ varint(value)
  }

  /// Tag and value of a varint field.
  @inline(__always)
  package static func varintField(_ field: Int, _ value: UInt64) -> Int {
    tag(field) &+ varint(value)
  }

  /// Tag and value of a fixed64 field, or nothing for 0.
  @inline(__always)
  static func optionalFixed64Field(_ field: Int, _ value: UInt64) -> Int {
    value == 0 ? 0 : tag(field) &+ 8
  }
}

/// The mapping of `sint64`: small numbers of either sign get short varints.
package func zigZag(_ value: Int64) -> UInt64 {
  UInt64(bitPattern: (value &<< 1) ^ (value >> 63))
}
