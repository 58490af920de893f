// One fan-out that runs on the shard itself: its parts, and its turns.
//
//   parts --one slice, or some one-key calls--> outcomes
//     |
//     +--a response that comes later--> gathered piece by piece --> outcome
//
// Belongs to LocalParts.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

final class LocalOperation: TurnTaker, ReplyWork, ReplyExit {
  /// One-key parts executed in a turn, and the bytes of responses with which it ends.
  static let partsPerTurn = 256
  static let bytesPerTurn = 256 << 10
  /// How many parts are executed between two looks at the clock.
  private static let partsPerLook = 16

  var isQueued = false
  /// What the port's `answerMemory` counts for it.
  var heldBytes = 0
  private(set) weak var reply: ReplyHandle?
  /// What the reply has to wait for: what all parts do.
  private(set) var mark = ReplyMark.none
  /// Nil once it has ended.
  private(set) var operation: (any FanoutOperation)?
  private let context: CallContext
  private unowned let port: LocalParts
  private unowned let core: ShardCore
  private var parts = CircularBuffer<(part: Part, request: OwnedBytes)>()
  /// A part whose response comes later: gathered in memory, for the operation wants it whole.
  private var later: (part: Part, reply: ReplyHandle)?
  private var response = ByteBuffer()

  init(
    _ operation: any FanoutOperation, for reply: ReplyHandle, _ context: CallContext,
    port: LocalParts, core: ShardCore
  ) {
    self.context = context
    self.operation = operation
    self.reply = reply
    self.port = port
    self.core = core
  }

  func append(_ part: Part, _ request: OwnedBytes) {
    parts.append((part, request))
    core.turns.enqueue(self)
  }

  func emit(_ message: ByteBuffer) {
    reply?.emit(message, after: mark)
  }

  var isWritable: Bool { reply?.isReady == true }

  // MARK: - What becomes of its caller

  func wake() {
    operation?.callerWritable(on: port)
  }

  /// Ends it without a word.
  func drop() {
    guard let operation else { return }
    self.operation = nil
    reply = nil
    parts.removeAll()
    later?.reply.drop()
    later = nil
    response = ByteBuffer()
    port.release(operation)
  }

  // MARK: - Its parts

  func takeTurn() -> Turn {
    guard operation != nil, later == nil, !parts.isEmpty else { return .unused }
    runParts()
    return operation != nil && later == nil && !parts.isEmpty ? .more : .used
  }

  private func runParts() {
    let context = core.later(context)
    let endNanos = context.nowNanos &+ ShardCore.sliceNanosMax
    var response = ByteBuffer()
    var bytes = 0
    for count in 1...Self.partsPerTurn {
      guard let (part, request) = parts.popFirst() else { return }
      response.clear()
      do throws(CallError) {
        let later = try request.withBytes { message throws(CallError) in
          try core.execute(
            part.method, message, in: request.block, into: &response,
            largerThan: core.limits.bulkBytesMin, context)
        }
        mark = max(mark, core.latestMark)
        if let later { return begin(later, part) }
        bytes += response.readableBytes
        answer(part, response)
      } catch {
        mark = max(mark, core.latestMark)
        core.counters.failed()
        part.operation.part(part.tag, failed: error, on: port)
      }
      // A slice of an every-shard call has a turn for itself.
      if part.method >= InternalMethod.firstNumber || bytes >= Self.bytesPerTurn { return }
      if count % Self.partsPerLook == 0, core.clock() >= endNanos { return }
    }
  }

  private func begin(_ later: any ReplySource, _ part: Part) {
    let reply = ReplyHandle(0, to: self, method: part.method, core: core)
    self.later = (part, reply)
    // The operation's own reply waits at the gate.
    later.start(reply, after: .none)
  }

  private func answer(_ part: Part, _ response: ByteBuffer) {
    response.withUnsafeReadableBytes {
      part.operation.part(part.tag, answered: $0, on: port)
    }
    port.account(part.operation)
  }

  // MARK: - The exit of a part's response

  func takes(_ reply: ReplyHandle) -> Bool { true }

  func begin(_ reply: ReplyHandle, byteCount: Int) {
    response.reserveCapacity(byteCount)
  }

  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    write(&response)
  }

  func end(_ reply: ReplyHandle, _ end: ReplyEnd) {
    guard let part = later?.part else { return }
    later = nil
    switch end {
    case .complete:
      let response = self.response
      self.response = ByteBuffer()
      answer(part, response)
    case .response(let response): answer(part, response)
    case .failed(let error):
      response = ByteBuffer()
      part.operation.part(part.tag, failed: error, on: port)
    }
    if operation != nil, !parts.isEmpty { core.turns.enqueue(self) }
  }
}
