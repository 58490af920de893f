// The rest of a Pipeline's batch of which not all calls could be placed at once. It holds at most
// one message, since the stream is not read meanwhile. One event loop.

import NIOCore
import RingstoreAPI

struct CallBacklog {
  private var rest = ByteBuffer()
  /// When the rest came: the deadlines of its calls count from then. Nil where there is none.
  private(set) var since: NIODeadline?

  var isEmpty: Bool { rest.readableBytes == 0 }

  /// Keeps what is left of a batch that was validated.
  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    if rest.readableBytes == 0 { rest = ByteBuffer() }
    rest.writeBytes(bytes)
    since = since ?? .now()
  }

  /// Gives calls of the backlog to a closure while a condition holds. Neither touches the backlog.
  mutating func place(
    while isOpen: () -> Bool, _ place: (CallView) -> Void
  ) {
    rest.readWithUnsafeReadableBytes { bytes in
      // It was validated when it came.
      (try? Self.place(bytes, while: isOpen, place)) ?? bytes.count
    }
    if isEmpty { clear() }
  }

  mutating func clear() {
    rest = ByteBuffer()
    since = nil
  }

  /// Gives calls from the front of a batch to a closure while a condition holds. Returns how many
  /// bytes they took.
  static func place(
    _ batch: UnsafeRawBufferPointer, while isOpen: () -> Bool, _ place: (CallView) -> Void
  ) throws(WireError) -> Int {
    var reader = WireReader(batch)
    var taken = 0
    while let tag = try reader.nextTag() {
      guard tag == .bytes(1) else {
        try reader.skip(tag)
        continue
      }
      let bytes = try reader.readBytes()
      guard isOpen() else { return taken }
      place(try CallView(bytes, carrier: .pipeline))
      if let start = batch.baseAddress, let end = bytes.baseAddress {
        taken = start.distance(to: end) + bytes.count
      }
    }
    return batch.count
  }
}
