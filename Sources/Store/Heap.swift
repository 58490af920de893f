// The allocator of one store, with exact accounting.
//
// Blocks up to 512 bytes come from slab pages in classes of 8 bytes; larger ones from malloc. A
// block is freed with the size of its allocation, so no block stores its size. Large ones
// (LargeBlock.bytesMin) are passed to BackgroundRelease, and count as free from then on. Adopted
// blocks are counted here, although others allocated them.
//
// One empty page is kept in reserve (`reserve`), so that a store whose only key is repeatedly
// created and deleted does not allocate a page each time, and the count is the same before and
// after.
//
// Owned by Store and by the views that outlive a call; single-threaded like them.

import LargeMemory

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

final class Heap {
  static let smallBlockMax = 512
  /// While `givesPagesBack`, the pages of blocks of this size or more, and of slab pages, are
  /// returned first.
  private static let givenBackMin = 64 * 1024

  /// Bytes held from malloc, its rounding and header included (glibc's rule: a header of 8 bytes,
  /// multiples of 16, 32 at least).
  private(set) var heldBytes = 0
  /// The part of `heldBytes` in used blocks; the rest is free space in slab pages.
  private(set) var usedBytes = 0
  /// The part of `usedBytes` in chunks and blobs that only views hold.
  var pinnedBytes = 0

  /// Unreachable memory that waits to be freed.
  var garbage = Garbage()
  /// Whether the store was released, so that nothing frees garbage any more.
  var isLeftAlone = false
  /// The newest pin of each pinned list, by the list's block.
  private var pins: [UnsafeMutableRawPointer: Unmanaged<PinnedList>] = [:]

  /// Whether pages are returned to the operating system before a block or slab page is freed (see
  /// SystemPages). For large frees in slices; not for ordinary writes, whose next value would need
  /// the pages again.
  var givesPagesBack = false

  /// Since malloc was last trimmed: the maximum of held bytes, and all freed bytes. Otherwise
  /// malloc keeps freed blocks below LargeBlock.bytesMin.
  private var highBytes = 0
  private var freedBytes = 0
  /// Malloc is trimmed when the held bytes have fallen by this much and by an eighth, ...
  private static let shrunkMin = 16 << 20
  /// ... and when this much was freed, and as much as is held: blocks of other sizes leave gaps.
  private static let freedMin = 64 << 20

  private let usesSlabs: Bool
  /// By block size / 8: the pages that have a free block.
  private let openPages: UnsafeMutablePointer<UnsafeMutablePointer<SlabPage>?>
  private var spare: UnsafeMutablePointer<SlabPage>?

  /// - Parameter usesSlabs: false sends every block to malloc, so that an address sanitizer can
  ///   watch each of them.
  init(usesSlabs: Bool) {
    self.usesSlabs = usesSlabs
    let classes = Heap.smallBlockMax / 8 + 1
    openPages = .allocate(capacity: classes)
    openPages.initialize(repeating: nil, count: classes)
  }

  deinit {
    if let spare { UnsafeMutableRawPointer(spare).deallocate() }
    openPages.deallocate()
  }

  /// Allocates the reserve page; once, after the owner's own blocks.
  func reserve() {
    if usesSlabs, spare == nil { spare = makePage() }
  }

  /// The real size of a block allocated with `byteCount`.
  @inline(__always)
  static func capacity(for byteCount: Int) -> Int {
    byteCount <= smallBlockMax ? (byteCount &+ 7) & ~7 : mallocBytes(byteCount) &- 8
  }

  /// The bytes that a block allocated with `byteCount` adds to `usedBytes`.
  func usedBytes(ofBlock byteCount: Int) -> Int {
    let capacity = Heap.capacity(for: byteCount)
    return byteCount > Heap.smallBlockMax || !usesSlabs ? Heap.mallocBytes(capacity) : capacity
  }

