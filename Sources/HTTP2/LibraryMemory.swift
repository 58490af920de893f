// Two things that nghttp2 has for each session, most of the memory of one that is idle:
//
// - A buffer of 16 KiB in which a frame is built. It has contents only while the library is inside
//   `HTTP2Session.writePending`, so all server sessions of a loop share one. (The part of a header
//   block that doesn't fit goes to buffers of the session. A client builds its preface when it is
//   created, so a client's session has its own memory.)
// - A table of its streams, 4 KiB, all zero while there are none. It gets its own page, and the
//   page is returned to the system once the session has been idle (`releaseIdle`).
//
// Both are recognized by their sizes while the session is created. Other sizes, in another version
// of the library or with another page size, come from malloc, like everything else.
//
// Thread: the event loop.

internal import CNGHTTP2

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the sessions of one event loop share.
final class LibraryMemory {
  /// NGHTTP2_FRAMEBUF_CHUNKLEN with the frame's header and padding is a little more.
  static let frameBufferBytes = (16 << 10)...(17 << 10)

  private(set) var frameBuffer: UnsafeMutableRawPointer?
  let pages = ZeroPages()

  deinit { free(frameBuffer) }

  fileprivate func lendFrameBuffer() -> UnsafeMutableRawPointer? {
    if frameBuffer == nil { frameBuffer = malloc(Self.frameBufferBytes.upperBound) }
    return frameBuffer
  }
}

/// One session's memory, as its functions for nghttp2 see it.
struct SessionMemory {
  private let shared: Unmanaged<LibraryMemory>
  private var frameBuffer: UnsafeMutableRawPointer?
  private var table: UnsafeMutableRawPointer?
  private var isMaking = true

  /// - Parameter shared: must outlive the session.
  init(_ shared: LibraryMemory) {
    self.shared = .passUnretained(shared)
  }

  /// The functions for the library. `memory` must not move until the session is deleted.
  static func functions(_ memory: UnsafeMutablePointer<SessionMemory>) -> nghttp2_mem {
    nghttp2_mem(
      mem_user_data: memory, malloc: sessionAllocate, free: sessionFree,
      calloc: sessionAllocateZeroed, realloc: sessionReallocate)
  }

  /// The session is created: memory allocated from now on isn't kept until the session ends.
  mutating func made() { isMaking = false }

  /// Gives the memory of an empty table back to the system. It reads as zeros again when it is used
  /// next. O(1), a system call.
  func releaseIdle() {
    if let table, ZeroPages.isZero(table) { ZeroPages.discard(table) }
  }

  // MARK: - The library's requests

  fileprivate mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard isMaking, frameBuffer == nil, LibraryMemory.frameBufferBytes.contains(byteCount) else {
      return malloc(byteCount)
    }
    frameBuffer = shared._withUnsafeGuaranteedRef { $0.lendFrameBuffer() }
    return frameBuffer
  }

  fileprivate mutating func allocateZeroed(
    _ count: Int, _ byteCount: Int
  ) -> UnsafeMutableRawPointer? {
    guard isMaking, table == nil, count > 1, count &* byteCount == ZeroPages.pageBytes,
      let page = shared._withUnsafeGuaranteedRef({ $0.pages.take() })
    else { return calloc(count, byteCount) }
    table = page
    return page
  }

  fileprivate mutating func release(_ memory: UnsafeMutableRawPointer?) {
    if memory == table, let page = table {
      table = nil
      shared._withUnsafeGuaranteedRef { $0.pages.give(page) }
    } else if memory != frameBuffer {
      free(memory)
    }
  }

  fileprivate mutating func reallocate(
    _ memory: UnsafeMutableRawPointer?, _ byteCount: Int
  ) -> UnsafeMutableRawPointer? {
    // The frame buffer is allocated in this way.
    guard let memory else { return allocate(byteCount) }
    guard memory == table || memory == frameBuffer else { return realloc(memory, byteCount) }
    guard let moved = malloc(byteCount) else { return nil }
    let bytes = memory == table ? ZeroPages.pageBytes : LibraryMemory.frameBufferBytes.upperBound
    moved.copyMemory(from: memory, byteCount: min(byteCount, bytes))
    release(memory)
    return moved
  }
}

// MARK: - As the library calls them

@inline(__always)
private func sessionAllocate(
  _ byteCount: Int, _ memory: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
  // Most requests are small: they need no look at the session.
  if byteCount < LibraryMemory.frameBufferBytes.lowerBound { return malloc(byteCount) }
  return sessionAllocateLarge(byteCount, memory)
}

@inline(never)
private func sessionAllocateLarge(
  _ byteCount: Int, _ memory: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
  guard let memory else { return malloc(byteCount) }
  return memory.assumingMemoryBound(to: SessionMemory.self).pointee.allocate(byteCount)
}

private func sessionAllocateZeroed(
  _ count: Int, _ byteCount: Int, _ memory: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
  guard let memory else { return calloc(count, byteCount) }
  return memory.assumingMemoryBound(to: SessionMemory.self).pointee
    .allocateZeroed(count, byteCount)
}

@inline(__always)
private func sessionFree(_ block: UnsafeMutableRawPointer?, _ memory: UnsafeMutableRawPointer?) {
  guard let block else { return }
  guard let memory else { return free(block) }
  memory.assumingMemoryBound(to: SessionMemory.self).pointee.release(block)
}

private func sessionReallocate(
  _ block: UnsafeMutableRawPointer?, _ byteCount: Int, _ memory: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
  guard let memory else { return realloc(block, byteCount) }
  return memory.assumingMemoryBound(to: SessionMemory.self).pointee.reallocate(block, byteCount)
}
