// A list of header fields in one flat piece of memory: received blocks are written here by the
// HPACK decoder's callbacks, blocks to be sent are built here. Owned by a stream or by whoever
// builds a request; one thread (the connection's event loop). Cleared and reused, never shared.

/// An ordered list of header fields, flat and reusable.
///
/// Names are lower case, as HTTP/2 wants them. Every pointer handed out is valid until the block is
/// changed next.
package final class HeaderBlock {
  struct Field {
    var nameOffset: Int32
    var nameLength: Int32
    var valueLength: Int32
    var isIndexed: Bool
  }

  @exclusivity(unchecked) private var bytes: UnsafeMutableRawPointer
  @exclusivity(unchecked) private var capacity: Int
  @exclusivity(unchecked) private(set) var used = 0
  @exclusivity(unchecked) var fields: ContiguousArray<Field> = []

  /// Makes an empty block.
  package init() {
    capacity = 256
    bytes = .allocate(byteCount: capacity, alignment: 1)
    fields.reserveCapacity(16)
  }

  deinit {
    bytes.deallocate()
  }

  /// The number of fields.
  package var count: Int { fields.count }

  /// The block's size as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 section 6.5.2).
  package var listBytes: Int { used + 32 * fields.count }

  /// Forgets every field; keeps the memory up to a small bound.
  package func removeAll() {
    used = 0
    fields.removeAll(keepingCapacity: true)
    if capacity > HTTP2Configuration.retainedHeaderBytes {
      bytes.deallocate()
      capacity = 256
      bytes = .allocate(byteCount: capacity, alignment: 1)
    }
  }

  /// Keeps the first `count` fields. With a request's constant fields in front, this makes the
  /// block ready for the next request.
  package func truncate(to count: Int) {
    guard count >= 0, count < fields.count else { return }
    used = Int(fields[count].nameOffset)
    fields.removeLast(fields.count - count)
  }

  /// Adds a field. Give `indexed: false` for values that differ from call to call: they would push
  /// the lasting ones out of the peer's table.
  package func append(
    name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, indexed: Bool = true
  ) {
    let offset = used
    reserve(name.count + value.count)
    if let base = name.baseAddress {
      (bytes + offset).copyMemory(from: base, byteCount: name.count)
    }
    if let base = value.baseAddress {
      (bytes + offset + name.count).copyMemory(from: base, byteCount: value.count)
    }
    used = offset + name.count + value.count
    fields.append(
      Field(
        nameOffset: Int32(truncatingIfNeeded: offset),
        nameLength: Int32(truncatingIfNeeded: name.count),
        valueLength: Int32(truncatingIfNeeded: value.count), isIndexed: indexed))
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
        indexed: other.fields[index].isIndexed)
    }
  }

  /// The name of the field at `index`, which must be below `count`.
  package func name(at index: Int) -> UnsafeRawBufferPointer {
    let field = fields[index]
    return UnsafeRawBufferPointer(
      start: bytes + Int(field.nameOffset), count: Int(field.nameLength))
  }

  /// The value of the field at `index`, which must be below `count`.
  package func value(at index: Int) -> UnsafeRawBufferPointer {
    let field = fields[index]
    return UnsafeRawBufferPointer(
      start: bytes + Int(field.nameOffset) + Int(field.nameLength), count: Int(field.valueLength))
  }

  /// The value of the first field of that name. O(fields).
  package func first(_ name: StaticString) -> UnsafeRawBufferPointer? {
    let wanted = name.bytes
    for index in 0..<fields.count where fields[index].nameLength == wanted.count {
      if self.name(at: index).elementsEqual(wanted) { return value(at: index) }
    }
    return nil
  }

  /// The value of `:status` as a number, if the block has a proper one.
  package var status: Int? {
    guard let value = first(":status"), value.count == 3 else { return nil }
    var number = 0
    for byte in value {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      number = number * 10 + Int(byte - 0x30)
    }
    return number
  }

  private func reserve(_ more: Int) {
    guard used + more > capacity else { return }
    let grown = max(capacity * 2, used + more)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 1)
    memory.copyMemory(from: bytes, byteCount: used)
    bytes.deallocate()
    bytes = memory
    capacity = grown
  }
}

extension StaticString {
  /// The literal's bytes, where the program keeps them.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
  }
}
