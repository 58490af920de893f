// Gives the pages of a dead block back to the system before the block goes back to malloc.
//
// malloc keeps the pages of freed blocks until free room reaches the end of its heap, and then
// returns all of them in one call of `free`: about 50 ms for a GiB (glibc 2.36), even if the last
// freed block is small. Pages that are already returned cost almost nothing then. So if much is
// freed in slices, each slice pays for its own blocks, and no call is long.
//
// Any thread; owns nothing.

internal import CMalloc

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

package enum SystemPages {
  private static let pageBytes = UInt(max(4096, sysconf(Int32(_SC_PAGESIZE))))

  /// Returns the pages that are completely inside the block, whose bytes are undefined afterwards.
  /// If the system refuses, malloc still has them, and nothing is lost. O(pages).
  package static func discard(_ block: UnsafeMutableRawPointer, byteCount: Int) {
    let address = UInt(bitPattern: block)
    let start = (address + pageBytes - 1) & ~(pageBytes - 1)
    let end = (address + UInt(byteCount)) & ~(pageBytes - 1)
    guard start < end, let first = UnsafeMutableRawPointer(bitPattern: start) else { return }
    _ = madvise(first, Int(end - start), Int32(MADV_DONTNEED))
  }

  /// Makes malloc return all pages that hold no block. O(free blocks); locks malloc's arenas.
  static func trim() {
    CMalloc_trim()
  }
}
