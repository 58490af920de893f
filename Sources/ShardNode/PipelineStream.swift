// A client's Pipeline on a shard: batches of calls in, batches of replies out. One event loop.
//
// A call is executed when its batch is read, so the deadline of a call inside a batch can't pass
// meanwhile, and calls of one Pipeline run in the order sent.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class PipelineStream {
  private let core: ShardCore

  init(core: ShardCore) {
    self.core = core
  }

  func receive(_ message: UnsafeRawBufferPointer, _ call: ServerCall) {
    do throws(WireError) {
      // A batch is executed as a whole or not at all.
      _ = try CallBatchReader.validate(message)
      var batch = CallBatchReader(message)
      var replies = ByteBuffer()
      while let next = try batch.next() {
        core.answer(next, into: &replies, as: .pipeline)
        if replies.readableBytes >= LinkProtocol.frameBytes { send(&replies, call) }
      }
      if replies.readableBytes > 0 { send(&replies, call) }
      if !call.isWritable { call.pauseReading() }
    } catch {
      call.fail(CallError.undecodable(error).status)
    }
  }

  private func send(_ replies: inout ByteBuffer, _ call: ServerCall) {
    call.send { $0.writeImmutableBuffer(replies) }
    replies.clear()
  }
}
