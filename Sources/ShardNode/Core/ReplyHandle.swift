// The object through which a call gets its reply later, if not where it is executed.
//
//   exit ---owns---> handle ---owns---> work: a large reply's stream, a fan-out, a queued slice,
//     ^---------weak--'  ^-----weak-------'   a pop that waits
//
// The work provides the reply and its mark; the handle passes it through the gate, in order; the
// exit writes it in the format of its protocol: a lane of a link, a Pipeline, a client's call, a
// local call, an operation that the reply is a part of. Events of the caller go the other way:
// cancels, deadlines, readiness for more.
//
//   working --respond, fail, finish--> [held] --gate opens--> over
//      +------cancel, drop, deadline, gate abandoned--------> over
//
// Calls with an immediate reply need no handle; they pass the gate at their exit. Event loop of the
// core.

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing
import Users

/// The exit of replies.
package protocol ReplyExit: AnyObject {
  /// Whether it accepts a chunk or a message now. If not, it wakes the reply when it does.
  func takes(_ reply: ReplyHandle) -> Bool
  /// Announces the length of the chunked message. Not called if each chunk is a message.
  func begin(_ reply: ReplyHandle, byteCount: Int)
  /// Takes a piece, or a message of a stream; `write` appends it.
  func send(_ reply: ReplyHandle, _ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void)
  /// The reply has ended: called once, unless the handle is dropped.
  func end(_ reply: ReplyHandle, _ end: ReplyEnd)

  /// The call waits for a value from now on. Returns false if its caller already has the maximum of
  /// such calls.
  func parked(_ reply: ReplyHandle, _ call: ParkedCall) -> Bool
  /// From this time a waiting call must not be executed, because its caller may already have an
  /// error for a lost link; 0: never.
  var staleNanos: UInt64 { get }
  /// A call that waited was executed, and has removed a value.
  func ran(_ reply: ReplyHandle)
  /// A waiting call can no longer wait here, because the shard doesn't own its slot. Called instead
  /// of `end`.
  func returned(_ reply: ReplyHandle, _ call: ParkedCall, _ error: CallError)
}

extension ReplyExit {
  package func parked(_ reply: ReplyHandle, _ call: ParkedCall) -> Bool { true }
  package var staleNanos: UInt64 { 0 }
  package func ran(_ reply: ReplyHandle) {}
  package func returned(_ reply: ReplyHandle, _ call: ParkedCall, _ error: CallError) {
    end(reply, .failed(error))
  }
}

/// What makes a reply.
package protocol ReplyWork: AnyObject {
  /// The caller accepts more.
  func wake()
  /// Users have lost credentials or permissions. Long work for such a user ends.
  func checkCaller()
  /// The caller has disconnected.
  func drop()
}

extension ReplyWork {
  package func checkCaller() {}
}

extension ReplySource {
  /// Begins a reply that `execute` has not written.
  func start(_ reply: ReplyHandle, after mark: ReplyMark) {
    reply.stream(self, after: mark)
  }
}

extension ShardCore {
  /// Does the rest of a call after `execute`.
  ///
  /// - Parameters:
  ///   - request: the call's, encoded.
  ///   - mark: the mark of the reply, if the reply is ready.
  func proceed(
    with remainder: Remainder, of method: UInt32, _ request: @autoclosure () -> ByteBuffer,
    _ context: CallContext, to reply: ReplyHandle, after mark: ReplyMark
  ) {
    switch remainder {
    case .source(let source): source.start(reply, after: mark)
    case .search(let search):
      unfinished.add(UnfinishedCall(method, request(), context, search, to: reply, core: self))
    case .wait(let wait): park(wait, method, request(), context, to: reply)
    case .part: replyLater(method, request(), context, to: reply)
    }
  }
}

