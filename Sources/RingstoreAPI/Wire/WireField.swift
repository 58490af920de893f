// The fields of messages as constants, for code that writes a message field by field:
// deploy/generate makes one for each field (`V1.ListValues.Field.values`), so no number is written
// by hand. The type gives the encoding of the value.

/// A `bytes`, `string` or message field.
package struct BytesField: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `uint32` or `uint64` field.
package struct UIntField: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// An `int32`, `int64` or enum field: negative numbers take ten bytes.
package struct IntField: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `sint32` or `sint64` field.
package struct SIntField: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `bool` field.
package struct BoolField: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}

/// A `fixed64` or `double` field.
package struct Fixed64Field: Hashable, Sendable {
  package let number: Int

  @inlinable
  package init(_ number: Int) { self.number = number }
}