  /// A block of `capacity(for: byteCount)` uninitialized bytes, aligned to 8.
  func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let capacity = Heap.capacity(for: byteCount)
    if byteCount > Heap.smallBlockMax || !usesSlabs {
      let bytes = Heap.mallocBytes(capacity)
      hold(bytes)
      usedBytes &+= bytes
      return Heap.checked(.allocate(byteCount: capacity, alignment: 8))
    }
    usedBytes &+= capacity
    let open = openPages + capacity / 8
    let page = open.pointee ?? openPage(blockBytes: capacity)
    let block = page.takeBlock()
    if page.isFull { page.unlink(from: &open.pointee) }
    return block
  }

  /// A block of zeros. A large one comes from the operating system, whose new pages are zero.
  func allocateZeroed(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard byteCount >= LargeBlock.bytesMin, let block = calloc(1, Heap.capacity(for: byteCount))
    else {
      let block = allocate(byteCount)
      block.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
      return block
    }
    let bytes = Heap.mallocBytes(Heap.capacity(for: byteCount))
    hold(bytes)
    usedBytes &+= bytes
    return Heap.checked(block)
  }

  /// Frees a block; `byteCount` is the size of its allocation, or any size of equal capacity.
  func free(_ block: UnsafeMutableRawPointer, _ byteCount: Int) {
    let capacity = Heap.capacity(for: byteCount)
    if byteCount > Heap.smallBlockMax || !usesSlabs {
      let bytes = Heap.mallocBytes(capacity)
      usedBytes &-= bytes
      defer { released(bytes) }
      if capacity >= LargeBlock.bytesMin {
        BackgroundRelease.free(block, byteCount: capacity)
        return
      }
      if givesPagesBack && capacity >= Heap.givenBackMin {
        SystemPages.discard(block, byteCount: capacity)
      }
      block.deallocate()
      return
    }
    usedBytes &-= capacity
    let open = openPages + capacity / 8
    let page = SlabPage.holding(block)
    if page.isFull { page.link(at: &open.pointee) }
    page.deallocate(block)
    if page.pointee.liveBlocks == 0 {
      page.unlink(from: &open.pointee)
      retire(page)
    }
  }

  /// A new block, if its address fits into tables, which keep 48 bits (Table). With larger
  /// addresses keys would be lost.
  @inline(__always)
  static func checked(_ block: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    precondition(isHoldable(UInt(bitPattern: block)), "an address of more than 48 bits")
    return block
  }

  static func isHoldable(_ address: UInt) -> Bool { address & 7 == 0 && address >> 48 == 0 }

  // MARK: - Pins of lists

  /// Only of a list that is pinned.
  func newestPin(of list: List) -> PinnedList? { pins[list.base]?.takeUnretainedValue() }

  func setNewestPin(_ pin: PinnedList, ofListAt base: UnsafeMutableRawPointer) {
    pins[base] = .passUnretained(pin)
    pin.listBase = base
  }

  /// The list was deleted, or moved to another block.
  @discardableResult
  func takePin(of list: List) -> PinnedList? {
    guard let pin = pins.removeValue(forKey: list.base)?.takeUnretainedValue() else { return nil }
    pin.listBase = nil
    return pin
  }

  // MARK: - Adopted blocks

  /// The bytes that an adopted block of `capacity` bytes adds to `usedBytes`: its size in malloc.
  func usedBytes(ofAdopted capacity: Int) -> Int { Heap.mallocBytes(capacity) }

  /// The store keeps a block that was allocated elsewhere.
  func adopted(bytes capacity: Int) {
    heldBytes &+= Heap.mallocBytes(capacity)
    usedBytes &+= Heap.mallocBytes(capacity)
  }

  /// The store no longer keeps an adopted block.
  func release(bytes capacity: Int) {
    heldBytes &-= Heap.mallocBytes(capacity)
    usedBytes &-= Heap.mallocBytes(capacity)
  }

  /// Bytes that glibc's malloc spends on a request.
  @inline(__always)
  private static func mallocBytes(_ byteCount: Int) -> Int {
    max(32, (byteCount &+ 8 &+ 15) & ~15)
  }

  /// Memory was allocated with malloc.
  @inline(__always)
  private func hold(_ bytes: Int) {
    heldBytes &+= bytes
    if heldBytes > highBytes { highBytes = heldBytes }
  }

  /// Memory was returned to malloc.
  @inline(__always)
  private func released(_ bytes: Int) {
    heldBytes &-= bytes
    freedBytes &+= bytes
    if highBytes &- heldBytes > max(Heap.shrunkMin, highBytes >> 3)
      || freedBytes > max(Heap.freedMin, heldBytes)
    {
      trim()
    }
  }

  @inline(never)
  private func trim() {
    highBytes = heldBytes
    freedBytes = 0
    BackgroundRelease.trimSoon()
  }

  private func openPage(blockBytes: Int) -> UnsafeMutablePointer<SlabPage> {
    let page = spare ?? makePage()
    spare = nil
    page.initialize(
      to: SlabPage(
        firstFree: nil, next: nil, previous: nil, liveBlocks: 0,
        unusedOffset: SlabPage.headerBytes, blockBytes: blockBytes))
    page.link(at: &openPages[blockBytes / 8])
    return page
  }

  private func makePage() -> UnsafeMutablePointer<SlabPage> {
    hold(SlabPage.stride)
    return Heap.checked(
      .allocate(byteCount: SlabPage.usableBytes, alignment: SlabPage.stride)
    ).assumingMemoryBound(to: SlabPage.self)
  }

  private func retire(_ page: UnsafeMutablePointer<SlabPage>) {
    if spare == nil {
      spare = page
      return
    }
    if givesPagesBack { SystemPages.discard(page, byteCount: SlabPage.usableBytes) }
    UnsafeMutableRawPointer(page).deallocate()
    released(SlabPage.stride)
  }
}
