// A large finished reply, passed to its call chunk by chunk as the client reads: the loop copies a
// chunk at a time, and the connection holds no more than a stream's share. On the call's event
// loop; its owner forwards `streamWritable`.

import NIOCore

package final class ChunkedReply {
  /// A reply longer than this is worth the effort, in bytes.
  package static let bytesMin = 256 << 10
  private static let pieceBytes = 64 << 10

  private let call: ServerCall
  private var rest: ByteBuffer
  private var holding: AnyObject?

  /// - Parameters:
  ///   - message: the whole message.
  ///   - holding: released with the last of the message's memory.
  package init(_ message: ByteBuffer, to call: ServerCall, holding: AnyObject? = nil) {
    self.call = call
    self.holding = holding
    rest = message
  }

  /// Begins the reply.
  package func start() {
    call.beginMessage(byteCount: rest.readableBytes)
    resume()
  }

  /// Passes what the client accepts now; ends the call after the last chunk. Call it when the call
  /// is writable again.
  package func resume() {
    while call.isWritable, rest.readableBytes > 0 {
      let count = min(Self.pieceBytes, rest.readableBytes)
      rest.readWithUnsafeReadableBytes { bytes in
        call.appendToMessage(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        return count
      }
    }
    guard rest.readableBytes == 0 else { return }
    rest = ByteBuffer()
    holding = nil
    call.finish(.ok)
  }
}
