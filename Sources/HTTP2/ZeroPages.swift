// Pages that are all zero when they are taken, and that use no memory until they are written to.
// Only on Linux with pages of 4 KiB; elsewhere there are none.
//
// Thread: the event loop.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The pages of one event loop.
final class ZeroPages {
  static let pageBytes = 4096
  /// Pages that are reserved from the system at once. This uses only addresses.
  private static let blockPages = 256

  private var free: [UnsafeMutableRawPointer] = []
  private var blocks: [UnsafeMutableRawPointer] = []

  #if os(Linux)
    private static let areServed = sysconf(Int32(_SC_PAGESIZE)) == pageBytes

    deinit {
      for block in blocks { munmap(block, Self.blockPages * Self.pageBytes) }
    }

    /// A page of zeros; nil if there is none.
    func take() -> UnsafeMutableRawPointer? {
      if free.isEmpty { addBlock() }
      return free.popLast()
    }

    /// Takes a page back, with any contents.
    func give(_ page: UnsafeMutableRawPointer) {
      Self.discard(page)
      free.append(page)
    }

    /// Gives a page's memory back to the system: its bytes are zero afterwards.
    static func discard(_ page: UnsafeMutableRawPointer) {
      if madvise(page, pageBytes, Int32(MADV_DONTNEED)) != 0 {
        page.initializeMemory(as: UInt8.self, repeating: 0, count: pageBytes)
      }
    }

    private func addBlock() {
      guard Self.areServed else { return }
      let byteCount = Self.blockPages * Self.pageBytes
      let block = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS), -1, 0)
      guard let block, block != MAP_FAILED else { return }
      // A large page would use its whole memory with the first byte.
      madvise(block, byteCount, Int32(MADV_NOHUGEPAGE))
      blocks.append(block)
      for index in (0..<Self.blockPages).reversed() { free.append(block + index * Self.pageBytes) }
    }
  #else
    func take() -> UnsafeMutableRawPointer? { nil }
    func give(_ page: UnsafeMutableRawPointer) {}
    static func discard(_ page: UnsafeMutableRawPointer) {}
  #endif

  /// Whether all bytes of a page are zero. O(page).
  static func isZero(_ page: UnsafeMutableRawPointer) -> Bool {
    let words = UnsafeBufferPointer(
      start: page.assumingMemoryBound(to: UInt64.self), count: pageBytes / 8)
    return words.allSatisfy { $0 == 0 }
  }
}
