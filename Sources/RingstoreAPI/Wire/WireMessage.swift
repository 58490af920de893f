// What all generated messages share. A message is read in place: its byte fields are slices of the
// borrowed bytes, nothing is copied, and nothing outlives them. It can also be made from fields,
// slices of other memory, and is written in place. So rooms pass these types to one another.
// Values; any thread.
//
// The rules are protobuf's: fields in any order, the last value of a repeated singular field wins,
// an embedded message that occurs twice is merged, absent fields have their default, unknown fields
// and groups are skipped and reported. deploy/generate writes the types, into Generated.

import NIOCore

@usableFromInline
package protocol WireMessage: SendableMetatype {
  /// The message's full name in its .proto.
  static var name: String { get }

  /// A message with no field set.
  init()

  /// - Throws: `WireError` if the bytes are no such message. O(number of fields).
  init(_ message: UnsafeRawBufferPointer) throws(WireError)

  /// The message has a field, at any level, that this version does not have. A write with such a
  /// field is refused (UNKNOWN_FIELD), because the field might be a condition.
  var hasUnknownField: Bool { get }

  /// The contract's name of a field that was set and that this version does not serve yet; such a
  /// call is refused, never executed without it. deploy/codec/unserved.txt lists these fields.
  var unservedField: String? { get }

  /// Bytes of the encoded message. O(number of fields).
  var byteCount: Int { get }

  /// Writes the message into `byteCount` reserved bytes.
  func write(to cursor: inout WireCursor)

  /// Appends the message. One capacity check.
  func write(into buffer: inout ByteBuffer)
}

extension WireMessage {
  @inlinable
  package var unservedField: String? { nil }
}

/// The request of a call on one key.
@usableFromInline
package protocol KeyedMessage: WireMessage {
  static var keyFields: KeyFields { get }
  var key: UnsafeRawBufferPointer { get }
  var database: UInt32 { get }
  /// The field of the request that says how long the call may wait for a value; nil: it never
  /// waits.
  static var waitField: WaitField? { get }
  /// How long that is, in milliseconds.
  var waitMillis: UInt32 { get }
  /// Whether the key counts as used by the call, for idle times and eviction.
  static var usesKey: Bool { get }
}

extension KeyedMessage {
  @inlinable
  package static var usesKey: Bool { true }
  @inlinable
  package static var waitField: WaitField? { nil }
  @inlinable
  package var waitMillis: UInt32 { 0 }
}

extension V1.InspectRequest {
  @inlinable
  package static var usesKey: Bool { false }
}

/// An enum of the contract. Open, as protobuf has it: a newer peer may send numbers without a name.
@usableFromInline
package protocol WireEnum: RawRepresentable, Hashable, Sendable, CaseIterable,
  CustomStringConvertible
where RawValue == Int32 {
  init(rawValue: Int32)
}

extension WireEnum {
  /// Whether the contract has a name for the number.
  package var isKnown: Bool { Self.allCases.contains { $0 == self } }
}

/// Nothing, in the form of borrowed bytes: the default of a bytes field.
@inlinable
package var noBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
