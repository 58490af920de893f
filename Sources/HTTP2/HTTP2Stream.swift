// One HTTP/2 stream as its session's owner sees it: what was received and not yet consumed, what
// waits to be sent, and how far each direction has come. Owned and pooled by HTTP2Session; lives on
// the connection's event loop. The C callbacks write into it; the owner reads it after `receive`.
//
// Within this module the properties opt out of the run-time exclusivity check, which took a quarter
// of a call's time: one thread uses them, and no code of an owner runs within an access here.

import LargeMemory
import NIOCore

/// A stream of a session.
///
/// Objects are reused: after `HTTP2Session.recycle(_:)` the same object will stand for another
/// stream. Nothing may be done with it then; commands on a closed stream do nothing.
package final class HTTP2Stream {
  /// How the outbound body ends.
  enum OutboundEnd: UInt8 {
    case open
    case endStream
    case trailers
  }

  /// The stream's number; 0 while the object is in the pool.
  @exclusivity(unchecked) package internal(set) var id: Int32 = 0
  /// The request's or the response's header fields; complete once `headersReceived`.
  package let headers = HeaderBlock()
  /// The fields after the body; complete once `trailersReceived`.
  package let trailers = HeaderBlock()
  /// Body bytes that arrived and were not read yet. The owner moves the reader index; window credit
  /// is given apart from that, by `HTTP2Session.consume`.
  @exclusivity(unchecked) package var inbound = ByteBuffer()
  /// Body bytes to be sent, behind those that were handed over. The owner appends and then calls
  /// `HTTP2Session.bodyChanged`.
  @exclusivity(unchecked) package var outbound = ByteBuffer()
  /// The owner's own object for this stream. It stays when the stream is recycled, so that pooled
  /// objects can keep their partner.
  @exclusivity(unchecked) package var context: AnyObject?

  /// The header block is complete (for a client: the final one, not 1xx).
  @exclusivity(unchecked) package internal(set) var headersReceived = false
  /// The trailers are complete.
  @exclusivity(unchecked) package internal(set) var trailersReceived = false
  /// A block passed the limits of fields or bytes; the rest of it was thrown away.
  @exclusivity(unchecked) package internal(set) var headersTooLarge = false
  /// The peer ended its side.
  @exclusivity(unchecked) package internal(set) var remoteEnded = false
  /// The stream is over, both ways. `closeCode` says how.
  @exclusivity(unchecked) package internal(set) var isClosed = false
  /// The code the stream was closed with; `.noError` after a normal end.
  @exclusivity(unchecked) package internal(set) var closeCode = HTTP2ErrorCode.noError
  /// The HEADERS that open our side were handed to the output buffer. Kept for clients only.
  @exclusivity(unchecked) package internal(set) var headersSent = false
  /// Our side was ended by `finish`, or by headers that had no body.
  @exclusivity(unchecked) package internal(set) var localEnded = false
  /// Bytes received on this stream for which no window credit was given yet.
  @exclusivity(unchecked) package internal(set) var unconsumed = 0
  /// Set by the owner to be touched when the bytes in `outbound` have come down to this number;
  /// negative: not at all. It is negative again once that has happened.
  @exclusivity(unchecked) package var outboundMark = -1
  /// Set by the owner to throw away what else arrives: it is credited and dropped.
  @exclusivity(unchecked) package var discardsInbound = false

  /// The headers that open our side were submitted.
  @exclusivity(unchecked) package internal(set) var isAnnounced = false
  /// Body bytes of this stream that were written so far.
  @exclusivity(unchecked) package internal(set) var bodyBytesSent = 0

  /// What is sent before `outbound`; nil where there is nothing.
  @exclusivity(unchecked) var ahead: OutboundPieces?
  /// Bytes of `unconsumed` for which the connection's window may have been credited already.
  @exclusivity(unchecked) var parked = 0
  @exclusivity(unchecked) var isTouched = false
  @exclusivity(unchecked) var isDeferred = false
  /// What this stream contributes to the session's `outboundBytes`.
  @exclusivity(unchecked) var accountedOutbound = 0
  @exclusivity(unchecked) var wasReset = false
  @exclusivity(unchecked) var outboundEnd = OutboundEnd.open
  /// The trailers were given to the library.
  @exclusivity(unchecked) var trailersSubmitted = false
  @exclusivity(unchecked) var staticTrailers: StaticHeaders?
  @exclusivity(unchecked) var outboundTrailers: HeaderBlock?
  @exclusivity(unchecked) var liveIndex = -1
  /// What this stream contributes to the session's `largeHeaderBytes`.
  @exclusivity(unchecked) var largeHeaderBytes = 0

  init() {}

  /// Body bytes that wait to be sent.
  package var outboundBytes: Int {
    guard let ahead else { return outbound.readableBytes }
    return ahead.byteCount + outbound.readableBytes
  }

  /// Appends bytes that are sent from where they lie: they are held until they are gone, and not
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

  /// Back to the state of a new object; keeps buffers of modest size and the owner's context.
  func clear() {
    id = 0
    headers.removeAll()
    trailers.removeAll()
    Self.reset(&inbound)
    Self.reset(&outbound)
    ahead = nil
    headersReceived = false
    trailersReceived = false
    headersTooLarge = false
    remoteEnded = false
    isClosed = false
    closeCode = .noError
    headersSent = false
    localEnded = false
    unconsumed = 0
    parked = 0
    outboundMark = -1
    discardsInbound = false
    isDeferred = false
    isAnnounced = false
    bodyBytesSent = 0
    accountedOutbound = 0
    wasReset = false
    outboundEnd = .open
    trailersSubmitted = false
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
