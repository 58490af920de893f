// Messages in gzip, the only supported encoding besides identity. Owns zlib's two states, which are
// created on first use: about 40 KiB to decompress, 260 KiB to compress. One for each event loop of
// a server and for each client connection that gets a compressed message; on that loop.

internal import CZlib
import NIOCore

/// How the messages of a call may be encoded (`grpc-encoding`).
package enum MessageEncoding: Sendable, Hashable {
  case identity
  case gzip
}

/// Inflates and deflates whole messages.
package final class GzipCodec {
  /// The fastest: compression blocks an event loop.
  private static let level: Int32 = 1
  /// The assumed decompressed size of a message, until it is known.
  private static let growthFactor = 4
  private static let firstBytesMin = 1 << 10

  private var inflater: UnsafeMutablePointer<z_stream>?
  private var deflater: UnsafeMutablePointer<z_stream>?

  package init() {}

  deinit {
    if let inflater {
      inflateEnd(inflater)
      inflater.deallocate()
    }
    if let deflater {
      deflateEnd(deflater)
      deflater.deallocate()
    }
  }

  /// The message that these bytes are the gzip of. Memory grows with the real output, and stops at
  /// the limit, so a bomb costs no more than the longest message.
  ///
  /// - Throws: `.tooLargeInflated` past the limit, `.badCompression` if the bytes are not one
  ///   complete gzip stream.
  package func inflate(
    _ bytes: UnsafeRawBufferPointer, limit: Int
  ) throws(MessageFramingError) -> ByteBuffer {
    guard let stream = readyInflater(), let base = bytes.baseAddress else { throw .badCompression }
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: base.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(clamping: bytes.count)
    defer { stream.pointee.next_in = nil }
    var message = ByteBuffer()
    var room = min(limit + 1, max(Self.growthFactor * bytes.count, Self.firstBytesMin))
    while true {
      let outcome = Self.step(&message, room: room) { memory in
        stream.pointee.next_out = memory
        stream.pointee.avail_out = UInt32(clamping: room)
        return (CZlib.inflate(stream, Z_NO_FLUSH), room - Int(stream.pointee.avail_out))
      }
      guard message.readableBytes <= limit else { throw .tooLargeInflated }
      if outcome == Z_STREAM_END {
        guard stream.pointee.avail_in == 0 else { throw .badCompression }
        return message
      }
      // There was space left, so the end of the gzip stream is missing.
      guard outcome == Z_OK, stream.pointee.avail_out == 0 else { throw .badCompression }
      room = min(limit + 1 - message.readableBytes, max(message.readableBytes, room))
    }
  }

  /// Appends the gzip of these bytes. Returns false, and appends nothing, if it would not be
  /// shorter.
  package func deflate(_ bytes: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) -> Bool {
    guard let stream = readyDeflater(), let base = bytes.baseAddress, bytes.count > 1 else {
      return false
    }
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: base.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(clamping: bytes.count)
    defer { stream.pointee.next_in = nil }
    let start = buffer.writerIndex
    let room = bytes.count - 1
    let outcome = Self.step(&buffer, room: room) { memory in
      stream.pointee.next_out = memory
      stream.pointee.avail_out = UInt32(clamping: room)
      return (CZlib.deflate(stream, Z_FINISH), room - Int(stream.pointee.avail_out))
    }
    if outcome == Z_STREAM_END { return true }
    buffer.moveWriterIndex(to: start)
    return false
  }

  /// Has `body` write up to `room` bytes behind those of the buffer; it says what zlib said, and
  /// how many it wrote.
  private static func step(
    _ buffer: inout ByteBuffer, room: Int,
    _ body: (UnsafeMutablePointer<UInt8>) -> (outcome: Int32, written: Int)
  ) -> Int32 {
    var outcome = Z_BUF_ERROR
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
      guard let base = memory.baseAddress else { return 0 }
      let written: Int
      (outcome, written) = body(base.assumingMemoryBound(to: UInt8.self))
      return written
    }
    return outcome
  }

  private func readyInflater() -> UnsafeMutablePointer<z_stream>? {
    if let inflater { return inflateReset(inflater) == Z_OK ? inflater : nil }
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    guard CZlib_inflate_begin(stream) == Z_OK else {
      stream.deallocate()
      return nil
    }
    inflater = stream
    return stream
  }

  private func readyDeflater() -> UnsafeMutablePointer<z_stream>? {
    if let deflater { return deflateReset(deflater) == Z_OK ? deflater : nil }
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    guard CZlib_deflate_begin(stream, Self.level) == Z_OK else {
      stream.deallocate()
      return nil
    }
    deflater = stream
    return stream
  }
}
