// What a session does with the calls of a frame.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing

extension LinkSession {
  /// How far a session has got with the calls of a frame.
  enum Progress {
    case done
    /// Bytes from this offset on wait until the router has read its replies.
    case held(Int)
    case ended(AfterFrame)
  }

  /// Reads a frame, or the rest of a held one, and executes its calls.
  ///
  /// - Parameter isHeld: whether it was held, so it needn't wait for other held frames.
  func read(
    _ frame: UnsafeRawBufferPointer, in block: LargeBlock?, _ controls: inout FrameControls,
    isHeld: Bool = false
  ) throws(WireError) -> Progress {
    // The reference to the core is counted once a frame, not at each of its uses.
    let core = core
    // Within a frame no slot changes hands.
    defer {
      core.linkCallsAhead.end()
      if !core.returnedSlots.isEmpty { barReturnedSlots() }
    }
    var parts = LinkV1.RouterFrame.Parts(frame)
    var calls = Calls()
    var position = 0
    while let part = try parts.next() {
      switch part {
      case .calls(let message):
        if calls.peer == nil {
          if holdsCalls, !isHeld { return .held(position) }
          // The router has said that a map is in force, whose slots come in a moment.
          if let peer, core.coming?.wasReported(by: peer) == true { return .held(position) }
          if let after = begin(&calls, controls) { return .ended(after) }
        }
        var following = parts
        let call = try core.linkCallsAhead.call(message, calls.context) {
          if case .calls(let message) = try? following.next() { message } else { nil }
        }
        execute(call.pointee, in: block, &calls, controls, core)
        guard output.readableBytes >= LinkProtocol.frameBytes, parts.position < frame.count
        else { break }
        flush()
        // Reading of the bulk lane continues: it carries credit, and few calls with small replies.
        if lane == .calls, !isWritable { return .held(parts.position) }
      case .heardMillis(let millis):
        controls.heardMillis = millis
        if lane == .calls { peer?.heard(millis) }
      case .cancels(let id): cancel(id, &controls)
      case .placedAgain(let id): controls.placedAgain.insert(id)
      case .credits(let message):
        let credit = try LinkV1.Credit(message)
        peer?.grant(credit.id, credit.bytes)
      case .hello(let message):
        let after = greet(message)
        guard after == .proceed else { return .ended(after) }
      case .offer(let message):
        let after = take(offer: message)
        guard after == .proceed else { return .ended(after) }
      }
      position = parts.position
    }
    return .done
  }

  /// What the calls of a frame have in common.
  private struct Calls {
    /// Nil before the first call.
    var peer: RouterSession?
    /// Of each call in turn.
    var context = CallContext()
    /// A longer response comes later, over the bulk lane.
    var bytesMin = Int.max
    var isBarred = false
  }

  /// Prepares the execution of a frame's calls. Returns the end of the link if they may not be
  /// executed.
  private func begin(_ calls: inout Calls, _ controls: FrameControls) -> AfterFrame? {
    guard let peer, !peer.isSuperseded else { return refuseCalls() }
    guard controls.heardMillis > 0 else { return Self.clockMissing }
    calls.peer = peer
    calls.context = core.frameContext(heardMillis: controls.heardMillis)
    if peer.hasBulkLane { calls.bytesMin = core.limits.bulkBytesMin }
    calls.isBarred = !barredSlots.isEmpty
    return nil
  }

  @inline(__always)
  private func execute(
    _ call: LinkV1.LinkCall, in block: LargeBlock?, _ calls: inout Calls,
    _ controls: FrameControls, _ core: ShardCore
  ) {
    let start = output.writerIndex
    if !controls.cancelled.isEmpty, controls.cancelled.contains(call.id) {
      return output.writeReply(.link, id: call.id, error: .cancelled)
    }
    if calls.isBarred, returnsBarred(call, controls.placedAgain) { return }
    calls.context.deadlineNanos =
      call.deadlineMillis == 0 ? 0 : core.nanos(ofMillis: call.deadlineMillis)
    calls.context.span = 0
    if !call.traceContext.isEmpty { calls.context.span = core.beginSpan(of: call, calls.context) }
    guard call.method < InternalMethod.firstNumber else {
      if let peer = calls.peer { replyToPart(call, peer, calls.context) }
      return
    }
    if let later = core.reply(
      to: call, in: block, into: &output, largerThan: calls.bytesMin, calls.context)
    {
      if let peer = calls.peer { begin(later, call, peer, calls.context) }
    } else {
      if calls.context.span != 0 { core.replied(calls.context.span, call.method) }
      passGate(call.id, call.method, since: start, core)
    }
    core.serveParked()
  }

