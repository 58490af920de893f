// One large value at one moment: held in place, not copied.
//
// A chunked reply with a large value keeps one of these until the last chunk is written; changes of
// the key meanwhile don't affect it. Made by Store.pinnedValue and popPinned; it may outlive the
// key and the store, but must be released on the thread on which it was made, because the counts of
// blobs and chunks are not atomic.

extension Store {
  /// The held bytes of one value. Memory that only readers hold counts in `Store.pinnedBytes`: a
  /// string from the next write or deletion of its key on, a popped element as soon as its list has
  /// no other element in the chunk, so at once for one above 16 KiB.
  package final class PinnedBytes {
    /// Bytes of the value.
    package let count: Int
    /// Version of the key when the value was read, or of the pop.
    package let version: UInt64

    private enum Holder {
      case blob(Blob)
      case chunk(Chunk)
    }

    private let heap: Heap
    private let start: UnsafeRawPointer
    private let holder: Holder

    /// Holds a string's value.
    init(_ blob: Blob, version: UInt64, heap: Heap) {
      blob.retain()
      // A value in a blob is longer than an entry takes, so it has an address.
      start = blob.bytes.baseAddress.unsafelyUnwrapped
      count = blob.count
      holder = .blob(blob)
      self.version = version
      self.heap = heap
    }

    /// Holds `count` bytes from `start` on, which are in `chunk`, and takes over the caller's
    /// reference to the chunk.
    init(
      start: UnsafeRawPointer, count: Int, takingOver chunk: Chunk, version: UInt64, heap: Heap
    ) {
      self.start = start
      self.count = count
      holder = .chunk(chunk)
      self.version = version
      self.heap = heap
    }

    deinit {
      switch holder {
      case .blob(let blob): blob.release(heap)
      case .chunk(let chunk): chunk.release(heap)
      }
    }

    /// Calls `body` with a part of the value, which must be within 0 ..< count. O(1), no copy. The
    /// bytes are valid as long as this object exists.
    package func withBytes<R>(
      _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
      precondition(range.lowerBound >= 0 && range.upperBound <= count)
      defer { withExtendedLifetime(self) {} }
      return try body(
        UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count))
    }
  }
}
