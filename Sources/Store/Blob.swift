// A value too large for its entry, in a separate reference-counted block.
//
//   blob     = references:u32 flags:u32  bytes of the value
//            | references:u32 flags:u32  owner:8 address:8     flag adopted: the bytes lie in a
//                                                              LargeBlock that came with the value
//
// The entry of the value's key is one holder, each PinnedBytes another. A blob never changes: a
// write makes a new one, and the old one stays as long as it has readers. When they are its only
// holders it is an orphan, and its memory counts as pinned.
//
// An adopted block counts completely, with malloc's rounding, as long as the blob exists: the store
// keeps it. (Others read from it only for a moment.)
//
// A view on heap memory; single-threaded, its count is not atomic.

import LargeMemory

struct Blob {
  static let headerBytes = 8
  /// A blob whose bytes are in another block.
  static let adoptedBytes = 24

  private static let orphan: UInt32 = 1
  private static let adopted: UInt32 = 2

  let base: UnsafeMutableRawPointer
  /// Bytes of the value.
  let count: Int

  init(_ base: UnsafeMutableRawPointer, count: Int) {
    self.base = base
    self.count = count
  }

  /// A copy of `value`, with one reference.
  init(on heap: Heap, copyOf value: UnsafeRawBufferPointer) {
    self.init(heap.allocate(Blob.headerBytes + value.count), count: value.count)
    begin(flags: 0)
    copyBytes(value, to: base + Blob.headerBytes)
  }

  /// Bytes that stay in their block, with one reference.
  init(on heap: Heap, adopting value: OwnedBytes) {
    self.init(heap.allocate(Blob.adoptedBytes), count: value.count)
    begin(flags: Blob.adopted)
    let address = value.withBytes { UInt(bitPattern: $0.baseAddress) }
    let owner = UInt(bitPattern: Unmanaged.passRetained(value.block).toOpaque())
    base.storeBytes(of: owner, toByteOffset: 8, as: UInt.self)
    base.storeBytes(of: address, toByteOffset: 16, as: UInt.self)
    heap.adopted(bytes: value.block.capacity)
  }

  private func begin(flags: UInt32) {
    base.storeBytes(of: 1, as: UInt32.self)
    base.storeBytes(of: flags, toByteOffset: 4, as: UInt32.self)
  }

  var bytes: UnsafeRawBufferPointer {
    guard isAdopted else {
      return UnsafeRawBufferPointer(start: base + Blob.headerBytes, count: count)
    }
    let address = base.load(fromByteOffset: 16, as: UInt.self)
    return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count)
  }

  private var references: UInt32 {
    get { base.load(as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, as: UInt32.self) }
  }

  private var flags: UInt32 {
    get { base.load(fromByteOffset: 4, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 4, as: UInt32.self) }
  }

  private var isAdopted: Bool { flags & Blob.adopted != 0 }

  /// The block that was adopted; only of a blob that has adopted one.
  private var owner: Unmanaged<LargeBlock> {
    let address = base.load(fromByteOffset: 8, as: UInt.self)
    return .fromOpaque(UnsafeRawPointer(bitPattern: address).unsafelyUnwrapped)
  }

  /// What the blob adds to `Heap.usedBytes`.
  func usedBytes(_ heap: Heap) -> Int {
    guard isAdopted else { return heap.usedBytes(ofBlock: Blob.headerBytes + count) }
    let block = owner._withUnsafeGuaranteedRef { $0.capacity }
    return heap.usedBytes(ofBlock: Blob.adoptedBytes) + heap.usedBytes(ofAdopted: block)
  }

  func retain() { references += 1 }

  /// A reader releases it.
  func release(_ heap: Heap) {
    references -= 1
    guard references == 0 else { return }
    if flags & Blob.orphan != 0 { heap.pinnedBytes -= usedBytes(heap) }
    if isAdopted {
      let block = owner.takeRetainedValue()
      heap.release(bytes: block.capacity)
      heap.free(base, Blob.adoptedBytes)
    } else {
      heap.free(base, Blob.headerBytes + count)
    }
  }

  /// The entry releases it; bytes that readers still hold count as pinned.
  func releaseByEntry(_ heap: Heap) {
    if references > 1 {
      flags |= Blob.orphan
      heap.pinnedBytes += usedBytes(heap)
    }
    release(heap)
  }
}
