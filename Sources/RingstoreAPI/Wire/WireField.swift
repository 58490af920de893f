// The fields of messages as constants, for code that writes a message field by field:
// deploy/generate makes one for each field (`V1.ListValues.Field.values`), so no number is written
// by hand. The type gives the encoding of the value.

/// A `bytes`, `string` or message field.
@usableFromInline
package struct BytesField: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `uint32` or `uint64` field.
@usableFromInline
package struct UIntField: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// An `int32`, `int64` or enum field: negative numbers take ten bytes.
@usableFromInline
package struct IntField: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `sint32` or `sint64` field.
@usableFromInline
package struct SIntField: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `bool` field.
@usableFromInline
package struct BoolField: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `fixed64` or `double` field.
@usableFromInline
package struct Fixed64Field: Hashable, Sendable {
  @usableFromInline package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}
