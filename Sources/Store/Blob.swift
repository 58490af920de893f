// A value too large for its entry, in a reference-counted block of its own.
//
//   blob     = references:u32 orphan:u32  bytes of the value
//
// The entry of the value's key is one holder, each PinnedBytes another. A blob never changes: a
// write makes a new one, and the old one stays as long as somebody is reading it. Then nobody but
// the readers holds it, it is an orphan, and its memory counts as pinned.
//
// A view on heap memory; single-threaded, its count is not atomic.

struct Blob {
  static let headerBytes = 8

  let base: UnsafeMutableRawPointer
  /// Bytes of the value.
  let count: Int

  init(_ base: UnsafeMutableRawPointer, count: Int) {
    self.base = base
    self.count = count
  }

  /// A copy of `value`, held once.
  init(on heap: Heap, copyOf value: UnsafeRawBufferPointer) {
    base = heap.allocate(Blob.headerBytes + value.count)
    count = value.count
    base.storeBytes(of: 1, as: UInt32.self)
    base.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
    copyBytes(value, to: base + Blob.headerBytes)
  }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + Blob.headerBytes, count: count)
  }

  private var references: UInt32 {
    get { base.load(as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, as: UInt32.self) }
  }

  private var isOrphan: Bool { base.load(fromByteOffset: 4, as: UInt32.self) != 0 }

  func retain() { references += 1 }

  /// A reader lets go.
  func release(_ heap: Heap) {
    references -= 1
    guard references == 0 else { return }
    let bytes = Blob.headerBytes + count
    if isOrphan { heap.pinnedBytes -= heap.usedBytes(ofBlock: bytes) }
    heap.free(base, bytes)
  }

  /// The entry lets go; what readers still hold counts as pinned.
  func releaseByEntry(_ heap: Heap) {
    if references > 1 {
      base.storeBytes(of: 1, toByteOffset: 4, as: UInt32.self)
      heap.pinnedBytes += heap.usedBytes(ofBlock: Blob.headerBytes + count)
    }
    release(heap)
  }
}
