// A client's Pipeline on a shard: batches of calls in, batches of replies out. One event loop.
//
// Calls of one Pipeline run in the order sent, when their batch is read. While the client does not
// take the replies, the rest of the batch waits and nothing more is read; a call whose deadline
// passes meanwhile is not executed. A large reply is a batch of its own, which grows turn by turn;
// what it holds of the store is free again before the client has read it.

import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

final class PipelineStream: ShardCall {
  private let core: ShardCore
  /// Calls of the latest batch that have not been executed.
  private var rest: OwnedBytes?
  private var receivedNanos: UInt64 = 0
  private var largeReply: PipelineReply?
  private var isRunning = false

  init(_ call: ServerCall, core: ShardCore) {
    self.core = core
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
      if let offset = try execute(message, in: block) {
        let waiting = UnsafeRawBufferPointer(rebasing: message[offset...])
        rest = OwnedBytes(waiting, in: block) ?? OwnedBytes(copying: waiting)
        receivedNanos = core.clock()
      }
      isRunning = false
      goOn()
    } catch {
      fail(CallError.undecodable(error).status)
    }
  }

  override func halfClosed() {
    // Comes when everything sent was read, which means executed: see `goOn`.
    finish()
  }

  override func writable() {
    goOn()
  }

  override func ended() {
    call = nil
    rest = nil
    largeReply?.drop()
  }

  /// A large reply was sent, or has failed before any of it was.
  fileprivate func largeReplyEnded() {
    largeReply = nil
    if !isRunning { goOn() }
  }

  /// Executes what waits, as far as the client takes the replies. Reads on when nothing waits.
  private func goOn() {
    guard !isRunning else { return }
    isRunning = true
    defer { isRunning = false }
    do throws(WireError) {
      while largeReply == nil, let waiting = rest, hasRoom {
        let offset = try waiting.withBytes { bytes throws(WireError) in
          try execute(bytes, in: waiting.block, waitedNanos: core.clock() &- receivedNanos)
        }
        rest = offset.map { waiting.dropFirst($0) }
      }
      if largeReply == nil, rest == nil, hasRoom {
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
  ///   - waitedNanos: for how long the batch has waited.
  private func execute(
    _ batch: UnsafeRawBufferPointer, in block: LargeBlock?, waitedNanos: UInt64 = 0
  ) throws(WireError) -> Int? {
    var replies = ByteBuffer()
    var calls = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
    while let message = calls.next() {
      let next = try V1.Call(message)
      guard next.timeoutMillis == 0 || waitedNanos < UInt64(next.timeoutMillis) * 1_000_000 else {
        replies.writeReply(.pipeline, id: next.id, error: .deadlineExceeded)
        continue
      }
      let source = core.answer(
        next, in: block, into: &replies, largerThan: core.limits.bulkBytesMin)
      if source != nil || replies.readableBytes >= LinkProtocol.frameBytes { send(&replies) }
      if let source { begin(source, next.id) }
      if largeReply != nil || (replies.readableBytes == 0 && !hasRoom) {
        guard let start = batch.baseAddress, let first = message.baseAddress else { return nil }
        return start.distance(to: first) + message.count
      }
    }
    send(&replies)
    return nil
  }

  private func send(_ replies: inout ByteBuffer) {
    guard replies.readableBytes > 0 else { return }
    call?.send { $0.writeImmutableBuffer(replies) }
    replies.clear()
  }

  private func begin(_ source: any ReplySource, _ id: UInt64) {
    guard let call else { return }
    let reply = PipelineReply(id, in: self, call: call)
    largeReply = reply
    reply.start(source, core)
  }
}

/// One large reply of a Pipeline.
private final class PipelineReply: ReplySink {
  private let id: UInt64
  private let call: ServerCall
  private unowned let pipeline: PipelineStream
  private var stream: ReplyStream?
  private var hasBegun = false
  private var piece = ByteBuffer()

  init(_ id: UInt64, in pipeline: PipelineStream, call: ServerCall) {
    self.id = id
    self.pipeline = pipeline
    self.call = call
  }

  func start(_ source: any ReplySource, _ core: ShardCore) {
    let stream = ReplyStream(source, to: self, core: core)
    self.stream = stream
    stream.start()
  }

  func drop() {
    stream?.drop()
  }

  /// The batch is bounded by the message limit, and was begun only where there was room.
  func isReady(for stream: ReplyStream) -> Bool { true }

  func begin(byteCount: Int) {
    hasBegun = true
    var head = ByteBuffer()
    head.writeReplyHead(.pipeline, id: id, responseBytes: byteCount)
    let total = head.readableBytes + byteCount
    call.reserveOutbound(bytes: total)
    call.beginMessage(byteCount: total)
    head.withUnsafeReadableBytes { call.appendToMessage($0) }
  }

  func send(_ next: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    piece.clear()
    write(&piece)
    piece.withUnsafeReadableBytes { call.appendToMessage($0) }
  }

  func ended(with error: CallError?) {
    if let error {
      guard !hasBegun else {
        // Half a batch can't be taken back: the client must not take it for a whole one.
        return pipeline.fail(error.status)
      }
      call.send { $0.writeReply(.pipeline, id: id, error: error) }
    }
    pipeline.largeReplyEnded()
  }
}
