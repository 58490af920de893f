// The memory under a HeaderBlock: bytes and field positions, reached through a raw pointer so that
// the HPACK decoder's callback, which runs eight times a call or more, costs neither reference
// counting nor exclusivity checks. Owned by one HeaderBlock; one thread.
//
// Invariants: used <= capacity; count <= fieldCapacity; field i lies within used. Memory is
// allocated with the first field: most streams have no trailers.

@usableFromInline
struct HeaderStorage {
  @usableFromInline
  struct Field {
    @usableFromInline var nameOffset: Int32
    @usableFromInline var nameLength: Int32
    @usableFromInline var valueLength: Int32
    var isIndexed: Bool
  }

  private static let firstCapacity = 512
  private static let firstFieldCapacity = 16

  @usableFromInline private(set) var bytes: UnsafeMutableRawPointer
  private(set) var used = 0
  @usableFromInline private(set) var fields: UnsafeMutablePointer<Field>
  @usableFromInline private(set) var count = 0
  private var capacity = 0
  private var fieldCapacity = 0

  init() {
    bytes = .allocate(byteCount: 0, alignment: 1)
    fields = .allocate(capacity: 0)
  }

  /// Frees the memory. Nothing may be done with the value afterwards.
  func destroy() {
    bytes.deallocate()
    fields.deallocate()
  }

  /// Empties the list and frees memory above a small limit.
  mutating func removeAll() {
    used = 0
    count = 0
    if capacity > HTTP2Configuration.retainedHeaderBytes {
      destroy()
      self = HeaderStorage()
    }
  }

  mutating func truncate(to newCount: Int) {
    guard newCount >= 0, newCount < count else { return }
    used = Int(fields[newCount].nameOffset)
    count = newCount
  }

  /// Lengths come from a header block, which the library limits far below Int32.max.
  mutating func append(
    _ name: UnsafeRawPointer?, _ nameLength: Int, _ value: UnsafeRawPointer?, _ valueLength: Int,
    indexed: Bool
  ) {
    let offset = used
    let end = offset + nameLength + valueLength
    if end > capacity || count == fieldCapacity { grow(to: end) }
    if let name { (bytes + offset).copyMemory(from: name, byteCount: nameLength) }
    if let value {
      (bytes + offset + nameLength).copyMemory(from: value, byteCount: valueLength)
    }
    used = end
    (fields + count).initialize(
      to: Field(
        nameOffset: Int32(truncatingIfNeeded: offset),
        nameLength: Int32(truncatingIfNeeded: nameLength),
        valueLength: Int32(truncatingIfNeeded: valueLength), isIndexed: indexed))
    count += 1
  }

  private mutating func grow(to wanted: Int) {
    if wanted > capacity {
      let larger = max(capacity * 2, wanted, Self.firstCapacity)
      let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 1)
      memory.copyMemory(from: bytes, byteCount: used)
      bytes.deallocate()
      bytes = memory
      capacity = larger
    }
    if count == fieldCapacity {
      let larger = max(fieldCapacity * 2, Self.firstFieldCapacity)
      let memory = UnsafeMutablePointer<Field>.allocate(capacity: larger)
      memory.moveInitialize(from: fields, count: count)
      fields.deallocate()
      fields = memory
      fieldCapacity = larger
    }
  }
}

/// The destination of the header block that is being decoded, and its limit.
struct HeaderDecoding {
  /// The stream, which is live; nil: no block is being decoded.
  var stream: Unmanaged<HTTP2Stream>?
  var streamID: Int32 = 0
  var target: UnsafeMutablePointer<HeaderStorage>?
  var fieldsMax: Int
  var bytesMax: Int
}
