// A page of equal small blocks, and the doubly linked list of pages that have a free block.
//
// malloc rounds to 16 bytes and adds 8: for an entry of 48 bytes that would be a third more. A page
// starts at a multiple of its size, so that a block finds its page by masking its own address.
// Owned by Heap; on the thread of the store.

struct SlabPage {
  /// Freed blocks; each has the address of the next in its first word.
  var firstFree: UnsafeMutableRawPointer?
  var next: UnsafeMutablePointer<SlabPage>?
  var previous: UnsafeMutablePointer<SlabPage>?
  var liveBlocks: Int
  /// Offset of the first byte that was never part of a block.
  var unusedOffset: Int
  var blockBytes: Int

  /// Distance between pages, and their alignment. Together with malloc's slack for alignment it
  /// stays below the 128 KiB from which malloc would map every page separately.
  static let stride = 32 * 1024
  /// The size passed to malloc: smaller than `stride`, so that malloc's header and gap fit between
  /// two pages, and pages are adjacent.
  static let usableBytes = stride - 64
  static let headerBytes = MemoryLayout<SlabPage>.stride

  static func holding(_ block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<SlabPage> {
    let address = UInt(bitPattern: block) & ~UInt(stride - 1)
    return UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
      .assumingMemoryBound(to: SlabPage.self)
  }
}

extension UnsafeMutablePointer<SlabPage> {
  var isFull: Bool {
    pointee.firstFree == nil && pointee.unusedOffset + pointee.blockBytes > SlabPage.usableBytes
  }

  func takeBlock() -> UnsafeMutableRawPointer {
    pointee.liveBlocks &+= 1
    if let block = pointee.firstFree {
      pointee.firstFree = block.load(as: UnsafeMutableRawPointer?.self)
      return block
    }
    let block = UnsafeMutableRawPointer(self) + pointee.unusedOffset
    pointee.unusedOffset &+= pointee.blockBytes
    return block
  }

  func deallocate(_ block: UnsafeMutableRawPointer) {
    block.storeBytes(of: pointee.firstFree, as: UnsafeMutableRawPointer?.self)
    pointee.firstFree = block
    pointee.liveBlocks &-= 1
  }

  func link(at head: inout UnsafeMutablePointer<SlabPage>?) {
    pointee.previous = nil
    pointee.next = head
    head?.pointee.previous = self
    head = self
  }

  func unlink(from head: inout UnsafeMutablePointer<SlabPage>?) {
    pointee.next?.pointee.previous = pointee.previous
    if let previous = pointee.previous {
      previous.pointee.next = pointee.next
    } else {
      head = pointee.next
    }
    pointee.next = nil
    pointee.previous = nil
  }
}
