// One RPC on the server, as the service sees it. Paired for life with an HTTP2Stream and reused
// with it by any connection of its event loop, so a call costs no allocation. Event loop only.

import HTTP2
import LargeMemory
import NIOCore

/// A call. Valid until its reply (`respond`, `fail`, `finish`) or until `callEnded`.
package final class ServerCall {
  /// The id the service gave for the method.
  package internal(set) var methodID = 0
  /// The service's own number.
  package var tag: UInt64 = 0
  /// The service's own object; nil again at the next call.
  package var context: AnyObject?
  /// The call's deadline: nanoseconds of NIODeadline's clock; nil: none.
  package internal(set) var deadlineNanos: UInt64?
  /// Called once with how the call has ended, before its reply is sent.
  var onEnd: ((RPCStatus) -> Void)?

  var authorizationPlace = AuthorizationPlace.none
  let stream: HTTP2Stream
  /// The connection of the call; nil while the object is in the pool, so that it retains none.
  var handler: GRPCServerHandler?
  /// The state of the call.
  var state = ServerCallState()
  var kind = ServerMethod.Kind.unary
  /// What few calls have; see ServerCall+Extras.swift.
  var extras: CallExtras?
  var deframer: MessageDeframer
  /// What the connection holds for the call.
  var bytes = CallBytes()
  var largeMessage = LargeMessages.Place()
  /// The message that is being appended to the reply.
  var pieces = MessageInPieces()
  /// How often this call has paused its connection and not resumed it.
  private var connectionPauses = 0
  var deadlineHandle: DeadlineQueue<ServerCall>.Handle?
  /// How much the client reads of the reply, and how much it sends of an unfinished message.
  var replyProgress = ReplyProgress()
  var inboundProgress = ProgressWindow()

  init(stream: HTTP2Stream, configuration: ServerConfiguration) {
    self.stream = stream
    deframer = MessageDeframer(limit: configuration.maxMessageBytes)
  }

  /// Whether the call has begun and neither has a reply nor was ended.
  var isOpen: Bool { state.isOpen }

  /// The metadata the client sent. Parsed at each use; O(fields).
  package var metadata: Metadata {
    var result = Metadata()
    for index in 0..<stream.headers.count {
      result.addReceived(
        name: stream.headers.name(at: index), value: stream.headers.value(at: index))
    }
    return result
  }

  /// The first value of one field, as received; -bin values are still encoded. O(fields), and
  /// cheaper than `metadata`.
  package func firstMetadata(_ name: StaticString) -> [UInt8]? {
    stream.headers.first(name).map { Array($0) }
  }

  /// The values of all request fields with a name, in their order. Valid until the call is over.
  /// O(fields).
  package func metadataValues(_ name: StaticString) -> [UnsafeRawBufferPointer] {
    var values: [UnsafeRawBufferPointer] = []
    for index in 0..<stream.headers.count where stream.headers.name(at: index).equals(name) {
      values.append(stream.headers.value(at: index))
    }
    return values
  }

  /// Calls a closure once with the outcome of the call, before its reply is sent, in addition to
  /// earlier closures.
  package func whenEnded(_ tell: @escaping (RPCStatus) -> Void) {
    guard let earlier = onEnd else {
      onEnd = tell
      return
    }
    onEnd = {
      earlier($0)
      tell($0)
    }
  }

  /// The value of the request's field `authorization`; nil: it has none. Where it has several, it
  /// is empty. Valid until the call is over.
  @inline(__always)
  package var authorization: UnsafeRawBufferPointer? {
    switch authorizationPlace {
    case .none: nil
    case .field(let place): stream.headers.value(at: place)
    case .several: UnsafeRawBufferPointer(start: nil, count: 0)
    }
  }

  /// The service's own object for the call's connection, kept as long as that; nil until it is set.
  package var connectionContext: AnyObject? {
    get { handler?.serviceContext }
    set { handler?.serviceContext = newValue }
  }

  /// The block that holds the message being delivered, if it is large (`LargeBlock.bytesMin`); nil
  /// for any other. To use the message after its delivery, keep the block; no copy is needed.
  package var messageBlock: LargeBlock? {
    extras?.isInflated == true ? nil : deframer.messageBlock
  }

  /// The connection that this call arrived on; nil once the call has ended.
  package var connection: (any ServerConnection)? { handler }

  // MARK: - The reply

  /// Replies to a unary call: `write` appends the message's bytes to the stream's own buffer.
  package func respond(_ write: (inout ByteBuffer) -> Void) {
    guard isOpen else { return }
    append(write)
    handler?.complete(self, .ok)
  }

  /// Replies to a unary call with a message that is ready. It is copied.
  package func respond(message: UnsafeRawBufferPointer) {
    guard isOpen else { return }
    if extras != nil { return respond { $0.writeBytes(message) } }
    MessageFrame.write(message, to: &stream.outbound)
    handler?.tally.sent()
    handler?.complete(self, .ok)
  }

  /// Ends a call with an error: Trailers-Only if nothing was sent, else trailers after what was. It
  /// may be called within a message in pieces: no client takes that for a complete message.
  package func fail(_ status: RPCStatus) {
    finish(status)
  }

  /// Ends a streaming call, or one with a reply in pieces, after what was sent so far.
  package func finish(_ status: RPCStatus) {
    guard isOpen else { return }
    assert(pieces.missing == 0 || !status.isOK, "the message isn't whole")
    handler?.complete(self, status)
  }

  /// Sends one message of a streaming call.
  package func send(_ write: (inout ByteBuffer) -> Void) {
    guard isOpen else { return }
    append(write)
    handler?.messageAppended(self)
  }

  /// Sends one message of a streaming call from a buffer of the service, which is empty afterwards;
  /// see `MessageFrame.leaveRoom`.
  package func send(_ message: inout ByteBuffer) {
    guard isOpen else { return MessageFrame.leaveRoom(in: &message) }
    assert(pieces.missing == 0, "the message begun isn't whole")
    if extras?.compressesReplies == true {
      send { $0.writeImmutableBuffer(message) }
      return MessageFrame.leaveRoom(in: &message)
    }
    OutboundBuffer.reclaim(&stream.outbound)
    MessageFrame.move(&message, to: &stream.outbound)
    handler?.tally.sent()
    handler?.messageAppended(self)
  }

  /// Whether the call's outbound bytes are below the high water mark. After it was false,
  /// `streamWritable` is called when the service can continue.
  package var isWritable: Bool {
    guard let handler else { return false }
    return stream.outboundBytes < handler.configuration.streamHighWaterBytes
  }

  /// Whether the call's client and its connection accept more; if not, `streamWritable` is called
  /// when they do.
  package var takesMore: Bool {
    guard let handler else { return false }
    if stream.outboundBytes < handler.configuration.streamHighWaterBytes, handler.hasOutboundRoom {
      return true
    }
    awaitRoom()
    return false
  }

  /// Delivers no more messages of this call, and gives its client no window for more.
  package func pauseReading() {
    state.pauseReading()
  }

  /// Ends `pauseReading`. Messages that were held are delivered at the end of this tick or, if the
  /// service is within a delivery of this call, right after it.
  package func resumeReading() {
    if state.resumeReading() { handler?.readingResumed(self) }
  }

  /// The call was processed and waits for something, as long as its client allows: cancelling it is
  /// no abuse, and counts no more than cancelling a call with part of its reply.
  package func countAsReplied() { handler?.tally.reply() }

  /// Reads nothing more from the call's client, on any call, until `resumeConnection` was called as
  /// often or the call has ended. Calls that were read already may still be delivered.
  package func pauseConnection() {
    guard let handler else { return }
    connectionPauses += 1
    handler.pauseReading()
  }

  /// Takes back one `pauseConnection`.
  package func resumeConnection() {
    guard connectionPauses > 0 else { return }
    connectionPauses -= 1
    handler?.resumeReading()
  }

  private func append(_ write: (inout ByteBuffer) -> Void) {
    assert(pieces.missing == 0, "the message begun isn't whole")
    OutboundBuffer.reclaim(&stream.outbound)
    let mark = MessageFrame.begin(&stream.outbound)
    write(&stream.outbound)
    handler?.tally.sent()
    let byteCount = MessageFrame.end(mark, &stream.outbound)
    if let extras { compress(from: mark, extras, byteCount: byteCount) }
  }

  /// Ready for the stream's next call.
  func clear() {
    while connectionPauses > 0 { resumeConnection() }
    handler = nil
    methodID = 0
    tag = 0
    context = nil
    extras = nil
    deadlineNanos = nil
    onEnd = nil
    authorizationPlace = .none
    state = ServerCallState()
    deframer.reset()
    bytes = CallBytes()
    largeMessage = LargeMessages.Place()
    pieces = MessageInPieces()
    deadlineHandle = nil
    replyProgress = ReplyProgress()
    inboundProgress.restart()
  }
}
