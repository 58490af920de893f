// The rest of a Pipeline's batch of which not all calls could be placed at once. It holds at most
// one message, since the stream is not read meanwhile. One event loop.

import LargeMemory
import NIOCore
import RingstoreAPI

struct CallBacklog {
  /// What is left of batches, oldest first.
  private var rests: [OwnedBytes] = []
  /// When the rest came: the deadlines of its calls count from then. Nil where there is none.
  private(set) var since: NIODeadline?

  var isEmpty: Bool { rests.isEmpty }

  /// Keeps what is left of a batch that was validated: a copy, or what it lies in.
  mutating func add(_ bytes: UnsafeRawBufferPointer, in block: LargeBlock?) {
    guard !bytes.isEmpty else { return }
    rests.append(OwnedBytes(bytes, in: block) ?? OwnedBytes(copying: bytes))
    since = since ?? .now()
  }

  /// Gives calls of the backlog to a closure while a condition holds. Neither touches the backlog.
  mutating func place(
    while isOpen: () -> Bool, _ place: (V1.Call, LargeBlock) -> Void
  ) {
    while let rest = rests.first {
      // It was validated when it came.
      let taken = rest.withBytes { bytes in
        (try? Self.place(bytes, while: isOpen) { place($0, rest.block) }) ?? bytes.count
      }
      guard taken == rest.count else {
        rests[0] = rest.dropFirst(taken)
        return
      }
      rests.removeFirst()
    }
    clear()
  }

  mutating func clear() {
    rests = []
    since = nil
  }

  /// Gives calls from the front of a batch to a closure while a condition holds. Returns how many
  /// bytes they took.
  static func place(
    _ batch: UnsafeRawBufferPointer, while isOpen: () -> Bool, _ place: (V1.Call) -> Void
  ) throws(WireError) -> Int {
    var calls = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    var taken = 0
    while let bytes = calls.next() {
      guard isOpen() else { return taken }
      place(try V1.Call(bytes))
      if let start = batch.baseAddress, let end = bytes.baseAddress {
        taken = start.distance(to: end) + bytes.count
      }
    }
    return batch.count
  }
}
