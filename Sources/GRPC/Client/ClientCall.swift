// One call of a client connection, for its user. On the connection's event loop. The connection
// owns it until it has ended; an ended call ignores every command.

import HTTP2
import LargeMemory
import NIOCore

/// A call in progress.
package final class ClientCall {
  /// The user's own.
  package var tag: UInt64 = 0
  /// The connection that carries the call.
  package let connection: ClientConnection
  /// The encoding of its messages, if that makes them shorter.
  package let encoding: MessageEncoding
  /// The number of compressed messages received.
  package internal(set) var compressedMessages = 0
  /// Whether the call is over.
  package private(set) var isEnded = false

  // For the connection only.
  var handler: (any ClientCallHandler)?
  var stream: HTTP2Stream?
  var deadline: DeadlineQueue<ClientCall>.Handle?
  var isPaused = false
  var isBlocked = false
  var isHalfClosed = false
  var headersSeen = false
  var slotReleased = false
  var path: String
  var metadata: Metadata
  var deadlineNanos: UInt64?
  /// Framed messages, as long as the call waits for a stream.
  var queued = ByteBuffer()

  private var wasSentBeforeEnd = false

  init(
    connection: ClientConnection, path: String, metadata: Metadata, deadlineNanos: UInt64?,
    encoding: MessageEncoding, handler: any ClientCallHandler
  ) {
    self.connection = connection
    self.path = path
    self.metadata = metadata
    self.deadlineNanos = deadlineNanos
    self.encoding = encoding
    self.handler = handler
  }

  /// Whether anything of the call was written to the socket. If not, the peer can't know the call.
  package var wasSent: Bool { stream?.headersSent ?? wasSentBeforeEnd }

  /// Whether more messages should be sent. They are accepted even if not, so check before each:
  /// this is the back-pressure. `callWritable` is called when it becomes true again.
  package var isWritable: Bool { !isEnded && !isBlocked }

  /// Bytes of messages that wait to be sent.
  package var outboundBytes: Int { stream?.outboundBytes ?? queued.readableBytes }

  /// Sends one message: `write` puts it directly into the call's outbound buffer, and it is sent at
  /// the end of the tick. `write` may only append. Ignored after `halfClose` or the end.
  ///
  /// - Parameter isPlain: not compressed, whatever the call's encoding.
  package func send(isPlain: Bool = false, _ write: (inout ByteBuffer) -> Void) {
    guard !isEnded, !isHalfClosed else { return }
    if let stream {
      OutboundBuffer.reclaim(&stream.outbound)
      append(to: &stream.outbound, isPlain: isPlain, write)
      connection.bodyChanged(stream)
    } else {
      append(to: &queued, isPlain: isPlain, write)
    }
    blockIfFull()
  }

  private func append(
    to buffer: inout ByteBuffer, isPlain: Bool, _ write: (inout ByteBuffer) -> Void
  ) {
    let mark = MessageFrame.begin(&buffer)
    write(&buffer)
    MessageFrame.end(mark, &buffer)
    if encoding == .gzip, !isPlain { MessageFrame.compress(mark, &buffer, connection.gzip) }
  }

  /// Sends one message from a buffer of the caller, which is empty afterwards; see
  /// `MessageFrame.leaveRoom`. It is not compressed.
  ///
  /// - Parameter tail: the end of the message, sent from its own buffer and held until it is sent.
  ///   (A call that waits for its stream copies it.)
  package func send(_ message: inout ByteBuffer, tail: OwnedBytes? = nil) {
    guard !isEnded, !isHalfClosed else { return MessageFrame.leaveRoom(in: &message) }
    guard let stream else {
      tail?.withBytes { _ = message.writeBytes($0) }
      return MessageFrame.move(&message, to: &queued)
    }
    OutboundBuffer.reclaim(&stream.outbound)
    MessageFrame.move(&message, followedBy: tail?.count ?? 0, to: &stream.outbound)
    if let tail { stream.appendOutbound(tail) }
    connection.bodyChanged(stream)
    blockIfFull()
  }

  private func blockIfFull() {
    if !isBlocked, outboundBytes >= connection.configuration.outboundHighWaterBytes {
      isBlocked = true
      stream?.outboundMark = connection.configuration.outboundLowWaterBytes
    }
  }

  /// Ends the request side, after the messages already sent.
  package func halfClose() {
    guard !isEnded, !isHalfClosed else { return }
    isHalfClosed = true
    if let stream { connection.finish(stream) }
  }

  /// Ends the call with CANCELLED, and sends RST_STREAM to the peer. `ended` is called before this
  /// returns.
  package func cancel() {
    connection.end(self, RPCStatus(.cancelled, "cancelled by the caller"))
  }

  /// No more messages are delivered and no window credit is given, so that the peer stops sending.
  /// The end of the call is reported in a pause too, unless messages must be delivered before it.
  /// When the connection is lost or closed, complete messages are delivered at once in spite of the
  /// pause.
  package func pauseReading() { isPaused = true }

  /// Ends `pauseReading`. Waiting messages are delivered at the end of the tick.
  package func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    if let stream { connection.revisit(stream) }
  }

  func markEnded() {
    wasSentBeforeEnd = stream?.headersSent ?? false
    isEnded = true
  }
}
