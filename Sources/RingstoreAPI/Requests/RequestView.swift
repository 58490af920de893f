// What all request views share. A view is a decoded request whose byte fields are slices of the
// message: nothing is copied, and nothing outlives the buffer that was lent. Any thread.
//
// The rules are protobuf's: fields in any order, the last value of a repeated singular field wins,
// absent fields have their default, unknown fields and groups are skipped. Routers and shards read
// with these types only, so both see the same key in the same bytes.

/// A request read in place.
package protocol RequestView {
  /// - Throws: `WireError` where the bytes are no protobuf message. O(number of fields).
  init(_ message: UnsafeRawBufferPointer) throws(WireError)

  /// The message carries a field, at any level, that this version does not know. A write that does
  /// is refused (UNKNOWN_FIELD), because the field might be a condition.
  var hasUnknownField: Bool { get }

  /// The contract's name of a field that was set and that this version does not serve yet; such a
  /// call is refused, never carried out without it.
  var unservedField: String? { get }
}

/// Nothing, in the form of borrowed bytes: the default of a bytes field.
package var noBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
