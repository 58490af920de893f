// A client's Pipeline on a shard: batches of calls in, batches of replies out. One event loop.
//
// Calls of one Pipeline run in the order sent, when their batch is read. While the client does not
// take the replies, the rest of the batch waits and nothing more is read; a call whose deadline
// passes meanwhile is not executed. A reply that comes later holds up what is behind its call. A
// large one is a batch of its own, which grows turn by turn; what it holds of the store is free again
// before the client has read it.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

final class PipelineStream: ShardCall {
  private let core: ShardCore
  private let nowNanos: () -> UInt64
  /// Calls of the latest batch that have not been executed.
  private var rest: OwnedBytes?
  /// When the latest batch came.
  private var receivedNanos: UInt64 = 0
  /// A reply that comes later.
  private var laterReply: ReplyHandle?
  private var piece = ByteBuffer()
  /// Replies that wait at the gate; nil as long as none ever had to.
  private var heldReplies: HeldReplies?
  private var isHalfClosed = false
  private var isRunning = false

  /// - Parameter nowNanos: the time of the tick.
  init(_ call: ServerCall, core: ShardCore, nowNanos: @escaping () -> UInt64) {
    self.core = core
    self.nowNanos = nowNanos
    super.init(call)
  }

  override func received(_ message: UnsafeRawBufferPointer) {
    isRunning = true
    do throws(WireError) {
      guard message.count <= core.limits.maxMessageBytes else {
        return fail(CallError.requestTooLarge(message.count, core.limits).status)
      }
      // A batch is executed as a whole or not at all.
      _ = try V1.CallBatch(message)
      let block = message.count >= LargeBlock.bytesMin ? call?.messageBlock : nil
      receivedNanos = nowNanos()
      if let offset = try execute(message, in: block, nowNanos: receivedNanos) {
        let waiting = UnsafeRawBufferPointer(rebasing: message[offset...])
        rest = OwnedBytes(waiting, in: block) ?? OwnedBytes(copying: waiting)
      }
      isRunning = false
      goOn()
    } catch {
      fail(CallError.undecodable(error).status)
    }
  }

  override func halfClosed() {
    // Comes when everything sent was read, which means executed: see `goOn`.
    isHalfClosed = true
    finishIfDone()
  }

  private func finishIfDone() {
    if isHalfClosed, heldReplies?.isEmpty != false { finish() }
  }

  override func writable() {
    goOn()
  }

  override func ended() {
    call = nil
    rest = nil
    laterReply?.drop()
    heldReplies?.drop()
  }

  /// Executes what waits, as far as the client takes the replies. Reads on when nothing waits.
  private func goOn() {
    guard !isRunning else { return }
    isRunning = true
    defer { isRunning = false }
    do throws(WireError) {
      while laterReply == nil, let waiting = rest, hasRoom {
        let offset = try waiting.withBytes { bytes throws(WireError) in
          try execute(bytes, in: waiting.block, nowNanos: core.clock())
        }
        rest = offset.map { waiting.dropFirst($0) }
      }
      if laterReply == nil, rest == nil, hasRoom {
        call?.resumeReading()
      } else {
        call?.pauseReading()
      }
    } catch {
      fail(CallError.undecodable(error).status)
    }
  }

  /// Executes the calls of a batch. Returns where the rest begins that has to wait, if any has.
  ///
  /// - Parameters:
  ///   - block: what the batch lies in, where it may be kept.
  ///   - nowNanos: the time of the tick.
  private func execute(
    _ batch: UnsafeRawBufferPointer, in block: LargeBlock?, nowNanos: UInt64
  ) throws(WireError) -> Int? {
    var replies = ByteBuffer()
    var context = core.context(nowNanos: nowNanos)
    var calls = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    while let message = calls.next() {
      let next = try V1.Call(message)
      context.deadlineNanos = deadlineNanos(of: next)
      let start = replies.writerIndex
      let later = core.answer(
        next, in: block, into: &replies, largerThan: core.limits.bulkBytesMin, context)
      if later == nil, core.gate.holds(core.latestMark) { hold(next, &replies, since: start) }
      if later != nil || replies.readableBytes >= LinkProtocol.frameBytes { send(&replies) }
      if let later { begin(later, next) }
      if laterReply != nil || (replies.readableBytes == 0 && !hasRoom) {
        guard let start = batch.baseAddress, let first = message.baseAddress else { return nil }
        return start.distance(to: first) + message.count
      }
    }
    send(&replies)
    return nil
  }

  @inline(never)
  private func hold(_ call: V1.Call, _ replies: inout ByteBuffer, since start: Int) {
    let held = heldReplies ?? HeldReplies(of: self, core: core)
    heldReplies = held
    held.take(
      from: &replies, since: start, id: call.id, method: call.methodNumber,
      deadlineNanos: deadlineNanos(of: call))
  }

  /// When a call ends, on the core's clock; 0: never.
  private func deadlineNanos(of call: V1.Call) -> UInt64 {
    guard call.timeoutMillis > 0 else { return 0 }
    return receivedNanos &+ UInt64(call.timeoutMillis) * 1_000_000
  }

  private func send(_ replies: inout ByteBuffer) {
    guard replies.readableBytes > 0 else { return }
    call?.send { $0.writeImmutableBuffer(replies) }
    replies.clear()
  }

  private func begin(_ later: any ReplySource, _ call: V1.Call) {
    guard self.call != nil else { return }
    let reply = ReplyHandle(
      call.id, to: self, method: call.methodNumber, deadlineNanos: deadlineNanos(of: call),
      core: core)
    laterReply = reply
    later.start(reply, after: core.latestMark)
  }
}

extension PipelineStream: ReplyExit {
  /// The batch is bounded by the message limit, and was begun only where there was room.
  func takes(_ reply: ReplyHandle) -> Bool { true }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    guard let call else { return }
    var head = ByteBuffer()
    head.writeReplyHead(.pipeline, id: reply.id, responseBytes: byteCount)
    let total = head.readableBytes + byteCount
    call.reserveOutbound(bytes: total)
    call.beginMessage(byteCount: total)
    head.withUnsafeReadableBytes { call.appendToMessage($0) }
  }

  func send(_ reply: ReplyHandle, _ next: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    piece.clear()
    write(&piece)
    piece.withUnsafeReadableBytes { call?.appendToMessage($0) }
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    piece = ByteBuffer()
    laterReply = nil
    switch end {
    case .complete: break
    case .response(let response):
      call?.send { batch in
        response.withUnsafeReadableBytes {
          batch.writeReply(.pipeline, id: reply.id, response: $0)
        }
      }
    case .failed(let error):
      // Half a batch can't be taken back: the client must not take it for a whole one.
      guard !reply.hasBegun else { return fail(error.status) }
      call?.send { $0.writeReply(.pipeline, id: reply.id, error: error) }
    }
    if !isRunning { goOn() }
  }
}

extension PipelineStream: BatchExit {
  var carrier: Carrier { .pipeline }

  func release(_ frame: ByteBuffer) {
    call?.send { $0.writeImmutableBuffer(frame) }
    finishIfDone()
  }
}
