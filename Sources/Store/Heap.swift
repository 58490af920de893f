// The memory of one store: where every block comes from, and the count of every byte.
//
// Blocks up to 512 bytes come from slab pages in classes of 8 bytes; larger ones from malloc. A
// block is given back with the size it was asked with, so no block carries its size. Large ones
// (LargeBlock.bytesMin) are handed to BackgroundRelease, and count as free from then on. Blocks
// that the store has adopted are counted here, though others allocated them.
//
// One empty page is kept in reserve (`reserve`), so that a store whose only key comes and goes does
// not ask malloc for a page each time, and the count is the same before and after.
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
  /// Blocks from this size on, and slab pages, have their pages given back first while
  /// `givesPagesBack`.
  private static let givenBackMin = 64 * 1024

  /// Bytes held from malloc, its rounding and header included (glibc's rule: a header of 8 bytes,
  /// multiples of 16, 32 at least).
  private(set) var heldBytes = 0
  /// The part of `heldBytes` that is in blocks in use; the rest is free room in slab pages.
  private(set) var usedBytes = 0
  /// The part of `usedBytes` in chunks and blobs that only views still hold.
  var pinnedBytes = 0

  /// What is out of reach and waits to be freed.
  var garbage = Garbage()
  /// Whether the store is gone, and with it who frees garbage.
  var isLeftAlone = false
  /// For each list that pins hold the newest of them, by the list's block.
  private var pins: [UnsafeMutableRawPointer: Unmanaged<PinnedList>] = [:]

  /// Whether pages go back to the system before a block or slab page goes to malloc (see
  /// SystemPages). For who frees much in slices; not for ordinary writes, whose next value would
  /// have to fetch the pages again.
  var givesPagesBack = false

  /// Since malloc was last asked to give pages back: the most bytes held, and all that were freed.
  /// What is freed in blocks below LargeBlock.bytesMin stays with malloc otherwise.
  private var highBytes = 0
  private var freedBytes = 0
  /// Malloc is asked when so much less is held, and an eighth less, ...
  private static let shrunkMin = 16 << 20
  /// ... and when so much was freed, and as much as is held: blocks of other sizes leave gaps
  /// behind.
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

  /// Takes the page in reserve; once, after the owner's own blocks.
  func reserve() {
    if usesSlabs, spare == nil { spare = makePage() }
  }

  /// Bytes that a block asked with `byteCount` really has.
  @inline(__always)
  static func capacity(for byteCount: Int) -> Int {
    byteCount <= smallBlockMax ? (byteCount &+ 7) & ~7 : mallocBytes(byteCount) &- 8
  }

  /// What a block asked with `byteCount` adds to `usedBytes`.
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

  /// A block of zeros. One that is large comes from the system, which has its pages zero when they
  /// are touched first.
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

  /// Gives back a block; `byteCount` is what it was asked with, or any size of equal capacity.
  func free(_ block: UnsafeMutableRawPointer, _ byteCount: Int) {
    let capacity = Heap.capacity(for: byteCount)
    if byteCount > Heap.smallBlockMax || !usesSlabs {
      let bytes = Heap.mallocBytes(capacity)
      usedBytes &-= bytes
      defer { letGo(bytes) }
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

  /// A fresh block, if tables can hold its address: they keep 48 bits (Table). A system that gives
  /// out others would have keys lost.
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

  /// The list is gone, or in another block.
  @discardableResult
  func takePin(of list: List) -> PinnedList? {
    guard let pin = pins.removeValue(forKey: list.base)?.takeUnretainedValue() else { return nil }
    pin.listBase = nil
    return pin
  }

  // MARK: - Adopted blocks

  /// What a block of `capacity` bytes that was adopted adds to `usedBytes`: what malloc spent on
  /// it.
  func usedBytes(ofAdopted capacity: Int) -> Int { Heap.mallocBytes(capacity) }

  /// The store keeps a block that was allocated elsewhere.
  func adopted(bytes capacity: Int) {
    heldBytes &+= Heap.mallocBytes(capacity)
    usedBytes &+= Heap.mallocBytes(capacity)
  }

  /// The store keeps an adopted block no longer.
  func release(bytes capacity: Int) {
    heldBytes &-= Heap.mallocBytes(capacity)
    usedBytes &-= Heap.mallocBytes(capacity)
  }

  /// Bytes that glibc's malloc spends on a request.
  @inline(__always)
  private static func mallocBytes(_ byteCount: Int) -> Int {
    max(32, (byteCount &+ 8 &+ 15) & ~15)
  }

  /// Memory came from malloc.
  @inline(__always)
  private func hold(_ bytes: Int) {
    heldBytes &+= bytes
    if heldBytes > highBytes { highBytes = heldBytes }
  }

  /// Memory has gone back to malloc.
  @inline(__always)
  private func letGo(_ bytes: Int) {
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
    letGo(SlabPage.stride)
  }
}
