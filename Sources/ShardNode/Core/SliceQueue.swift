// Slices of fan-outs that a router has asked for over one connection. They are executed in turns,
// in the order received; calls behind them in the same frame don't wait for them.
//
// Owned by the connection's session; its event loop.

import NIOCore
import NodeCore
import RingstoreAPI

final class SliceQueue: TurnTaker {
  /// Slices that wait at most, and the bytes of their requests. A router asks each shard for one
  /// slice of an operation at a time.
  static let slicesMax = 16_384
  static let bytesMax = 64 << 20

  var isQueued = false
  weak var session: LinkSession?
  private var waiting = CircularBuffer<QueuedSlice>()
  private var waitingBytes = 0

  /// Takes in a call; it has its turn later.
  ///
  /// - Parameter heardMillis: what the call's frame names, see LinkClock.
  func append(_ call: LinkV1.LinkCall, _ peer: LinkPeer, heardMillis: UInt64) {
    guard let session else { return }
    guard !peer.isInProgress(call.id) else {
      session.output.writeReply(.link, id: call.id, error: .callInProgress(call.id))
      return
    }
    guard waiting.count < Self.slicesMax, waitingBytes + call.request.count <= Self.bytesMax else {
      session.output.writeReply(
        .link, id: call.id, error: .overloaded("Too many operations wait for this shard."))
      return
    }
    let slice = QueuedSlice(call, session, peer, heardMillis: heardMillis)
    waiting.append(slice)
    waitingBytes += call.request.count
    peer.began(call.id, slice)
    session.core.turns.enqueue(self)
  }

  /// The connection takes frames again.
  func wake() {
    if !waiting.isEmpty { session?.core.turns.enqueue(self) }
  }

  func removeAll() {
    waiting.removeAll()
    waitingBytes = 0
  }

  func takeTurn() -> Turn {
    // A frame of replies is what a connection that is full would only pile up.
    guard let session, session.isWritable else { return .unused }
    while let slice = waiting.popFirst() {
      waitingBytes -= slice.request.readableBytes
      if slice.execute() { return waiting.isEmpty ? .used : .more }
    }
    return .unused
  }
}

/// A slice that waits for its turn.
final class QueuedSlice: LinkCall {
  let request: ByteBuffer
  private let id: UInt64
  private let method: UInt32
  private let heardMillis: UInt64
  private let deadlineMillis: UInt64
  private weak var session: LinkSession?
  private weak var peer: LinkPeer?
  private var isOver = false

  init(_ call: LinkV1.LinkCall, _ session: LinkSession, _ peer: LinkPeer, heardMillis: UInt64) {
    id = call.id
    self.heardMillis = heardMillis
    deadlineMillis = call.deadlineMillis
    method = call.method
    request = ByteBuffer(bytes: call.request)
    self.session = session
    self.peer = peer
  }

  /// Executes and answers it. Returns false where it was over before.
  func execute() -> Bool {
    guard !isOver, let session else { return false }
    isOver = true
    peer?.ended(id)
    let time = FrameTime(heardMillis: heardMillis, nowMillis: session.core.clockMillis)
    if let refusal = time.refusal(deadlineMillis: deadlineMillis, shard: session.core.id) {
      session.core.counters.failed()
      session.emit { $0.writeReply(.link, id: id, error: refusal) }
      return true
    }
    session.emit { frame in
      request.withUnsafeReadableBytes {
        session.core.answer(method, id: id, $0, into: &frame)
      }
    }
    return true
  }

  func cancel() {
    guard !isOver else { return }
    isOver = true
    peer?.ended(id)
    session?.emit { $0.writeReply(.link, id: id, error: .cancelled) }
  }

  func drop() {
    isOver = true
  }

  func grant(_ bytes: Int) {}
}
