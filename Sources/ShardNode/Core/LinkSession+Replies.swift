// A link's lane as an exit of replies: of later ones, and of held ones.
//
// A single message is sent over the bulk lane after a notice, as its router grants credit and the
// lane accepts it. A sequence of messages, and everything that ends before it has begun, is sent
// over the lane of the call.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension LinkSession: ReplyExit {
  private func lane(of reply: ReplyHandle) -> LinkSession? {
    reply.isOneMessage ? peer?.session(.bulk) ?? self : self
  }

  package func takes(_ reply: ReplyHandle) -> Bool {
    guard reply.credit > 0, let lane = lane(of: reply) else { return false }
    if lane.isWritable { return true }
    peer?.stall(reply)
    return false
  }

  package func begin(_ reply: ReplyHandle, byteCount: Int) {
    if reply.isParked { noteReply(reply) }
    var notice = ByteBuffer()
    LinkV1.LargeReplyNotice(totalBytes: UInt64(byteCount)).write(into: &notice)
    emit { frame in
      notice.withUnsafeReadableBytes {
        frame.writeReply(.link, id: reply.id, response: $0, more: true)
      }
    }
  }

  package func send(
    _ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void
  ) {
    reply.credit -= piece.byteCount
    lane(of: reply)?.emit { frame in
      let part = frame.beginReply(
        .link, id: reply.id, sizeHint: piece.byteCount, more: !piece.isLast)
      write(&frame)
      frame.endReply(part)
    }
  }

  package func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    if reply.isParked { noteReply(reply) }
    peer?.ended(reply.id)
    switch end {
    case .complete: break
    case .response(let response):
      emit { frame in
        response.withUnsafeReadableBytes {
          frame.writeReply(.link, id: reply.id, response: $0)
        }
      }
    case .failed(let error):
      // After the chunks, or else after the notice: only the notice shows a router that the call
      // was executed.
      (reply.hasSent ? lane(of: reply) : self)?.emit {
        $0.writeReply(.link, id: reply.id, error: error)
      }
    }
  }
}

// For calls that wait for values. The notice is sent before everything else of such a call, because
// the rest is sent, or begins, over the lane of the call.
extension LinkSession {
  package func parked(_ reply: ReplyHandle, _ call: ParkedCall) -> Bool {
    guard let peer else { return false }
    if !peer.hasBulkLane { call.bytesMin = .max }
    withCall(call, reply.id) { parked in emit { $0.writeParked(parked) } }
    return true
  }

  /// As for calls in flight: the router confirms twice a second that it has received the shard's
  /// clock.
  package var staleNanos: UInt64 {
    core.nanos(ofMillis: (peer?.heardMillis ?? 0) &+ LinkProtocol.callAgeMillisMax)
  }

  package func ran(_ reply: ReplyHandle) { peer?.ran.ran(reply.id) }

  package func returned(_ reply: ReplyHandle, _ call: ParkedCall, _ error: CallError) {
    peer?.ended(reply.id)
    withCall(call, reply.id) { returned in emit { $0.writeReturned(returned, error) } }
  }

  /// The reply goes out now.
  private func noteReply(_ reply: ReplyHandle) {
    peer?.ran.replied(reply.id, over: lane, clockMillis: core.clockMillis)
  }

  private func withCall(_ call: ParkedCall, _ id: UInt64, _ body: (LinkV1.LinkCall) -> Void) {
    call.request.withUnsafeReadableBytes { request in
      body(
        LinkV1.LinkCall(
          id: id, method: call.method, request: request,
          deadlineMillis: core.millis(ofNanos: call.context.deadlineNanos)))
    }
  }
}

extension LinkSession: BatchExit {
  var carrier: Carrier { .link }

  func release(_ frame: ByteBuffer, count: Int) {
    emit { $0.writeImmutableBuffer(frame) }
  }
}
