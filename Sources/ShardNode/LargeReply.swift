// A large reply to a client's unary call on the shard: it goes into the client's stream piece by
// piece, as the client takes it.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class LargeReply: ShardCall, ReplySink {
  private var stream: ReplyStream?
  private var piece = ByteBuffer()

  static func start(_ source: any ReplySource, to call: ServerCall, core: ShardCore) {
    let reply = LargeReply(call)
    let stream = ReplyStream(source, to: reply, core: core)
    reply.stream = stream
    stream.start()
  }

  override func writable() {
    stream?.wake()
  }

  override func ended() {
    call = nil
    stream?.drop()
  }

  func isReady(for stream: ReplyStream) -> Bool { hasRoom }

  func begin(byteCount: Int) {
    call?.beginMessage(byteCount: byteCount)
  }

  func send(_ next: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    piece.clear()
    write(&piece)
    piece.withUnsafeReadableBytes { call?.appendToMessage($0) }
  }

  func ended(with error: CallError?) {
    if let error { fail(error.status) } else { finish() }
  }
}
