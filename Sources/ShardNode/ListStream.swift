// LRangeStream on a shard: the parts of one view, sent as the client takes them. One event loop.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class ListStream: ShardCall, ReplySink {
  private let core: ShardCore
  private var stream: ReplyStream?

  init(_ call: ServerCall, core: ShardCore) {
    self.core = core
    super.init(call)
  }

  override func received(_ message: UnsafeRawBufferPointer) {
    guard stream == nil else {
      return fail(CallError.notOneRequest.status)
    }
    do throws(CallError) {
      guard message.count <= core.limits.maxMessageBytes else {
        throw .requestTooLarge(message.count, core.limits)
      }
      guard let source = try core.listParts(message) else {
        call?.send { V1.ListValues().write(into: &$0) }
        return finish()
      }
      let stream = ReplyStream(source, to: self, core: core)
      self.stream = stream
      stream.start()
    } catch {
      core.counters.failed()
      fail(error.status)
    }
  }

  override func halfClosed() {
    if stream == nil { fail(CallError.notOneRequest.status) }
  }

  override func writable() {
    stream?.wake()
  }

  override func ended() {
    call = nil
    stream?.drop()
  }

  // MARK: - The stream's sink

  func isReady(for stream: ReplyStream) -> Bool { hasRoom }

  func begin(byteCount: Int) {}

  func send(_ message: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    call?.send(write)
  }

  func ended(with error: CallError?) {
    if let error { fail(error.status) } else { finish() }
  }
}

extension CallError {
  /// A call whose reply is a stream takes one message.
  static var notOneRequest: CallError {
    CallError(code: .invalidArgument, message: "The call takes exactly one request.")
  }
}
