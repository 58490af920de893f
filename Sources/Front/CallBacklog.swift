// The rest of a Pipeline's batches of which not all calls could be placed at once. It is about one
// message, since the stream is not read meanwhile. One event loop.

import LargeMemory
import NIOCore
import RingstoreAPI

struct CallBacklog {
  /// The rest of batches, oldest first.
  private var rests: [OwnedBytes] = []
  /// When the first of them arrived, in nanoseconds: the deadlines of the calls begin then.
  private(set) var sinceNanos: UInt64 = 0

  var isEmpty: Bool { rests.isEmpty }

  /// Keeps the rest of a validated batch: a copy, or the block that contains it.
  mutating func add(_ bytes: UnsafeRawBufferPointer, in block: LargeBlock?, since nanos: UInt64) {
    guard !bytes.isEmpty else { return }
    if rests.isEmpty { sinceNanos = nanos }
    rests.append(OwnedBytes(bytes, in: block) ?? OwnedBytes(copying: bytes))
  }

  /// Passes the rests to a closure, which takes calls from the front of each and returns their
  /// number of bytes, until it doesn't take all of one. It must not touch the backlog.
  mutating func place(
    _ place: (UnsafeRawBufferPointer, LargeBlock) throws(WireError) -> Int
  ) {
    while let rest = rests.first {
      // It was validated when it arrived.
      let taken = rest.withBytes { (try? place($0, rest.block)) ?? $0.count }
      guard taken == rest.count else {
        rests[0] = rest.dropFirst(taken)
        return
      }
      rests.removeFirst()
    }
  }

  mutating func clear() {
    rests = []
  }
}
