// Replies that wait at the gate, of an exit that sends batches: one frame for each mark. The
// current frame belongs to the exit; every reply is written there, and moved out of it if it must
// wait. So a reply that needn't wait is neither copied nor inspected.
//
// Owned by the exit; event loop of the core.

import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

/// An exit that sends batches of replies.
protocol BatchExit: AnyObject {
  var carrier: Carrier { get }
  /// Sends the held replies to `count` calls.
  func release(_ frame: ByteBuffer, count: Int)
}

final class HeldReplies {
  private unowned let core: ShardCore
  private weak var exit: (any BatchExit)?
  /// In ascending order of marks.
  private var frames: [HeldFrame] = []

  init(of exit: any BatchExit, core: ShardCore) {
    self.exit = exit
    self.core = core
  }

  var isEmpty: Bool { frames.isEmpty }

  /// Moves the reply of a call just executed out of a frame, where it begins at `start`.
  ///
  /// - Parameter deadlineNanos: when the call ends, on the core's clock; 0: never, or the caller
  ///   enforces it.
  /// - Returns: whether it is held; otherwise there is an error in its place.
  @discardableResult
  func take(
    from output: inout ByteBuffer, since start: Int, id: UInt64, method: UInt32,
    deadlineNanos: UInt64 = 0
  ) -> Bool {
    let isWrite = SubRequest.isWrite(method: method)
    let length = output.writerIndex - start
    guard core.gate.isFull && !isWrite else {
      if let bytes = output.viewBytes(at: start, length: length) {
        frame(of: core.latestMark).append(
          bytes, id: id, isWrite: isWrite, deadlineNanos: deadlineNanos)
      }
      output.moveWriterIndex(to: start)
      return true
    }
    guard let exit else { return false }
    output.moveWriterIndex(to: start)
    output.writeReply(exit.carrier, id: id, error: .heldTooMuch(core.limits))
    return false
  }

  /// The exit is closed.
  func drop() {
    for frame in frames where frame.isHeld {
      frame.drop()
      core.gate.left()
    }
    frames = []
  }

  private func frame(of mark: ReplyMark) -> HeldFrame {
    var place = frames.endIndex
    while place > 0, frames[place - 1].mark > mark { place -= 1 }
    if place > 0, frames[place - 1].mark == mark { return frames[place - 1] }
    let frame = HeldFrame(mark, of: self, core: core)
    frames.insert(frame, at: place)
    core.gate.wait(frame, for: mark)
    return frame
  }

  // MARK: - For the frames

  fileprivate func send(_ bytes: ByteBuffer, count: Int) {
    if count > 0 { exit?.release(bytes, count: count) }
  }

  fileprivate func send(_ id: UInt64, _ error: CallError) {
    guard let exit else { return }
    var bytes = ByteBuffer()
    bytes.writeReply(exit.carrier, id: id, error: error)
    exit.release(bytes, count: 1)
  }

  fileprivate func forget(_ frame: HeldFrame) {
    frames.removeAll { $0 === frame }
  }
}

/// The replies of one exit that wait for the same mark.
private final class HeldFrame: GateWaiter, DeadlineTaker {
  private struct Reply {
    let id: UInt64
    /// The frame's own number: ids are chosen by the caller, which may use one twice.
    let number: UInt64
    let byteCount: Int
    let isWrite: Bool
    let deadline: DeadlineQueue<Deadline>.Handle?
  }

  let mark: ReplyMark
  private(set) var isHeld = true
  private weak var owner: HeldReplies?
  private unowned let core: ShardCore
  private var bytes = ByteBuffer()
  private var replies: [Reply] = []
  private var nextNumber: UInt64 = 0

  init(_ mark: ReplyMark, of owner: HeldReplies, core: ShardCore) {
    self.mark = mark
    self.owner = owner
    self.core = core
  }

  func append(
    _ reply: ByteBufferView, id: UInt64, isWrite: Bool, deadlineNanos: UInt64
  ) {
    bytes.writeBytes(reply)
    core.gate.charge(reply.count + ReplyGate.bytesPerReply)
    var deadline: DeadlineQueue<Deadline>.Handle?
    if deadlineNanos > 0 {
      deadline = core.deadlines.insert(
        deadlineNanos: deadlineNanos, Deadline(taker: self, id: nextNumber))
    }
    replies.append(
      Reply(
        id: id, number: nextNumber, byteCount: reply.count, isWrite: isWrite, deadline: deadline))
    nextNumber += 1
  }

  func gateOpened() {
    let (bytes, count) = (self.bytes, replies.count)
    let owner = self.owner
    drop()
    owner?.forget(self)
    owner?.send(bytes, count: count)
  }

  func gateGaveUp() {
    let replies = self.replies
    let owner = self.owner
    drop()
    owner?.forget(self)
    for reply in replies {
      owner?.send(reply.id, .givenUp(isWrite: reply.isWrite, core.id))
    }
  }

  /// A call's deadline has passed: its reply is removed.
  func deadlinePassed(_ number: UInt64) {
    guard let place = replies.firstIndex(where: { $0.number == number }) else { return }
    let expired = replies.remove(at: place)
    let start = bytes.readerIndex + replies[..<place].reduce(0) { $0 + $1.byteCount }
    let end = start + expired.byteCount
    var rest = bytes
    rest.moveWriterIndex(to: start)
    if let behind = bytes.getSlice(at: end, length: bytes.writerIndex - end) {
      rest.writeImmutableBuffer(behind)
    }
    bytes = rest
    core.gate.discharge(expired.byteCount + ReplyGate.bytesPerReply)
    owner?.send(expired.id, .deadlineExceeded)
  }

  /// Releases the replies.
  func drop() {
    guard isHeld else { return }
    isHeld = false
    for reply in replies {
      core.gate.discharge(reply.byteCount + ReplyGate.bytesPerReply)
      if let deadline = reply.deadline { core.deadlines.remove(deadline) }
    }
    replies = []
    bytes = ByteBuffer()
    owner = nil
  }
}
