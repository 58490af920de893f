// Counts the frames a peer sends by looking at their headers alone. The library reports most
// frames, but not those that it skips: unknown types, PRIORITY, frames of closed streams. A flood
// of them still costs time. Pure; one connection.

/// Walks over a connection's bytes from one frame header to the next.
struct FrameMeter {
  private static let headerBytes = 9
  private static let data: UInt8 = 0
  private static let continuation: UInt8 = 9
  /// The frame overhead of DATA with this many bytes costs less than its bytes do.
  static let largeDataBytes = 1 << 10

  /// Frames whose header has arrived, except large DATA and CONTINUATION, which is part of the
  /// frame before it and limited by the library.
  private(set) var frames = 0
  /// Bytes of all input.
  private(set) var bytes = 0

  /// Bytes until the next frame header begins.
  private var skip: Int
  /// The bytes so far of an incomplete header.
  private var partial: UInt32 = 0
  private var partialBytes = 0

  /// - Parameter prefaceBytes: the bytes before the first frame.
  init(prefaceBytes: Int) {
    skip = prefaceBytes
  }

  /// Counts the frames in a read. O(frames).
  mutating func read(_ input: UnsafeRawBufferPointer) {
    guard let base = input.baseAddress else { return }
    let count = input.count
    bytes &+= count
    var at = skip
    while true {
      if partialBytes == 0, at + Self.headerBytes <= count {
        let word = UInt32(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        note(word)
        at += Self.headerBytes + Int(word >> 8)
        continue
      }
      guard at < count else { break }
      // A header in two reads: of its nine bytes the first four matter.
      if partialBytes < 4 {
        partial = partial << 8 | UInt32(base.load(fromByteOffset: at, as: UInt8.self))
      }
      partialBytes += 1
      at += 1
      guard partialBytes == Self.headerBytes else { continue }
      note(partial)
      at += Int(partial >> 8)
      partial = 0
      partialBytes = 0
    }
    skip = at - count
  }

  /// - Parameter word: a frame's length, in 24 bits, and its type.
  @inline(__always)
  private mutating func note(_ word: UInt32) {
    switch UInt8(truncatingIfNeeded: word) {
    case Self.data where Int(word >> 8) >= Self.largeDataBytes, Self.continuation: break
    default: frames &+= 1
    }
  }
}
