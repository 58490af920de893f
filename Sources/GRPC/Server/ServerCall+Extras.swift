// What few calls have: messages in gzip, and the service's own metadata in the reply. Kept outside
// the call, so that calls without it pay only for a comparison with nil. Event loop only.

import HTTP2
import NIOCore

/// The extras of one call.
final class CallExtras {
  /// How the client's messages may be encoded: what its `grpc-encoding` named.
  var requestEncoding = MessageEncoding.identity
  /// The encoding named in the reply's headers. Each message separately is compressed or not.
  var replyEncoding = MessageEncoding.identity
  /// Whether messages are compressed by default.
  var compressesReplies = false
  /// Whether the message that is being delivered arrived compressed.
  var isInflated = false
  /// Whether the service has requested compression of this one message.
  var isAskedFor = false
  var initialMetadata = Metadata()
  var trailingMetadata = Metadata()
}

extension ServerCall {
  /// If a call's request is in gzip, its replies are as well (as in grpc-go), if its client accepts
  /// that and the message has this many bytes: smaller messages cost mostly their headers; larger
  /// ones would delay the loop's other calls for milliseconds.
  static let compressedReplyBytes = 512...ChunkedReply.bytesMin

  /// Whether the message that is being delivered arrived compressed.
  package var wasMessageCompressed: Bool { extras?.isInflated ?? false }

  private func makeExtras() -> CallExtras {
    if let extras { return extras }
    let made = CallExtras()
    extras = made
    return made
  }

  /// The client's messages may be in gzip.
  func beginGzip() {
    let extras = makeExtras()
    extras.requestEncoding = .gzip
    deframer.acceptsCompressed = true
    extras.compressesReplies = offerGzip()
  }

  /// Whether messages of the request may be flagged as compressed.
  @inline(__always)
  var acceptsCompressed: Bool { extras != nil && extras?.requestEncoding == .gzip }

  /// Names gzip as the encoding of the replies, which can then be sent compressed: `send` with
  /// `compressed`. Returns whether that is so: the client accepts gzip, and nothing was sent yet.
  @discardableResult
  package func offerGzip() -> Bool {
    if extras?.replyEncoding == .gzip { return true }
    guard isOpen, !stream.isAnnounced, clientTakesGzip else { return false }
    makeExtras().replyEncoding = .gzip
    return true
  }

  private var clientTakesGzip: Bool {
    guard let list = stream.headers.first("grpc-accept-encoding") else { return false }
    return list.split(separator: UInt8(ascii: ",")).contains { name in
      let blank = UInt8(ascii: " ")
      let trimmed = name.drop { $0 == blank }
      return trimmed.prefix { $0 != blank }.elementsEqual("gzip".utf8)
    }
  }

  /// Sends one message of a streaming call, in gzip or not, independent of the call's other
  /// messages. Without `offerGzip` it is sent as it is.
  package func send(compressed: Bool, _ write: (inout ByteBuffer) -> Void) {
    guard let extras else { return send(write) }
    let usual = extras.compressesReplies
    extras.compressesReplies = compressed && extras.replyEncoding == .gzip
    extras.isAskedFor = compressed
    send(write)
    extras.isAskedFor = false
    extras.compressesReplies = usual
  }

  /// Replies to a unary call, in gzip or not; as `send` with `compressed`.
  package func respond(compressed: Bool, _ write: (inout ByteBuffer) -> Void) {
    extras?.compressesReplies = compressed && extras?.replyEncoding == .gzip
    extras?.isAskedFor = compressed
    respond(write)
  }

  /// Compresses the message that was just appended, if the call's messages are.
  func compress(from mark: MessageFrame.Mark, _ extras: CallExtras, byteCount: Int) {
    guard extras.compressesReplies, let handler,
      extras.isAskedFor || Self.compressedReplyBytes.contains(byteCount)
    else { return }
    MessageFrame.compress(mark, &stream.outbound, handler.loop.gzip)
  }

  // MARK: - Metadata

  /// Sends this metadata with the reply's headers. Returns false, and does nothing, once they were
  /// sent.
  @discardableResult
  package func setInitialMetadata(_ metadata: Metadata) -> Bool {
    guard isOpen, !stream.isAnnounced else { return false }
    makeExtras().initialMetadata = metadata
    return true
  }

  /// Sends this metadata with the status.
  package func setTrailingMetadata(_ metadata: Metadata) {
    if isOpen { makeExtras().trailingMetadata = metadata }
  }
}
