// A large reply on its way: a source that makes pieces, a sink that takes them, one piece a turn.
//
//   measuring --size known--> begun --last piece--> over
//       |                       |
//       +-------- failed, expired, cancelled, dropped --> over
//
// Pure; belongs to a shard's core and its event loop. What the source holds is let go of as soon
// as the reply is over, whoever still knows the stream.

import NIOCore
import NodeCore
import RingstoreAPI

/// Where the pieces of a large reply go: a link, or a client's call on the shard itself.
package protocol ReplySink: AnyObject {
  /// Whether it takes a piece now. If not, it wakes the stream when it does (`ReplyStream.wake`).
  func isReady(for stream: ReplyStream) -> Bool
  /// Says how long the message is that the pieces make up. Not called where each is a message.
  func begin(byteCount: Int)
  /// Takes a piece; `write` appends it.
  func send(_ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void)
  /// The reply is over: its last piece was sent, or, with an error, nothing more will be.
  func ended(with error: CallError?)
}

package final class ReplyStream: TurnTaker, PinnedView {
  var isQueued = false
  private unowned let core: ShardCore
  private var source: (any ReplySource)?
  /// Who owns the stream; nil once the reply is over.
  private weak var sink: (any ReplySink)?
  private var hasBegun = false

  /// Holds the source's memory from now on, as one of the core's views.
  init(_ source: any ReplySource, to sink: any ReplySink, core: ShardCore) {
    self.core = core
    self.source = source
    self.sink = sink
    core.pinned(self)
  }

  var isPinned: Bool { source != nil }

  /// Begins at once if that is little work; else in turns to come.
  package func start() {
    guard let source else { return }
    if !source.isOneMessage || source.measure() { begin(source) }
    wake()
  }

  /// The sink may take a piece again.
  package func wake() {
    if isPinned { core.turns.enqueue(self) }
  }

  /// Nobody waits for the reply any more, and nobody is told.
  package func drop() {
    sink = nil
    release()
  }

  package func fail(_ error: CallError) {
    guard let sink else { return }
    drop()
    sink.ended(with: error)
  }

  func expire() {
    fail(source?.expiry ?? .viewExpired)
  }

  func takeTurn() -> Turn {
    guard let source, let sink else { return .unused }
    guard hasBegun else {
      if source.measure() { begin(source) }
      return isPinned ? .more : .used
    }
    guard sink.isReady(for: self) else { return .unused }
    do throws(CallError) {
      let piece = try source.plan(upTo: core.limits.pieceBytesMax)
      sink.send(piece) { source.write(into: &$0) }
      guard piece.isLast else { return .more }
      drop()
      sink.ended(with: nil)
    } catch {
      fail(error)
    }
    return .used
  }

  private func begin(_ source: any ReplySource) {
    hasBegun = true
    guard source.isOneMessage, let byteCount = source.byteCount else { return }
    if byteCount > core.limits.maxMessageBytes {
      fail(.responseTooLarge(streamingCall: "LRangeStream"))
    } else {
      sink?.begin(byteCount: byteCount)
    }
  }

  private func release() {
    guard source != nil else { return }
    source = nil
    core.unpinned()
  }
}
