// One buffer for all the connections of an event loop to read into. Otherwise a channel keeps the
// buffer that it reads into, 64 KiB each: with thousands of connections that is most of their
// memory, and with hundreds each read uses memory that has left the cache.
//
// The buffer is reused: a read takes it (`SharedReceiveAllocator.buffer`), the connection's handler
// returns it after use (`recycle`). If it is still retained at the next read, that read gets a new
// one.
//
// A channel always keeps the first buffer that its allocator makes, so that one is small. It holds
// a client's first bytes; the next read has the full size.
//
// Thread: the event loop.

import NIOCore

/// The buffer of one event loop.
package final class SharedReceiveBuffer {
  /// Size of the buffer, and so the most bytes of one read.
  package static let capacity = 64 << 10
  /// The most bytes of one read of an encrypted connection: TLS keeps its own buffer for decrypted
  /// bytes, which grows with the amount it gets at once.
  static let encryptedReadBytes = 32 << 10
  /// Size of the buffer that a channel keeps: a client's preface and SETTINGS.
  static let firstCapacity = 128

  private var spare: ByteBuffer?

  package init() {}

  /// Takes a read's buffer back. It may still be retained at that time.
  package func recycle(_ buffer: ByteBuffer) {
    if buffer.storageCapacity == Self.capacity { spare = buffer }
  }

  fileprivate func take(_ allocator: ByteBufferAllocator) -> ByteBuffer {
    if var buffer = spare.take(), buffer.modifyIfUniquelyOwned({ $0.clear() }) != nil {
      return buffer
    }
    return allocator.buffer(capacity: Self.capacity)
  }
}

/// Provides a channel's buffer for its next read.
struct SharedReceiveAllocator: RecvByteBufferAllocator {
  private let shared: NIOLoopBound<SharedReceiveBuffer>
  private let bytesMax: Int
  private var isFirst = true

  /// - Parameter bytesMax: the most bytes of one read.
  init(
    _ shared: SharedReceiveBuffer, eventLoop: any EventLoop,
    bytesMax: Int = SharedReceiveBuffer.capacity
  ) {
    self.shared = NIOLoopBound(shared, eventLoop: eventLoop)
    self.bytesMax = bytesMax
  }

  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
    if isFirst { return allocator.buffer(capacity: SharedReceiveBuffer.firstCapacity) }
    var buffer = shared.value.take(allocator)
    if bytesMax < SharedReceiveBuffer.capacity {
      // A read fills what is behind the writer's index.
      buffer.moveWriterIndex(to: buffer.capacity - bytesMax)
      buffer.moveReaderIndex(to: buffer.writerIndex)
    }
    return buffer
  }

  /// - Returns: always true, "the next buffer may be larger": else the channel would continue using
  ///   the one that it keeps.
  mutating func record(actualReadBytes: Int) -> Bool {
    isFirst = false
    return true
  }
}
