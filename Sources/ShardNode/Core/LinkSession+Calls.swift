// What a session does with the calls of a frame.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

extension LinkSession {
  /// How far a session has got with the calls of a frame.
  enum Progress {
    case done
    /// What lies from this offset on waits until the router has taken what it was sent.
    case held(Int)
    case ended(AfterFrame)
  }

  /// Executes the calls of a frame that `FrameControls` has read, or of the rest of one.
  func execute(
    _ frame: UnsafeRawBufferPointer, in block: LargeBlock?, cancelled: Set<UInt64>,
    heardMillis: UInt64, placedAnew: Set<UInt64>
  ) throws(WireError) -> Progress {
    // Within a frame no slot changes hands.
    defer { if !core.returnedSlots.isEmpty { barReturnedSlots() } }
    let isBarred = !barredSlots.isEmpty
    var calls = RepeatedBytes.Iterator(in: frame, LinkV1.RouterFrame.Field.calls)
    guard var message = calls.next() else { return .done }
    guard let peer, !peer.isSuperseded else { return .ended(refuseCalls()) }
    guard heardMillis > 0 else { return .ended(Self.clockMissing) }
    var context = core.frameContext(heardMillis: heardMillis)
    let bytesMin = peer.hasBulkLane ? core.limits.bulkBytesMin : .max
    while true {
      let call = try LinkV1.LinkCall(message)
      let start = output.writerIndex
      if cancelled.contains(call.id) {
        output.writeReply(.link, id: call.id, error: .cancelled)
      } else if isBarred, returnsBarred(call, placedAnew) {
        // Its reply is written.
      } else if call.method < InternalMethod.firstNumber {
        context.deadlineNanos =
          call.deadlineMillis == 0 ? 0 : core.nanos(ofMillis: call.deadlineMillis)
        if let later = core.answer(
          call, in: block, into: &output, largerThan: bytesMin, context)
        {
          begin(later, call, peer)
        } else {
          passGate(call.id, call.method, since: start)
        }
      } else {
        context.deadlineNanos =
          call.deadlineMillis == 0 ? 0 : core.nanos(ofMillis: call.deadlineMillis)
        answerPart(call, peer, context)
      }
      let end = message.baseAddress.map { $0 + message.count }
      guard let next = calls.next() else { return .done }
      message = next
      if output.readableBytes >= LinkProtocol.frameBytes {
        flush()
        // The bulk lane is read on: what it brings is credit, and few calls with small replies.
        if lane == .calls, !isWritable, let start = frame.baseAddress, let end {
          return .held(start.distance(to: end))
        }
      }
    }
  }

  private func barReturnedSlots() {
    barredSlots.formUnion(core.returnedSlots)
    core.returnedSlots = []
  }

  /// Returns a call if one on its slot was returned before it, unless that has come again with this one.
  private func returnsBarred(_ call: LinkV1.LinkCall, _ placedAnew: Set<UInt64>) -> Bool {
    guard let slot = ShardCore.slot(of: call), barredSlots.contains(slot) else { return false }
    if placedAnew.contains(call.id) {
      barredSlots.remove(slot)
      return false
    }
    output.writeReturned(call, .slotMoves("a call before it on slot \(slot) was returned"))
    return true
  }

  /// Executes and answers a slice whose turn has come.
  func answer(_ method: UInt32, _ id: UInt64, _ request: ByteBuffer, _ context: CallContext) {
    let start = output.writerIndex
    request.withUnsafeReadableBytes { core.answer(method, id: id, $0, into: &output, context) }
    passGate(id, method, since: start)
    flushUnlessWorking()
  }

  private func answerPart(_ call: LinkV1.LinkCall, _ peer: RouterSession, _ context: CallContext) {
    switch InternalMethod(rawValue: call.method) {
    case .keysPart, .resetPart:
      slices.append(call, peer, context)
    case .listStreamPart:
      let start = output.writerIndex
      do throws(CallError) {
        if let parts = try core.listParts(call.request, context) {
          return begin(parts, call, peer)
        }
        // A ListValues that was not found has no fields.
        output.endReply(output.beginReply(.link, id: call.id))
      } catch {
        core.counters.failed()
        if error.reason == .wrongShard {
          output.writeReturned(call, error)
        } else {
          output.writeReply(.link, id: call.id, error: error)
        }
      }
      passGate(call.id, call.method, since: start)
    default:
      let start = output.writerIndex
      _ = core.answer(call, into: &output, context)
      passGate(call.id, call.method, since: start)
    }
  }

  private func begin(_ later: any ReplySource, _ call: LinkV1.LinkCall, _ peer: RouterSession) {
    guard !peer.isInProgress(call.id) else {
      return output.writeReply(.link, id: call.id, error: .callInProgress(call.id))
    }
    let reply = ReplyHandle(call.id, to: self, method: call.method, core: core)
    peer.began(reply)
    later.start(reply, after: core.latestMark)
  }

  private func refuseCalls() -> AfterFrame {
    if case .open = phase {
      return .end(.aborted, "a newer connection of this router has taken over")
    }
    return .end(.failedPrecondition, "the first frame must carry Hello")
  }

  private static let clockMissing = AfterFrame.end(
    .invalidArgument, "a frame with calls must name the shard's clock")
}

extension CallError {
  /// A router used the id of a call that has not had its last reply.
  static func callInProgress(_ id: UInt64) -> CallError {
    .internalError("call \(id) of this link is still in progress")
  }
}
