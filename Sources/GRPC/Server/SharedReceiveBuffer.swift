// One buffer for all the connections of an event loop to read into. A channel keeps the buffer that
// it reads into, 64 KiB each: with thousands of connections that is most of their memory, and with
// hundreds each read lands on memory that has left the cache.
//
// The buffer goes round: a read takes it (`SharedReceiveAllocator.buffer`), the connection's
// handler gives it back once it has what it needs (`recycle`). If something still holds on to it at
// the next read, that read gets a new one.
//
// A channel always keeps the first buffer that its allocator makes, so that one is small. It holds
// a client's first words; more is there again at the next read.
//
// Thread: the event loop.

import NIOCore

/// The buffer of one event loop.
package final class SharedReceiveBuffer {
  /// Size of the buffer, and so the most that one read brings.
  package static let capacity = 64 << 10
  /// The most that one read brings of an encrypted connection: TLS keeps a buffer of its own for
  /// what it decrypts, which grows with what it is given at once.
  static let encryptedReadBytes = 32 << 10
  /// Size of the buffer that a channel keeps: a client's preface and SETTINGS.
  static let firstCapacity = 128

  private var spare: ByteBuffer?

  package init() {}

  /// Takes a read's buffer back. It may still be held for the moment.
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

/// What a channel asks for the buffer of its next read.
struct SharedReceiveAllocator: RecvByteBufferAllocator {
  private let shared: NIOLoopBound<SharedReceiveBuffer>
  private let bytesMax: Int
  private var isFirst = true

  /// - Parameter bytesMax: the most that a read is to bring.
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
