// The rest of a Pipeline's batches of which not all calls could be placed at once. It is about one
// message, since the stream is not read meanwhile. One event loop.

import LargeMemory
import NIOCore
import RingstoreAPI

struct CallBacklog {
  /// What is left of batches, oldest first.
  private var rests: [OwnedBytes] = []
  /// When the first of them came, in nanoseconds: the deadlines of the calls count from then.
  private(set) var sinceNanos: UInt64 = 0

  var isEmpty: Bool { rests.isEmpty }

  /// Keeps what is left of a batch that was validated: a copy, or what it lies in.
  mutating func add(_ bytes: UnsafeRawBufferPointer, in block: LargeBlock?, since nanos: UInt64) {
    guard !bytes.isEmpty else { return }
    if rests.isEmpty { sinceNanos = nanos }
    rests.append(OwnedBytes(bytes, in: block) ?? OwnedBytes(copying: bytes))
  }

  /// Gives the rests to a closure, which takes calls from the front of each and returns how many
  /// bytes they took, until it doesn't take all of one. It must not touch the backlog.
  mutating func place(
    _ place: (UnsafeRawBufferPointer, LargeBlock) throws(WireError) -> Int
  ) {
    while let rest = rests.first {
      // It was validated when it came.
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
