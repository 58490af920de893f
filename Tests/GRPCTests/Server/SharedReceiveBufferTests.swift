// The buffer that all connections of a loop read into, through what a channel asks for its reads.

import NIOCore
import NIOEmbedded
import Testing

@testable import GRPC

@Suite struct SharedReceiveBufferTests {
  private let loop = EmbeddedEventLoop()
  private let shared = SharedReceiveBuffer()

  /// What a channel has: NIO's own pool, as a channel sets it up.
  private func channelPool() -> NIOPooledRecvBufferAllocator {
    NIOPooledRecvBufferAllocator(
      capacity: 1, recvAllocator: SharedReceiveAllocator(shared, eventLoop: loop))
  }

  /// One read of so many bytes. Returns the buffer, and the address that was read to.
  private func read(
    _ count: Int, _ pool: inout NIOPooledRecvBufferAllocator
  ) -> (ByteBuffer, UInt) {
    let (buffer, address) = pool.buffer(allocator: ByteBufferAllocator()) { buffer in
      buffer.withMutableWritableBytes(count)
    }
    pool.record(actualReadBytes: count)
    return (buffer, address)
  }

  @Test func connectionsReadIntoOneBuffer() {
    var pools = (0..<50).map { _ in channelPool() }
    for index in pools.indices {
      let (first, _) = read(100, &pools[index])
      #expect(first.readableBytes == 100)
      #expect(first.storageCapacity <= SharedReceiveBuffer.firstCapacity)
      shared.recycle(first)
    }
    var addresses: Set<UInt> = []
    for _ in 0..<3 {
      for index in pools.indices {
        let (buffer, address) = read(60_000, &pools[index])
        #expect(buffer.readableBytes == 60_000)
        addresses.insert(address)
        shared.recycle(buffer)
      }
    }
    #expect(addresses.count == 1)
  }

  @Test func aBufferThatIsStillHeldIsNotReadInto() {
    var (one, other) = (channelPool(), channelPool())
    for pool in 0..<2 { _ = pool == 0 ? read(1, &one) : read(1, &other) }
    let (held, first) = read(10, &one)
    shared.recycle(held)
    let (next, second) = read(10, &other)
    #expect(first != second)
    #expect(held.readableBytes == 10)
    shared.recycle(next)
  }
}

extension ByteBuffer {
  /// Writes so many bytes; returns where.
  fileprivate mutating func withMutableWritableBytes(_ count: Int) -> UInt {
    var address: UInt = 0
    writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { bytes in
      let taken = min(count, bytes.count)
      bytes[..<taken].initializeMemory(as: UInt8.self, repeating: 7)
      address = UInt(bitPattern: bytes.baseAddress)
      return taken
    }
    return address
  }
}
