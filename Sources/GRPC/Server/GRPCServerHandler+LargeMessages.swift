// Large messages of clients: which of them may be received now, and where those of unary calls are
// collected.
//
// A message longer than its stream's window is admitted when those being received leave room for
// it. A message of `LargeBlock.bytesMin` or more is received into a block of its own, which the
// service may keep instead of a copy (`ServerCall.messageBlock`); streaming calls get such a block
// from their deframer anyway, unary calls use it only for these messages.

import HTTP2
import NIOCore

extension GRPCServerHandler {
  /// Takes the received part of a unary call's large message, and hands the message to the service
  /// once it is complete and the client has ended.
  func gather(_ call: ServerCall) {
    let stream = call.stream
    var failure: MessageFramingError?
    if call.deframer.gatheredMessage == nil {
      stream.inbound.readWithUnsafeReadableBytes { bytes -> Int in
        var rest = bytes
        do throws(MessageFramingError) {
          _ = try call.deframer.next(&rest, gathersAll: true)
        } catch {
          failure = error
        }
        return bytes.count - rest.count
      }
      call.deframer.reserveAnnounced()
    }
    session.consume(stream, stream.unconsumed)
    account(call, buffered: call.deframer.filledBytes)
    guard call.isOpen else { return }
    let isTruncated = stream.remoteEnded && call.deframer.gatheredMessage == nil
    if let failure = failure ?? (isTruncated ? .truncatedAtEnd : nil) {
      complete(call, failure.status(limit: configuration.maxMessageBytes))
    } else if stream.inbound.readableBytes > 0 {
      complete(call, RPCStatus(.unimplemented, "unary call with more than one message"))
    } else if let message = call.deframer.gatheredMessage, stream.remoteEnded {
      guard session.outboundBytes <= configuration.holdBytes else { return hold(call) }
      Self.release(&stream.inbound)
      hand(call, message)
      call.deframer.reset()
      noteInbound(call)
      if call.largeMessage.admitted > 0 { dismiss(call) }
    } else {
      Self.release(&stream.inbound)
    }
  }

  // MARK: - Letting them in

  /// Whether a message longer than the stream's window may be received now; if not, it waits for
  /// its turn.
  func admit(_ call: ServerCall, _ bytes: Int) -> Bool {
    largeMessages.admit(call, bytes, limit: configuration.maxLargeMessageBytes)
  }

  /// A large message is complete, or its call has ended: the next ones may be received.
  func dismiss(_ call: ServerCall) {
    largeMessages.end(call)
    while let next = largeMessages.admitNext(
      of: self, limit: configuration.maxLargeMessageBytes)
    {
      readingResumed(next)
    }
  }
}
