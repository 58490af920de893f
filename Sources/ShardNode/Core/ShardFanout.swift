// A call made of sub-requests that a client makes on the shard directly: the sub-requests run here,
// in turns.
//
//   sub-requests --one slice, or some one-key calls--> outcomes
//     |
//     +--a response that comes later--> gathered piece by piece --> outcome
//
// Owned by the handle of its reply; the core's event loop.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

final class ShardFanout: FanoutTransport, CooperativeTask, ReplyWork {
  /// The maximum of one-key calls in a turn, and of bytes of responses.
  static let callsPerTurn = 256
  static let bytesPerTurn = 256 << 10
  /// How many are executed between two looks at the clock.
  private static let callsPerLook = 16

  var isQueued = false
  private let fanout: Fanout
  private weak var reply: ReplyHandle?
  /// The mark of the reply: the greatest of all sub-requests.
  private var mark = ReplyMark.none
  private unowned let core: ShardCore
  private var waiting = CircularBuffer<SubRequest>()
  /// A sub-request whose response comes later: collected in memory, because the operation needs it
  /// complete.
  private var later: (tag: Int, reply: ReplyHandle)?
  private var gathered = ByteBuffer()

  init(
    _ operation: any FanoutOperation, for reply: ReplyHandle, _ context: CallContext,
    core: ShardCore
  ) {
    self.reply = reply
    self.core = core
    fanout = Fanout(operation, context, memory: core.replyMemory, core.limits)
  }

  func start() { fanout.start(on: core, over: self) }

  // MARK: - Actions of its operation

  func send(_ request: SubRequest) {
    waiting.append(request)
    core.turns.enqueue(self)
  }

  var takesMore: Bool { reply?.isReady == true }

  func emit(_ message: ByteBuffer) { reply?.emit(message, after: mark) }

  func endNode() { core.shutdownRequested = true }

  func released() {
    waiting.removeAll()
    later?.reply.drop()
    later = nil
    gathered = ByteBuffer()
  }

  func ended(_ end: ReplyEnd, isRefused: Bool) {
    if isRefused, case .failed(let error) = end { core.counters.failed(error) }
    reply?.end(end, after: mark)
  }

  func requestWaits() {}
  func requestWaitsNoMore() {}

  // MARK: - What becomes of its caller

  func wake() { fanout.callerTakesMore() }
  func checkCaller() { fanout.checkCaller() }
  func drop() { fanout.drop() }

  // MARK: - Its turns

  func runSlice() -> Turn {
    guard later == nil, !waiting.isEmpty else { return .unused }
    execute()
    return later == nil && !waiting.isEmpty ? .more : .used
  }

  private func execute() {
    let context = core.later(fanout.context)
    let endNanos = context.nowNanos &+ ShardCore.sliceNanosMax
    var response = ByteBuffer()
    var bytes = 0
    for count in 1...Self.callsPerTurn {
      guard let next = waiting.popFirst() else { return }
      response.clear()
      do throws(CallError) {
        let later = try next.request.withBytes { message throws(CallError) in
          try core.execute(
            next.method, message, in: next.request.block, into: &response,
            largerThan: core.limits.bulkBytesMin, context)
        }
        mark = max(mark, core.latestMark)
        if let later { return begin(later, next, context) }
        bytes += response.readableBytes
        response.withUnsafeReadableBytes { fanout.received(next.tag, $0) }
      } catch {
        mark = max(mark, core.latestMark)
        core.failed(next.method, error, context)
        fanout.failed(next.tag, error)
      }
      core.serveParked()
      // A slice of an every-shard call has a turn for itself.
      if next.method >= InternalMethod.firstNumber || bytes >= Self.bytesPerTurn { return }
      if count % Self.callsPerLook == 0, core.clock() >= endNanos { return }
    }
  }

  private func begin(
    _ later: Remainder, _ request: SubRequest, _ context: CallContext
  ) {
    let reply = ReplyHandle(0, to: self, method: request.method, core: core)
    self.later = (request.tag, reply)
    // The operation's own reply waits at the gate.
    core.proceed(
      with: later, of: request.method,
      request.request.withBytes { ByteBuffer(bytes: $0) }, context, to: reply, after: .none)
  }
}

/// The exit of a response that comes later.
extension ShardFanout: ReplyExit {
  func takes(_ reply: ReplyHandle) -> Bool { true }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    gathered.reserveCapacity(byteCount)
  }

  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    write(&gathered)
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    guard let tag = later?.tag else { return }
    later = nil
    let gathered = self.gathered
    self.gathered = ByteBuffer()
    switch end {
    case .complete: gathered.withUnsafeReadableBytes { fanout.received(tag, $0) }
    case .response(let response): response.withUnsafeReadableBytes { fanout.received(tag, $0) }
    case .failed(let error): fanout.failed(tag, error)
    }
    if !waiting.isEmpty { core.turns.enqueue(self) }
  }
}

extension ShardCore: FanoutCluster {
  package var shardIDs: [String] { [id] }
  /// A shard walks over the keys that it holds, with any map.
  package var mapEpoch: UInt64 { 0 }
  package var servesCluster: Bool { false }
  /// A shard's counters are its own reply.
  package var nodeCounters: [String: Int64] { [:] }
  package func randomNumber() -> UInt64 { random.next() }

  /// Starts an operation. It may end inside this call, or in a later turn.
  ///
  /// - Parameter context: the call's, in which its sub-requests are executed.
  package func start(
    _ operation: any FanoutOperation, for reply: ReplyHandle, _ context: CallContext
  ) {
    let fanout = ShardFanout(operation, for: reply, context, core: self)
    reply.worked(by: fanout)
    fanout.start()
  }
}
