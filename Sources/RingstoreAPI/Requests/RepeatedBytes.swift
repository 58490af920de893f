// All occurrences of one bytes, string or message field in a message that was read once already
// and so is known to be well formed.

/// A sequence of slices of a message, in message order; walking it allocates nothing.
///
/// Bytes that are not well formed end the sequence early; views check before they hand one out.
package struct RepeatedBytes: Sequence {
  private let message: UnsafeRawBufferPointer
  private let tag: WireTag

  package init(_ message: UnsafeRawBufferPointer, field: Int) {
    self.message = message
    self.tag = .bytes(field)
  }

  package func makeIterator() -> Iterator {
    Iterator(reader: WireReader(message), wanted: tag)
  }

  package struct Iterator: IteratorProtocol {
    var reader: WireReader
    let wanted: WireTag

    package mutating func next() -> UnsafeRawBufferPointer? {
      do throws(WireError) {
        while let tag = try reader.nextTag() {
          if tag == wanted { return try reader.readBytes() }
          try reader.skip(tag)
        }
      } catch {
        // Can't happen on a checked message; an end is the safe answer in any case.
      }
      return nil
    }
  }
}
