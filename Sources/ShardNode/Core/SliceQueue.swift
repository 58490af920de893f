// Slices of fan-outs that a router has requested over one connection. They are executed in turns,
// in the order received; later calls in the same frame don't wait for them.
//
// Owned by the connection's session; its event loop.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing

final class SliceQueue: CooperativeTask {
  /// The maximum number of waiting slices, and of the bytes of their requests. A router requests
  /// one slice of an operation at a time from each shard.
  static let slicesMax = 16_384
  static let bytesMax = 64 << 20

  var isQueued = false
  weak var session: LinkSession?
  private var waiting = CircularBuffer<QueuedSlice>()
  private var waitingBytes = 0

  /// Takes in a call; it has its turn later.
  ///
  func append(_ call: LinkV1.LinkCall, _ peer: RouterSession, _ context: CallContext) {
    guard let session else { return }
    func refuse(_ error: CallError) {
      if context.span != 0 { session.core.tracer?.end(context.span, SpanOutcome(of: error)) }
      session.output.writeReply(.link, id: call.id, error: error)
    }
    guard !peer.isInProgress(call.id) else { return refuse(.callInProgress(call.id)) }
    guard waiting.count < Self.slicesMax, waitingBytes + call.request.count <= Self.bytesMax else {
      return refuse(.overloaded("Too many operations wait for this shard."))
    }
    let reply = ReplyHandle(
      call.id, to: session, method: call.method, span: context.span, core: session.core)
    let slice = QueuedSlice(call, session, peer, reply, context)
    waiting.append(slice)
    waitingBytes += call.request.count
    reply.worked(by: slice)
    peer.began(reply)
    session.core.turns.enqueue(self)
  }

  /// The connection accepts frames again.
  func wake() {
    if !waiting.isEmpty { session?.core.turns.enqueue(self) }
  }

  func removeAll() {
    waiting.removeAll()
    waitingBytes = 0
  }

  func runSlice() -> Turn {
    // On a full connection another frame of replies would only use memory.
    guard let session, session.isWritable else { return .unused }
    while let slice = waiting.popFirst() {
      waitingBytes -= slice.request.readableBytes
      if slice.execute() { return waiting.isEmpty ? .used : .more }
    }
    return .unused
  }
}

/// A slice that waits for its turn.
final class QueuedSlice: ReplyWork {
  let request: ByteBuffer
  private let method: UInt32
  private let context: CallContext
  private weak var session: LinkSession?
  private weak var peer: RouterSession?
  private weak var reply: ReplyHandle?

  init(
    _ call: LinkV1.LinkCall, _ session: LinkSession, _ peer: RouterSession, _ reply: ReplyHandle,
    _ context: CallContext
  ) {
    self.context = context
    method = call.method
    request = ByteBuffer(bytes: call.request)
    self.session = session
    self.peer = peer
    self.reply = reply
  }

  /// Executes it and replies. Returns false if it had already ended.
  func execute() -> Bool {
    guard let reply, !reply.isOver, let session else { return false }
    // It is written into the session's frame, and needs no handle from here on.
    peer?.ended(reply.id)
    reply.keepsSpan()
    reply.drop()
    session.reply(to: method, reply.id, request, session.core.later(context))
    return true
  }

  func wake() {}

  func drop() {
    reply = nil
  }
}
