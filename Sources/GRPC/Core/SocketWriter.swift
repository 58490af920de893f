// Writes straight to a connection's socket for as long as its channel has nothing queued. A write
// through a channel costs about a tenth of a unary call: the pipeline, the queue of pending writes
// and its promises, all for bytes that the socket takes at once. What the socket does not take goes
// to the channel, and so does everything after it, until the channel has written all of it. Errors
// are left to the channel as well: it meets the same one, and ends the connection as always.
//
// Only for a handler that stands directly above the socket: what TLS has to change must not be
// written past it. With TLS such a handler stands below it (TLSSocketHandler). The handler above
// TLS has a writer made with `above`, which gives everything to TLS, in slices, at once.
//
// Thread: the channel's event loop.
//
// @exclusivity(unchecked) in this file: looked at by every write, on the loop alone.

import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where one connection's output goes: its socket, or its channel.
package final class SocketWriter {
  /// The socket; nil where it can't be written directly (no socket beneath, or closed).
  @exclusivity(unchecked) private var descriptor: NIOBSDSocket.Handle?
  /// Writes that the channel has and its socket not yet. While there are any, later ones go behind.
  @exclusivity(unchecked) private var queuedWrites = 0
  @exclusivity(unchecked) private var bytesOfQueuedWrites = 0
  @exclusivity(unchecked) private var willFlush = false
  private var onEmpty: (() -> Void)?
  /// The socket's own writer, where this one writes to TLS above it.
  private let below: SocketWriter?

  /// What TLS is given at once. It keeps a buffer for the ciphertext that has the size of the
  /// largest such piece: 32 KiB with what records add.
  static let sliceBytes = (32 << 10) - 256

  package init() { below = nil }

  /// - Parameter below: the writer of the handler between TLS and the socket.
  init(above below: SocketWriter) { self.below = below }

  /// Whether what is written is encrypted.
  package var isAboveTLS: Bool { below != nil }

  /// To be called once the channel is active.
  package func open(_ context: ChannelHandlerContext) {
    if below != nil { return }
    descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { $0 }
  }

  /// To be called when the channel is inactive or has failed: its descriptor may soon be another
  /// file's. (A channel closes its socket and tells so without running other code in between.)
  package func close() {
    descriptor = nil
  }

  /// Writes what `bytes` holds, now or as soon as the socket takes it. The buffer may be reused
  /// afterwards.
  ///
  /// - Parameter taken: told when the socket has taken it, or has failed.
  package func write(
    _ bytes: inout ByteBuffer, _ context: ChannelHandlerContext,
    taken: EventLoopPromise<Void>? = nil
  ) {
    if queuedWrites == 0, let descriptor {
      bytes.readWithUnsafeReadableBytes { Self.send(descriptor, $0) }
      if bytes.readableBytes == 0 {
        taken?.succeed()
        return
      }
    }
    if below != nil { return writeSlices(&bytes, context, taken) }
    queuedWrites += 1
    let byteCount = bytes.readableBytes
    bytesOfQueuedWrites += byteCount
    let promise = taken ?? context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { _ in self.queuedWriteEnded(byteCount) }
    context.write(NIOAny(bytes), promise: promise)
    flushSoon(context)
  }

  /// TLS encrypts when it is flushed, and holds on to the plaintext until then. The flush goes no
  /// further than to the writer below.
  private func writeSlices(
    _ bytes: inout ByteBuffer, _ context: ChannelHandlerContext, _ taken: EventLoopPromise<Void>?
  ) {
    while bytes.readableBytes > Self.sliceBytes,
      let slice = bytes.readSlice(length: Self.sliceBytes)
    {
      context.write(NIOAny(slice), promise: nil)
      context.flush()
    }
    context.write(NIOAny(bytes), promise: taken)
    context.flush()
  }

  /// Flushes when the current event has been dealt with: a flush that fails closes the channel from
  /// within, which a handler must not do (see `closeSoon`). Handlers above are not concerned.
  private func flushSoon(_ context: ChannelHandlerContext) {
    guard !willFlush else { return }
    willFlush = true
    context.eventLoop.assumeIsolated().execute {
      self.willFlush = false
      context.flush()
    }
  }

  /// Whether the socket has taken all that was written.
  package var isEmpty: Bool { below?.isEmpty ?? (queuedWrites == 0) }

  /// Bytes that are kept because the socket doesn't take them; a write counts until the last of it
  /// is taken.
  package var queuedBytes: Int { below?.queuedBytes ?? bytesOfQueuedWrites }

  /// Calls `body` once when the channel has nothing left, be it that the socket has taken all or
  /// that the channel is gone.
  package func whenEmpty(_ body: @escaping () -> Void) {
    if let below { below.whenEmpty(body) } else { onEmpty = body }
  }

  private func queuedWriteEnded(_ byteCount: Int) {
    queuedWrites -= 1
    bytesOfQueuedWrites -= byteCount
    guard queuedWrites == 0, let body = onEmpty else { return }
    onEmpty = nil
    body()
  }

  /// How many bytes the socket took; 0 also where it failed.
  private static func send(_ descriptor: NIOBSDSocket.Handle, _ bytes: UnsafeRawBufferPointer)
    -> Int
  {
    // Who closed it meanwhile is met by the channel; it must not end the process.
    #if canImport(Glibc)
      let flags = Int32(truncatingIfNeeded: MSG_NOSIGNAL)
    #else
      let flags: Int32 = 0
    #endif
    #if canImport(Glibc)
      let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
    #elseif canImport(Darwin)
      let sent = Darwin.send(descriptor, bytes.baseAddress, bytes.count, flags)
    #endif
    return max(0, sent)
  }
}
