// Writes directly to a connection's socket as long as its channel's queue is empty. A write through
// a channel costs about a tenth of a unary call: the pipeline, the queue of pending writes and its
// promises, all for bytes that the socket accepts at once. Bytes that the socket does not accept go
// to the channel, and so does everything after them, until the channel has written all of it.
// Errors are left to the channel too: it gets the same one, and closes the connection as usual.
//
// Only for a handler directly above the socket: plaintext must not bypass TLS. With TLS such a
// handler is below it (TLSSocketHandler). The handler above TLS has a writer made with `above`,
// which gives everything to TLS, in slices, at once.
//
// Thread: the channel's event loop.

import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where one connection's output goes: its socket, or its channel.
package final class SocketWriter {
  /// The socket; nil if it can't be written directly (no socket below, or closed).
  private var descriptor: NIOBSDSocket.Handle?
  /// Writes queued in the channel. While there are any, later ones are queued too.
  private var queuedWrites = 0
  private var bytesOfQueuedWrites = 0
  private var willFlush = false
  private var onEmpty: (() -> Void)?
  /// The socket's own writer, if this one writes to TLS above it.
  private let below: SocketWriter?

  /// The maximum passed to TLS at once. TLS keeps a ciphertext buffer of the size of the largest
  /// such piece: 32 KiB plus the overhead of records.
  static let sliceBytes = (32 << 10) - 256

  package init() { below = nil }

  /// - Parameter below: the writer of the handler between TLS and the socket.
  init(above below: SocketWriter) { self.below = below }

  /// Whether the output is encrypted.
  package var isAboveTLS: Bool { below != nil }

  /// To be called once the channel is active.
  package func open(_ context: ChannelHandlerContext) {
    if below != nil { return }
    descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { $0 }
  }

  /// Call it when the channel is inactive or has failed: its descriptor may soon belong to another
  /// file. (A channel closes its socket and reports it without running other code in between.)
  package func close() {
    descriptor = nil
  }

  /// Writes `bytes`, now or as soon as the socket accepts it. The buffer may be reused afterwards.
  ///
  /// - Parameter taken: called when the socket has accepted it, or has failed.
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

  /// TLS encrypts when it is flushed, and keeps the plaintext until then. The flush goes only to
  /// the writer below.
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

  /// Whether the socket has accepted all output.
  package var isEmpty: Bool { below?.isEmpty ?? (queuedWrites == 0) }

  /// Bytes queued in the channel. A write counts until the socket has accepted all of it.
  package var queuedBytes: Int { below?.queuedBytes ?? bytesOfQueuedWrites }

  /// Calls `body` once when the channel's queue is empty, because the socket has accepted
  /// everything or the channel is closed.
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

  /// The number of bytes that the socket accepted; also 0 if it failed.
  private static func send(_ descriptor: NIOBSDSocket.Handle, _ bytes: UnsafeRawBufferPointer)
    -> Int
  {
    // The channel handles a close by the peer; it must not end the process.
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
