// A repeated bytes, string or message field: either in an encoded message, whose occurrences are
// found during iteration, or a collection of slices elsewhere. Both without a copy. Valid as long
// as the bytes are; any thread.

@usableFromInline
package struct RepeatedBytes: Sequence {
  /// The message, or the memory of the slices.
  private let base: UnsafeRawBufferPointer
  /// The field's tag; 0: `base` holds slices.
  private let tag: UInt32
  package internal(set) var count: Int

  /// No elements.
  @usableFromInline
  package init() {
    self.init(in: noBytes, 0)
  }

  /// Elements in other memory.
  package init(_ elements: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    base = UnsafeRawBufferPointer(elements)
    tag = 0
    count = elements.count
  }

  /// Elements of a message that is being read: its reader counts them.
  init(in message: UnsafeRawBufferPointer, _ tag: UInt32) {
    base = message
    self.tag = tag
    count = 0
  }

  @usableFromInline
  package func makeIterator() -> Iterator { Iterator(base, tag) }

  package var first: UnsafeRawBufferPointer? {
    var elements = makeIterator()
    return elements.next()
  }

  @usableFromInline
  package struct Iterator: IteratorProtocol {
    private var reader: WireReader
    private let tag: UInt32

    /// The occurrences of a field in a message. `next` is for one that was decoded before and so is
    /// known to be well formed; malformed bytes end its iteration early.
    package init(in message: UnsafeRawBufferPointer, _ field: BytesField) {
      self.init(message, WireTag.bytes(field.number).rawValue)
    }

    fileprivate init(_ base: UnsafeRawBufferPointer, _ tag: UInt32) {
      reader = WireReader(base)
      self.tag = tag
    }

    @usableFromInline
    package mutating func next() -> UnsafeRawBufferPointer? {
      guard tag != 0 else { return reader.nextElement(UnsafeRawBufferPointer.self) }
      // It can't throw on a checked message; ending is safe in any case.
      return try? read()
    }

    /// The next occurrence of the field, in a message that was not decoded before.
    package mutating func read() throws(WireError) -> UnsafeRawBufferPointer? {
      if let next = reader.readShortBytes(tag) { return next }
      while let next = try reader.nextTag() {
        if next.rawValue == tag { return try reader.readBytes() }
        try reader.skip(next)
      }
      return nil
    }
  }

  func byteCount(field: Int) -> Int {
    var size = count &* WireSize.tag(field)
    for element in self {
      size &+= WireSize.varint(UInt64(truncatingIfNeeded: element.count)) &+ element.count
    }
    return size
  }

  func write(field: Int, to cursor: inout WireCursor) {
    for element in self { cursor.put(field, bytes: element) }
  }
}

/// A repeated field of messages: encoded, or made elsewhere.
@usableFromInline
package struct RepeatedMessages<Element: WireMessage>: Sequence {
  private let base: UnsafeRawBufferPointer
  private let tag: UInt32
  package internal(set) var count: Int

  /// No elements.
  @usableFromInline
  package init() {
    self.init(in: noBytes, 0)
  }

  /// Elements that were made elsewhere.
  package init(_ elements: UnsafeBufferPointer<Element>) {
    base = UnsafeRawBufferPointer(elements)
    tag = 0
    count = elements.count
  }

  init(in message: UnsafeRawBufferPointer, _ tag: UInt32) {
    base = message
    self.tag = tag
    count = 0
  }

  /// Each element's own bytes, to be passed on unchanged or decoded one by one.
  ///
  /// - Precondition: the elements come from an encoded message.
  package var encoded: RepeatedBytes {
    precondition(tag != 0 || count == 0, "these messages have not been encoded")
    var encoded = RepeatedBytes(in: base, tag)
    encoded.count = count
    return encoded
  }

  @usableFromInline
  package func makeIterator() -> Iterator { Iterator(base, tag) }

  package var first: Element? {
    var elements = makeIterator()
    return elements.next()
  }

  @usableFromInline
  package struct Iterator: IteratorProtocol {
    private var reader: WireReader
    private let tag: UInt32

    fileprivate init(_ base: UnsafeRawBufferPointer, _ tag: UInt32) {
      reader = WireReader(base)
      self.tag = tag
    }

    /// With unchecked elements, a malformed one ends the iteration.
    @usableFromInline
    package mutating func next() -> Element? {
      guard tag != 0 else { return reader.nextElement(Element.self) }
      do throws(WireError) {
        while let next = try reader.nextTag() {
          if next.rawValue == tag { return try Element(try reader.readBytes()) }
          try reader.skip(next)
        }
      } catch {
        // Can't happen on a checked message; ending is safe in any case.
      }
      return nil
    }
  }

  func byteCount(field: Int) -> Int {
    var size = 0
    for element in self { size &+= WireSize.bytesField(field, count: element.byteCount) }
    return size
  }

  func write(field: Int, to cursor: inout WireCursor) {
    for element in self { cursor.put(field, message: element) }
  }
}

extension WireReader {
  /// The next of the consecutive values in the reader's memory.
  @inline(__always)
  fileprivate mutating func nextElement<Element>(_: Element.Type) -> Element? {
    guard let element = takeMemory(MemoryLayout<Element>.stride) else { return nil }
    return element.assumingMemoryBound(to: Element.self).pointee
  }
}
