// A client's Pipeline on a router: its calls are placed one by one, its replies gathered into
// batches. One event loop. For the exclusivity attributes see RouterCore.
//
// Back-pressure. A Pipeline with many unanswered calls (PipelineWindow), or whose client doesn't
// read its replies, is not read until that has changed; of a batch that is too long, the rest waits
// (CallBacklog).

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

final class RouterPipeline {
  /// Bytes of large replies that may have been asked for before the stream must have taken them.
  static let expectedBytesMax = 1 << 20

  /// The stream; nil once it has ended.
  @exclusivity(unchecked) private(set) var call: ServerCall?
  @exclusivity(unchecked) private var window = PipelineWindow()
  private var backlog = CallBacklog()
  @exclusivity(unchecked) private var replies = ByteBuffer()
  private var isHalfClosed = false
  /// Reasons not to read: full links, too many calls, replies that aren't read.
  private var holds = 0
  private var holdsForCalls = false
  private var holdsForReplies = false
  /// Bytes of large replies that shards were asked for, and calls that wait to ask for theirs.
  private var expectedBytes = 0
  private var askers = CircularBuffer<UInt64>()

  init(call: ServerCall) {
    self.call = call
  }

  // MARK: - Calls

  /// Whether any call has no reply yet.
  var hasCalls: Bool { window.underWay > 0 }

  /// Since when the calls that are being placed have waited; nil where they have just come.
  private(set) var waitingSince: NIODeadline?

  /// Takes a batch of calls; `place` sends one on its way, or answers it at once.
  ///
  /// - Parameter block: what the message lies in, where it may be kept.
  func receive(
    _ message: UnsafeRawBufferPointer, in block: LargeBlock?,
    place: (V1.Call, LargeBlock?) -> Void
  ) {
    do throws(WireError) {
      // A batch is taken as a whole or not at all.
      _ = try V1.CallBatch(message)
      var taken = 0
      if backlog.isEmpty {
        taken = try CallBacklog.place(message, while: { isOpen }) { call in
          window.placed()
          place(call, block)
        }
      }
      backlog.add(UnsafeRawBufferPointer(rebasing: message[taken...]), in: block)
      flush()
    } catch {
      end(CallError.undecodable(error).status)
    }
  }

  /// Places calls of the backlog while they are welcome.
  func goOn(place: (V1.Call, LargeBlock?) -> Void) {
    guard !backlog.isEmpty, isOpen else { return }
    // Calls that fail at once are replied to from within, and that looks at the backlog.
    var rest = backlog
    waitingSince = rest.since
    rest.place(while: { isOpen }) { call, block in
      window.placed()
      place(call, block)
    }
    waitingSince = nil
    if call != nil { backlog = rest }
    flush()
  }

  /// Whether further calls may be placed.
  private var isOpen: Bool { call != nil && window.isOpen && !holdsForReplies }

  // MARK: - Replies

  func answer(_ id: UInt64, response: UnsafeRawBufferPointer) {
    guard call != nil else { return }
    replies.writeReply(.pipeline, id: id, response: response)
    replied(response.count)
  }

  func fail(_ id: UInt64, error: CallError) {
    guard call != nil else { return }
    replies.writeReply(.pipeline, id: id, error: error)
    replied(0)
  }

  private func replied(_ byteCount: Int) {
    window.replied(byteCount: byteCount)
    if replies.readableBytes >= LinkProtocol.frameBytes { flush() }
  }

  /// Sends the replies gathered so far as one batch, and sees whether to go on reading.
  func flush() {
    guard let call else { return }
    if replies.readableBytes > 0 {
      call.send { $0.writeImmutableBuffer(replies) }
      replies.clear()
    }
    set(&holdsForReplies, !call.isWritable)
    if !window.isOpen || !backlog.isEmpty {
      set(&holdsForCalls, true)
    } else if window.isHalfEmpty {
      set(&holdsForCalls, false)
    }
    if isHalfClosed, !hasCalls, backlog.isEmpty { end(.ok) }
  }

  func halfClosed() {
    isHalfClosed = true
    flush()
  }

  // MARK: - Large replies

  /// Whether a shard may be asked for another large reply. If not, `id` is kept until it may.
  func takesMore(_ id: UInt64) -> Bool {
    if hasRoom { return true }
    guard call != nil else { return false }
    askers.append(id)
    return false
  }

  func expect(_ byteCount: Int) {
    expectedBytes += byteCount
  }

  /// The next call that waits to ask for its reply, where it may.
  func nextAsker() -> UInt64? {
    guard !askers.isEmpty, hasRoom else { return nil }
    return askers.popFirst()
  }

  private var hasRoom: Bool {
    guard let call, expectedBytes < Self.expectedBytesMax else { return false }
    if call.isWritable, call.connection?.hasOutboundRoom == true { return true }
    call.awaitRoom()
    return false
  }

  // MARK: - Holding back

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
    askers.removeAll()
    backlog.clear()
  }

  private func set(_ reason: inout Bool, _ holds: Bool) {
    guard reason != holds else { return }
    reason = holds
    if holds { hold() } else { release() }
  }

  private func end(_ status: RPCStatus) {
    let ended = call
    clientWentAway()
    ended?.finish(status)
  }
}
