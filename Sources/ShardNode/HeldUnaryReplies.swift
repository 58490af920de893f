// Replies to clients' unary calls that wait at the gate: one object for all of them with one mark,
// as the calls of a tick mostly have, so that waiting for a sync costs a call a copy of its reply
// and a place in an array. Pipelines and lanes of links have HeldReplies; replies that are long, or
// come later for another reason, have handles.
//
// Owned by the shard's service; its event loop.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class HeldUnaryReplies: GateWaiter {
  private enum End {
    /// The reply's bytes, behind those of the calls before it.
    case response(byteCount: Int)
    case failed(CallError)

    var byteCount: Int {
      switch self {
      case .response(let byteCount): byteCount
      case .failed: 0
      }
    }
  }

  private struct Reply {
    /// Nil once the client is gone.
    var call: ServerCall?
    let end: End
    let isWrite: Bool
  }

  /// Ids have this bit set, and no id of a `LaterReply` has.
  private static let idFlag: UInt64 = 1 << 63

  let mark: ReplyMark
  /// Distinguishes it from the others of the loop.
  private let number: UInt32
  private let core: ShardCore
  private var replies: [Reply] = []
  private var bytes = ByteBuffer()
  /// Replies whose client is not gone.
  private var count = 0
  /// What the gate is charged with: all replies, as their memory is freed together.
  private var chargedBytes = 0
  private(set) var isHeld = true
  /// Called once it holds nothing any more.
  private let onEnd: (HeldUnaryReplies) -> Void

  init(
    _ mark: ReplyMark, number: UInt32, core: ShardCore,
    onEnd: @escaping (HeldUnaryReplies) -> Void
  ) {
    self.mark = mark
    self.number = number
    self.core = core
    self.onEnd = onEnd
    core.gate.wait(self, for: mark)
  }

  /// The number of the object that gave an id; nil: none of this kind did.
  static func number(of id: UInt64) -> UInt32? {
    id & idFlag == 0 ? nil : UInt32(truncatingIfNeeded: id >> 32) & 0x7fff_ffff
  }

  func has(_ number: UInt32) -> Bool { self.number & 0x7fff_ffff == number }

  // MARK: - Replies

  /// Holds a copy of a response. Returns the call's id, for `drop`.
  func append(_ response: UnsafeRawBufferPointer, to call: ServerCall, isWrite: Bool) -> UInt64 {
    bytes.writeBytes(response)
    return append(Reply(call: call, end: .response(byteCount: response.count), isWrite: isWrite))
  }

  /// Holds an error. Returns the call's id, for `drop`.
  func append(_ error: CallError, to call: ServerCall, isWrite: Bool) -> UInt64 {
    append(Reply(call: call, end: .failed(error), isWrite: isWrite))
  }

  private func append(_ reply: Reply) -> UInt64 {
    let byteCount = reply.end.byteCount + ReplyGate.bytesPerReply
    core.gate.charge(byteCount)
    chargedBytes += byteCount
    replies.append(reply)
    count += 1
    return Self.idFlag | UInt64(number & 0x7fff_ffff) << 32 | UInt64(replies.count - 1)
  }

  /// A client is gone: its call gets no reply. The bytes stay, and count, until the others get
  /// theirs.
  func drop(_ id: UInt64) {
    let place = Int(UInt32(truncatingIfNeeded: id))
    guard isHeld, place < replies.count, replies[place].call != nil else { return }
    replies[place].call = nil
    count -= 1
    guard count == 0 else { return }
    end()
    core.gate.left()
  }

  private func end() {
    isHeld = false
    core.gate.discharge(chargedBytes)
    onEnd(self)
  }

  // MARK: - The gate

  func gateOpened() {
    end()
    var start = bytes.readerIndex
    for reply in replies {
      defer { start += reply.end.byteCount }
      guard let call = reply.call else { continue }
      switch reply.end {
      case .response(let byteCount):
        bytes.withVeryUnsafeBytes {
          call.respond(
            message: UnsafeRawBufferPointer(rebasing: $0[start..<start + byteCount]))
        }
      case .failed(let error):
        call.fail(error.status)
      }
    }
  }

  func gateGaveUp() {
    end()
    for reply in replies {
      reply.call?.fail(CallError.givenUp(isWrite: reply.isWrite, core.id).status)
    }
  }
}
