// A client's Pipeline on a router: its calls are placed one by one, its replies gathered into
// batches. One event loop.
//
// Back-pressure: a Pipeline with many unanswered calls, or whose client doesn't read its replies,
// is not read until that has changed.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class RouterPipeline {
  /// Calls under way at which the stream is read no more, and at which it is read again.
  static let callsUnderWayMax = 10_000
  static let callsUnderWayLow = 5_000

  /// The stream; nil once it has ended.
  private(set) var call: ServerCall?
  private var replies = ByteBuffer()
  private var underWay = 0
  private var isHalfClosed = false
  /// Reasons not to read: full links, too many calls, replies that aren't read.
  private var holds = 0
  private var holdsForCalls = false
  private var holdsForReplies = false

  init(call: ServerCall) {
    self.call = call
  }

  /// Takes a batch of calls; `place` sends one on its way, or answers it at once.
  func receive(_ message: UnsafeRawBufferPointer, place: (CallView) -> Void) {
    do throws(WireError) {
      // A batch is taken as a whole or not at all.
      _ = try CallBatchReader.validate(message)
      var batch = CallBatchReader(message)
      while let next = try batch.next() {
        underWay += 1
        place(next)
      }
      flush()
    } catch {
      end(CallError.undecodable(error).status)
    }
  }

  func answer(_ id: UInt64, response: UnsafeRawBufferPointer) {
    guard call != nil else { return }
    replies.writeReply(.pipeline, id: id, response: response)
    replied()
  }

  func fail(_ id: UInt64, error: CallError) {
    guard call != nil else { return }
    replies.writeReply(.pipeline, id: id, error: error)
    replied()
  }

  /// Sends the replies gathered so far as one batch, and sees whether to go on reading.
  func flush() {
    guard let call else { return }
    if replies.readableBytes > 0 {
      call.send { $0.writeImmutableBuffer(replies) }
      replies.clear()
    }
    set(&holdsForReplies, !call.isWritable)
    if underWay >= Self.callsUnderWayMax {
      set(&holdsForCalls, true)
    } else if underWay <= Self.callsUnderWayLow {
      set(&holdsForCalls, false)
    }
    if isHalfClosed, underWay == 0 { end(.ok) }
  }

  func halfClosed() {
    isHalfClosed = true
    flush()
  }

  func hold() {
    holds += 1
    if holds == 1 { call?.pauseReading() }
  }

  func release() {
    holds -= 1
    if holds == 0 { call?.resumeReading() }
  }

  /// The client is gone; what is still under way ends unheard.
  func clientWentAway() {
    call = nil
  }

  private func replied() {
    underWay -= 1
    if replies.readableBytes >= LinkProtocol.frameBytes { flush() }
  }

  private func set(_ reason: inout Bool, _ holds: Bool) {
    guard reason != holds else { return }
    reason = holds
    if holds { hold() } else { release() }
  }

  private func end(_ status: RPCStatus) {
    let ended = call
    call = nil
    ended?.finish(status)
  }
}
