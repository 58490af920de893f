// A list of header fields in one flat piece of memory: received blocks are written here by the
// HPACK decoder's callbacks, blocks to be sent are built here. Owned by a stream or by the
// builder of a request; one thread (the connection's event loop). Cleared and reused, never shared.

import TextForms

/// An ordered list of header fields, flat and reusable.
///
/// Names are lower case, as HTTP/2 requires. Every pointer returned is valid until the next change
/// of the block.
@usableFromInline
package final class HeaderBlock {
  @usableFromInline let storage: UnsafeMutablePointer<HeaderStorage>

  /// Makes an empty block.
  package init() {
    storage = .allocate(capacity: 1)
    storage.initialize(to: HeaderStorage())
  }

  deinit {
    storage.pointee.destroy()
    storage.deallocate()
  }

  /// The number of fields.
  @inlinable
  package var count: Int { storage.pointee.count }

  /// The block's size as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 section 6.5.2).
  package var listBytes: Int { storage.pointee.used + 32 * storage.pointee.count }

  /// Removes every field; keeps the memory up to a small limit.
  package func removeAll() {
    storage.pointee.removeAll()
  }

  /// Keeps the first `count` fields. With a request's constant fields in front, this makes the
  /// block ready for the next request.
  package func truncate(to count: Int) {
    storage.pointee.truncate(to: count)
  }

  /// Adds a field. Give `indexed: false` for values that differ from call to call: they would push
  /// the lasting ones out of the peer's table.
  package func append(
    name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, indexed: Bool = true
  ) {
    storage.pointee.append(
      name.baseAddress, name.count, value.baseAddress, value.count, indexed: indexed)
  }

  /// Adds a field whose name is a literal.
  package func append(
    _ name: StaticString, value: UnsafeRawBufferPointer, indexed: Bool = true
  ) {
    append(name: name.bytes, value: value, indexed: indexed)
  }

  /// Adds a field from text. Not for the hot path.
  package func append(_ name: String, _ value: String, indexed: Bool = true) {
    Array(name.utf8).withUnsafeBytes { name in
      Array(value.utf8).withUnsafeBytes { value in
        append(name: name, value: value, indexed: indexed)
      }
    }
  }

  /// Adds every field of another block.
  package func append(contentsOf other: HeaderBlock) {
    for index in 0..<other.count {
      append(
        name: other.name(at: index), value: other.value(at: index),
        indexed: other.isIndexed(at: index))
    }
  }

  /// The name of the field at `index`, which must be below `count`.
  @inlinable
  package func name(at index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < count, "no such field")
    let field = storage.pointee.fields[index]
    return UnsafeRawBufferPointer(
      start: storage.pointee.bytes + Int(field.nameOffset), count: Int(field.nameLength))
  }

  /// The value of the field at `index`, which must be below `count`.
  @inlinable
  package func value(at index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < count, "no such field")
    let field = storage.pointee.fields[index]
    return UnsafeRawBufferPointer(
      start: storage.pointee.bytes + Int(field.nameOffset) + Int(field.nameLength),
      count: Int(field.valueLength))
  }

  func isIndexed(at index: Int) -> Bool {
    precondition(index >= 0 && index < count, "no such field")
    return storage.pointee.fields[index].isIndexed
  }

  /// The value of the first field of that name. O(fields).
  package func first(_ name: StaticString) -> UnsafeRawBufferPointer? {
    let wanted = name.bytes
    for index in 0..<count {
      let name = self.name(at: index)
      if name.count == wanted.count, name.elementsEqual(wanted) { return value(at: index) }
    }
    return nil
  }

  /// The value of `:status` as a number, if the block has a proper one.
  package var status: Int? {
    guard let value = first(":status"), value.count == 3 else { return nil }
    return DecimalDigits.parse(value, digitsMax: 3).map { Int($0) }
  }
}

extension StaticString {
  /// The literal's bytes, in the program's own memory.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
  }
}
