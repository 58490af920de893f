// One HTTP/2 stream, for the session's owner: input that was not yet consumed, output that waits to
// be sent, and the state of each direction. Owned and pooled by HTTP2Session; used on the
// connection's event loop. The C callbacks write into it; the owner reads it after `receive`.

import LargeMemory
import NIOCore

/// A stream of a session.
///
/// Objects are reused: after `HTTP2Session.recycle(_:)` the same object is used for another stream.
/// Don't use it after that; commands on a closed stream do nothing.
@usableFromInline
package final class HTTP2Stream {
  /// The stream's number; 0 while the object is in the pool.
  package internal(set) var id: Int32 = 0
  /// The request's or the response's header fields; complete once `headersReceived`.
  package let headers = HeaderBlock()
  /// The fields after the body; complete once `trailersReceived`.
  package let trailers = HeaderBlock()
  /// Body bytes that arrived and were not read yet. The owner moves the reader index; window credit
  /// is given separately, by `HTTP2Session.consume`.
  package var inbound = ByteBuffer()
  /// Body bytes to be sent, after the pieces that were handed over. The owner appends and then
  /// calls `HTTP2Session.bodyChanged`.
  package var outbound = ByteBuffer()
  /// The owner's own object for this stream. It stays when the stream is recycled, so that pooled
  /// objects can keep it.
  package var context: AnyObject?

  /// Bytes received on this stream for which no window credit was given yet.
  package internal(set) var unconsumed = 0
  /// Set by the owner: the stream is touched when the bytes in `outbound` have come down to this
  /// number; negative: never. It is set to negative again once that has happened.
  package var outboundMark = -1
  /// Body bytes of this stream that were written so far.
  package internal(set) var bodyBytesSent = 0

  /// The state of the stream. Only the session changes it.
  @usableFromInline var state = StreamState()
  /// The pieces that are sent before `outbound`; nil if there are none.
  var ahead: OutboundPieces?
  /// Bytes of `unconsumed` for which the connection's window may have been credited already.
  var parked = 0
  /// Whether it is on the session's list of touched streams, and the next one there.
  var isTouched = false
  var nextTouched: Unmanaged<HTTP2Stream>?
  /// What this stream contributes to the session's `outboundBytes`.
  var accountedOutbound = 0
  /// Not retained: constants, which live as long as the process.
  unowned(unsafe) var staticTrailers: StaticHeaders?
  var outboundTrailers: HeaderBlock?
  var liveIndex = -1
  /// What this stream contributes to the session's `largeHeaderBytes`.
  var largeHeaderBytes = 0

  init() {}

  /// The header block is complete (for a client: the final one, not 1xx).
  @inlinable
  package var headersReceived: Bool { state.hasHeaders }
  /// The trailers are complete.
  package var trailersReceived: Bool { state.hasTrailers }
  /// A block passed the limits of fields or bytes; the rest of it was thrown away.
  @inlinable
  package var headersTooLarge: Bool { state.headersTooLarge }
  /// The peer ended its side.
  @inlinable
  package var remoteEnded: Bool { state.hasPeerEnded }
  /// The stream has ended, in both directions. `closeCode` is the reason.
  @inlinable
  package var isClosed: Bool { state.isClosed }
  /// The code the stream was closed with; `.noError` after a normal end.
  package var closeCode: HTTP2ErrorCode { state.closeCode }
  /// The headers that open our side were submitted.
  package var isAnnounced: Bool { state.isAnnounced }
  /// The HEADERS that open our side were handed to the output buffer. Kept for clients only.
  package var headersSent: Bool { state.headersSent }
  /// Our side was ended by `finish`, or by headers that had no body.
  package var localEnded: Bool { state.haveWeEnded }
  /// What else arrives of the body is credited and dropped.
  package var discardsInbound: Bool { state.discardsBody }

  /// Discards the rest of the body: it is credited and dropped.
  package func discardInbound() { state.discardBody() }

  /// Body bytes that wait to be sent.
  package var outboundBytes: Int {
    guard let ahead else { return outbound.readableBytes }
    return ahead.byteCount + outbound.readableBytes
  }

  /// Appends bytes that are sent from their own memory: it is retained until they are sent, and not
  /// copied before. Call `HTTP2Session.bodyChanged` afterwards. O(1).
  package func appendOutbound(_ bytes: OwnedBytes) {
    guard bytes.count > 0 else { return }
    var pieces = ahead ?? OutboundPieces()
    ahead = nil
    if outbound.readableBytes > 0 {
      pieces.append(outbound)
      outbound = ByteBuffer()
    }
    pieces.append(bytes)
    ahead = pieces
  }

  /// Back to the state of a new object; keeps small buffers and the owner's context.
  func clear() {
    id = 0
    state = StreamState()
    headers.removeAll()
    trailers.removeAll()
    Self.reset(&inbound)
    Self.reset(&outbound)
    ahead = nil
    unconsumed = 0
    parked = 0
    outboundMark = -1
    bodyBytesSent = 0
    accountedOutbound = 0
    staticTrailers = nil
    outboundTrailers?.removeAll()
    liveIndex = -1
    largeHeaderBytes = 0
  }

  /// Capacity of the buffers.
  var bufferCapacity: Int { inbound.capacity + outbound.capacity }

  /// Frees the buffers, which must be empty.
  func dropBuffers() {
    inbound = ByteBuffer()
    outbound = ByteBuffer()
  }

  private static func reset(_ buffer: inout ByteBuffer) {
    if buffer.capacity > HTTP2Configuration.retainedBufferBytes {
      buffer = ByteBuffer()
    } else if buffer.writerIndex > 0 {
      buffer.clear()
    }
  }
}