  private func barReturnedSlots() {
    barredSlots.formUnion(core.returnedSlots)
    core.returnedSlots = []
  }

  /// Returns a call if an earlier one on its slot was returned, unless that one has arrived again.
  private func returnsBarred(_ call: LinkV1.LinkCall, _ placedAgain: Set<UInt64>) -> Bool {
    guard let slot = ShardCore.slot(of: call), barredSlots.contains(slot) else { return false }
    if placedAgain.contains(call.id) {
      barredSlots.remove(slot)
      return false
    }
    output.writeReturned(call, .slotMoves("a call before it on slot \(slot) was returned"))
    return true
  }

  /// Executes a slice in its turn, and replies.
  func reply(to method: UInt32, _ id: UInt64, _ request: ByteBuffer, _ context: CallContext) {
    let start = output.writerIndex
    if context.span != 0 { core.executes(context.span) }
    request.withUnsafeReadableBytes { core.reply(to: method, id: id, $0, into: &output, context) }
    if context.span != 0 { core.replied(context.span, method) }
    passGate(id, method, since: start, core)
    flushUnlessWorking()
  }

  private func replyToPart(
    _ call: LinkV1.LinkCall, _ peer: RouterSession, _ context: CallContext
  ) {
    var context = context
    if let restriction = call.restriction {
      do throws(CallError) {
        context.principal = try RestrictionMessage.principal(restriction)
      } catch {
        core.counters.failed(error)
        if context.span != 0 { core.tracer?.end(context.span, SpanOutcome(of: error)) }
        return output.writeReply(.link, id: call.id, error: error)
      }
    }
    switch InternalMethod(rawValue: call.method) {
    case .keysPart, .resetPart, .backupPart:
      slices.append(call, peer, context)
    case .listStreamPart:
      let start = output.writerIndex
      do throws(CallError) {
        if let parts = try core.listParts(call.request, context) {
          return begin(.source(parts), call, peer, context)
        }
        // A ListValues that was not found has no fields.
        output.endReply(output.beginReply(.link, id: call.id))
      } catch {
        core.failed(call.method, error, context)
        if error.reason == .wrongShard {
          output.writeReturned(call, error)
        } else {
          output.writeReply(.link, id: call.id, error: error)
        }
      }
      if context.span != 0 { core.replied(context.span, call.method) }
      passGate(call.id, call.method, since: start, core)
    default:
      let start = output.writerIndex
      if let later = core.reply(to: call, into: &output, context) {
        begin(later, call, peer, context)
      } else {
        if context.span != 0 { core.replied(context.span, call.method) }
        passGate(call.id, call.method, since: start, core)
      }
    }
  }

  private func begin(
    _ later: Remainder, _ call: LinkV1.LinkCall, _ peer: RouterSession, _ context: CallContext
  ) {
    guard !peer.isInProgress(call.id) else {
      if context.span != 0 { core.tracer?.end(context.span, SpanOutcome(.internal)) }
      return output.writeReply(.link, id: call.id, error: .callInProgress(call.id))
    }
    let reply = ReplyHandle(call.id, to: self, method: call.method, span: context.span, core: core)
    peer.began(reply)
    core.proceed(
      with: later, of: call.method, ByteBuffer(bytes: call.request), context, to: reply,
      after: core.latestMark)
  }

  private func refuseCalls() -> AfterFrame {
    if case .open = phase {
      return .end(.aborted, "a newer connection of this router has taken over")
    }
    return .end(.failedPrecondition, "the first frame must carry Hello")
  }

  private static let clockMissing = AfterFrame.end(
    .invalidArgument, "a frame with calls must carry the shard's clock")
}

extension CallError {
  /// A router used the id of a call that has not had its last reply.
  static func callInProgress(_ id: UInt64) -> CallError {
    .internalError("call \(id) of this link is still in progress")
  }
}
