// A large reply in progress: a source that makes chunks, and a handle that takes them, one chunk a
// turn.
//
//   held --gate opens--> measuring --size known--> begun --last piece--> over
//     |                      |                       |
//     +----------------------+-- failed, expired, dropped --> over
//
// Pure; belongs to a shard's core and its event loop. The source's memory is released as soon as
// the reply has ended, even if the stream is still referenced.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Users

final class ReplyStream: CooperativeTask, PinnedView, ReplyWork {
  var isQueued = false
  private(set) var isHeld: Bool
  private unowned let core: ShardCore
  private var source: (any ReplySource)?
  /// Owns the stream; nil once the reply is over.
  private weak var reply: ReplyHandle?
  private var hasBegun = false
  private var principal: Principal?

  /// Holds the source's memory from now on, as one of the core's views.
  ///
  /// - Parameters:
  ///   - principal: the user with whose permissions it ends; nil: it is completed.
  ///   - isHeld: whether the reply waits at the gate, and the view's time has not begun.
  init(
    _ source: any ReplySource, to reply: ReplyHandle, of principal: Principal?, isHeld: Bool,
    core: ShardCore
  ) {
    self.core = core
    self.principal = principal
    self.source = source
    self.reply = reply
    self.isHeld = isHeld
    core.pinned(self)
  }

  var isPinned: Bool { source != nil }

  /// Begins at once if that is little work; otherwise in later turns.
  func start() {
    if isHeld {
      isHeld = false
      core.begins(self)
    }
    guard let source else { return }
    if !source.isOneMessage || source.measure() { begin(source) }
    wake()
  }

  /// The caller accepts a chunk again.
  func wake() {
    if isPinned, !isHeld { core.turns.enqueue(self) }
  }

  /// The caller is gone.
  func drop() {
    reply = nil
    release()
  }

  func expire() { end(with: source?.expiry ?? .viewExpired) }

  func checkCaller() {
    do throws(CallError) {
      principal = try principal?.standing()
    } catch {
      core.counters.failed(error)
      end(with: error)
    }
  }

  /// The rest is not sent.
  private func end(with error: CallError) {
    let reply = self.reply
    release()
    reply?.expire(with: error)
  }

  func runSlice() -> Turn {
    guard let source, let reply else { return .unused }
    guard hasBegun else {
      if source.measure() { begin(source) }
      return isPinned ? .more : .used
    }
    guard reply.isReady else { return .unused }
    do throws(CallError) {
      let piece = try source.plan(upTo: core.limits.pieceBytesMax)
      reply.send(piece) { source.write(into: &$0) }
      guard piece.isLast else { return .more }
      release()
      reply.finish()
    } catch {
      reply.fail(error)
    }
    return .used
  }

  private func begin(_ source: any ReplySource) {
    hasBegun = true
    guard source.isOneMessage, let byteCount = source.byteCount else { return }
    if byteCount > core.limits.maxMessageBytes {
      reply?.fail(.responseTooLarge(streamingCall: "LRangeStream"))
    } else {
      reply?.begin(byteCount: byteCount)
    }
  }

  private func release() {
    guard source != nil else { return }
    source = nil
    core.unpinned()
  }
}
