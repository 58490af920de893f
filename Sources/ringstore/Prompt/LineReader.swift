// Lines of any bytes out of a descriptor, each of a bounded length. Owned by one thread, which
// blocks in it.

import Glibc

package struct LineReader {
  package enum Line: Sendable, Hashable {
    /// Without its line end. The last line needs none.
    case line([UInt8])
    /// It was passed over.
    case tooLong
  }

  private static let readBytes = 64 << 10

  private let descriptor: Int32
  private let lineBytesMax: Int
  /// Read and not yet handed out.
  private var pending: [UInt8] = []
  /// The part of `pending` that is known to have no line end.
  private var searched = 0
  private var isSkipping = false
  private var isAtEnd = false

  package init(_ descriptor: Int32, lineBytesMax: Int) {
    self.descriptor = descriptor
    self.lineBytesMax = lineBytesMax
  }

  /// Blocks until a line is complete; nil at the end.
  package mutating func next() -> Line? {
    while true {
      if let end = pending[searched...].firstIndex(of: 0x0a) {
        let line = Array(pending[..<end])
        pending.removeFirst(end + 1)
        searched = 0
        return ended(line)
      }
      searched = pending.count
      if pending.count > lineBytesMax {
        isSkipping = true
        pending = []
        searched = 0
      }
      guard !isAtEnd else {
        guard isSkipping || !pending.isEmpty else { return nil }
        defer { (pending, searched) = ([], 0) }
        return ended(pending)
      }
      fill()
    }
  }

  private mutating func ended(_ line: [UInt8]) -> Line {
    defer { isSkipping = false }
    return isSkipping || line.count > lineBytesMax ? .tooLong : .line(line)
  }

  private mutating func fill() {
    let before = pending.count
    pending.append(contentsOf: repeatElement(0, count: Self.readBytes))
    let count = pending.withUnsafeMutableBytes { bytes in
      var count = -1
      repeat {
        count = read(descriptor, bytes.baseAddress.map { $0 + before }, Self.readBytes)
      } while count < 0 && errno == EINTR
      return count
    }
    pending.removeLast(Self.readBytes - max(count, 0))
    if count <= 0 { isAtEnd = true }
  }
}
