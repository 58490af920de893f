// A call that is not answered at once, as the service sees it: what the events of the call are
// handed to. A class to inherit from rather than a protocol, because finding it again from the
// call's context is on the way of every frame.

import GRPC

class ShardCall {
  /// Nil once the call was answered or has ended: the object serves another call then.
  final var call: ServerCall?

  init(_ call: ServerCall) {
    self.call = call
    call.context = self
  }

  /// A message of a streaming call; valid during this call only.
  func received(_ message: UnsafeRawBufferPointer) {}

  /// The client sends no more messages.
  func halfClosed() {}

  /// The client takes more; see `ServerCall.isWritable` and `awaitRoom`.
  func writable() {}

  /// The call has ended before it was answered.
  func ended() {}

  // MARK: - Answering

  final func finish() {
    let ended = call
    call = nil
    ended?.finish(.ok)
  }

  final func fail(_ status: RPCStatus) {
    let ended = call
    call = nil
    ended?.fail(status)
  }

  /// Whether the client and its connection take more; if not, `writable` tells when they do.
  final var hasRoom: Bool {
    guard let call else { return false }
    if call.isWritable, call.connection?.hasOutboundRoom == true { return true }
    call.awaitRoom()
    return false
  }
}