package final class ReplyHandle: GateWaiter {
  private enum Step {
    case begin(ReplyStream)
    case message(ByteBuffer)
    case end(ReplyEnd)

    var byteCount: Int {
      switch self {
      case .message(let bytes), .end(.response(let bytes)): bytes.readableBytes
      case .begin, .end: 0
      }
    }
  }

  /// The exit's own number for the call.
  package let id: UInt64
  /// Bytes that a router accepts; less than a chunk below zero if the last chunk was longer.
  var credit = 0
  /// Whether the reply is one message, not a row of them.
  private(set) var isOneMessage = true
  /// Whether a piece or a message of the reply was sent.
  private(set) var hasSent = false
  package private(set) var isOver = false
  /// Whether the call waits for a value, or did.
  private(set) var isParked = false
  /// The number of the call's span, which ends with the reply; 0: there is none, or it ends with
  /// the client's call.
  private var span: UInt32

  /// Whether the call was executed after it had waited, and a cancel has come since.
  private var isCancelled = false
  private let isWrite: Bool
  private unowned let core: ShardCore
  private weak var exit: (any ReplyExit)?
  private var work: (any ReplyWork)?
  /// The held items, in order.
  private var held = CircularBuffer<(step: Step, mark: ReplyMark)>(initialCapacity: 1)
  private var heldBytes = 0
  /// Whether it is at the gate.
  private(set) var isHeld = false
  private var deadline: DeadlineQueue<Deadline>.Handle?

  /// - Parameters:
  ///   - method: the call's method.
  ///   - deadlineNanos: when the call ends with DEADLINE_EXCEEDED, on the core's clock; 0: never,
  ///     or its exit ends it.
  ///   - span: the number of a span that ends with this reply; 0: there is none.
  package init(
    _ id: UInt64, to exit: any ReplyExit, method: UInt32, deadlineNanos: UInt64 = 0,
    span: UInt32 = 0, core: ShardCore
  ) {
    self.id = id
    self.span = span
    self.exit = exit
    self.core = core
    isWrite = SubRequest.isWrite(method: method)
    if deadlineNanos > 0 {
      deadline = core.deadlines.insert(
        deadlineNanos: deadlineNanos, Deadline(taker: self, id: id))
    }
  }

  // MARK: - For the work

  /// The receiver of the caller's events from now on.
  func worked(by work: any ReplyWork) { self.work = work }

  func end(_ end: ReplyEnd, after mark: ReplyMark) { take(.end(end), mark) }

  /// The call waits for a value.
  func park(_ call: ParkedCall) {
    work = call
    isParked = true
    if span != 0 { core.tracer?.note("parked", in: span) }
    if exit?.parked(self, call) == false { fail(.tooManyWaitingCalls) }
  }

  /// From when on the call must not be executed any more.
  var staleNanos: UInt64 { exit?.staleNanos ?? 0 }

  /// The call's span continues without this handle.
  func keepsSpan() { span = 0 }

  /// It was executed and has removed a value, independent of its reply.
  func ran() { exit?.ran(self) }

  /// It can't wait here any more, and has not been executed.
  func returned(_ call: ParkedCall, _ error: CallError) {
    guard !isOver else { return }
    let exit = self.exit
    endSpan(SpanOutcome(of: error))
    drop()
    exit?.returned(self, call, error)
  }

  package func respond(_ response: ByteBuffer, after mark: ReplyMark) {
    take(.end(.response(response)), mark)
  }

  package func fail(_ error: CallError, after mark: ReplyMark = .none) {
    take(.end(.failed(error)), mark)
  }

  /// Sends one message of a reply that is a row of them.
  func emit(_ message: ByteBuffer, after mark: ReplyMark) { take(.message(message), mark) }

  /// Ends a reply after the parts that were sent.
  func finish(after mark: ReplyMark = .none) { take(.end(.complete), mark) }

  /// A reply in pieces, which begins when the gate lets it.
  ///
  /// - Parameter principal: the user with whose permissions it ends; nil: it is completed.
  func stream(_ source: any ReplySource, of principal: Principal? = nil, after mark: ReplyMark) {
    isOneMessage = source.isOneMessage
    let stream = ReplyStream(
      source, to: self, of: principal, isHeld: core.gate.holds(mark), core: core)
    work = stream
    take(.begin(stream), mark)
  }

  /// Whether a piece or a message may be sent now; if not, the work is woken when it may.
  var isReady: Bool { held.isEmpty && exit?.takes(self) == true }

  func begin(byteCount: Int) {
    exit?.begin(self, byteCount: byteCount)
  }

  func send(_ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    exit?.send(self, piece, write)
    hasSent = true
  }

  /// The rest of the stream is lost. If it is held, the error takes its place.
  func expire(with error: CallError) {
    guard let first = held.first else { return end(.failed(error)) }
    held[held.startIndex] = (.end(.failed(error)), first.mark)
  }

  // MARK: - For the exit

  /// The caller accepts more.
  package func wake() { work?.wake() }

  /// Users have lost credentials or rights.
  func checkCaller() { work?.checkCaller() }

  /// The router accepts `bytes` more of the reply.
  func grant(_ bytes: Int) {
    let (sum, overflows) = credit.addingReportingOverflow(bytes)
    credit = overflows ? .max : sum
    if credit > 0 { wake() }
  }

  /// The caller disconnected and gets its final reply, or the router doesn't want the call to wait.
  ///
  /// A router's cancel may cross the value that the call has waited for. The caller may still want
  /// it: so what was executed is not reported as if it had not been, and a large value is dropped
  /// only at the second cancel, which the router sends when it knows of the value. (Credit for it
  /// comes over another lane, and may overtake the first cancel.)
  func cancel() {
    if let call = work as? ParkedCall, !call.isOver {
      call.cancelled()
    } else if isParked, !held.isEmpty || !isCancelled {
      isCancelled = true
    } else {
      end(.failed(.cancelled))
    }
  }

  /// The caller waits for a value no longer, and gets the final reply.
  func endWait() { (work as? ParkedCall)?.endWait() }

  /// The caller has disconnected and gets nothing.
  package func drop() {
    guard !isOver else { return }
    isOver = true
    endSpan(SpanOutcome(.cancelled))
    if let deadline { core.deadlines.remove(deadline) }
    release()
    let work = self.work
    self.work = nil
    work?.drop()
  }

  // MARK: - Through the gate

  func gateOpened() {
    isHeld = false
    guard let mark = held.first?.mark else { return }
    // Later items with the same mark, or an older one, are released with the first.
    while let next = held.first, next.mark <= mark {
      held.removeFirst()
      charge(-charge(of: next.step))
      perform(next.step)
    }
    if let next = held.first {
      wait(for: next.mark)
    } else {
      work?.wake()
    }
  }

  func gateGaveUp() {
    isHeld = false
    end(.failed(.givenUp(isWrite: isWrite, core.id)))
  }

  private func take(_ step: Step, _ mark: ReplyMark) {
    guard !isOver else { return }
    if held.isEmpty {
      guard core.gate.holds(mark) else { return perform(step) }
      if core.gate.isFull, !isWrite { return end(.failed(.heldTooMuch(core.limits))) }
      wait(for: mark)
    }
    held.append((step, mark))
    charge(charge(of: step))
  }

  private func wait(for mark: ReplyMark) {
    isHeld = true
    if span != 0 { core.tracer?.note("waits for the log", in: span) }
    core.gate.wait(self, for: mark)
  }

  private func endSpan(_ outcome: SpanOutcome) {
    if span != 0 { core.tracer?.end(span, outcome) }
    span = 0
  }

  private func perform(_ step: Step) {
    guard !isOver else { return }
    switch step {
    case .begin(let stream): stream.start()
    case .message(let bytes):
      send(ReplyPiece(byteCount: bytes.readableBytes, isLast: false)) {
        $0.writeImmutableBuffer(bytes)
      }
    case .end(let end): self.end(end)
    }
  }

  private func end(_ end: ReplyEnd) {
    guard !isOver else { return }
    let exit = self.exit
    if span != 0 {
      if case .failed(let error) = end { endSpan(SpanOutcome(of: error)) } else { endSpan(.ok) }
    }
    drop()
    exit?.end(self, end)
  }

  private func charge(of step: Step) -> Int { ReplyGate.bytesPerReply + step.byteCount }

  private func charge(_ bytes: Int) {
    heldBytes += bytes
    core.gate.charge(bytes)
  }

  /// Removes the held items from the gate.
  private func release() {
    held.removeAll()
    charge(-heldBytes)
    if isHeld {
      isHeld = false
      core.gate.left()
    }
  }
}

extension ReplyHandle: DeadlineTaker {
  func deadlinePassed(_ id: UInt64) {
    deadline = nil
    end(.failed(.deadlineExceeded))
  }
}

/// What waits and has a deadline.
protocol DeadlineTaker: AnyObject {
  func deadlinePassed(_ id: UInt64)
}

/// A call's deadline, among those of the shard's calls that wait.
struct Deadline {
  let taker: any DeadlineTaker
  /// The taker's own number.
  let id: UInt64
}
