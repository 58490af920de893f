// What a session does with the calls of a frame, and with Hello.

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

  /// Executes the calls of a frame that `FrameOutline` has read, or of the rest of one.
  func execute(
    _ frame: UnsafeRawBufferPointer, in block: LargeBlock?, cancelled: Set<UInt64>,
    heardMillis: UInt64
  ) throws(WireError) -> Progress {
    var calls = RepeatedBytes(frame, field: 2).makeIterator()
    guard var message = calls.next() else { return .done }
    guard let peer, !peer.isSuperseded else { return .ended(refuseCalls()) }
    guard heardMillis > 0 else { return .ended(Self.clockMissing) }
    var context = core.frameContext(heardMillis: heardMillis)
    let bytesMin = peer.hasBulkLane ? core.limits.bulkBytesMin : .max
    while true {
      let call = try CallView(message, carrier: .link)
      let start = output.writerIndex
      if cancelled.contains(call.id) {
        output.writeReply(.link, id: call.id, error: .cancelled)
      } else if call.method < InternalMethod.firstNumber {
        context.deadlineNanos =
          call.deadlineMillis == 0 ? 0 : core.nanos(ofMillis: call.deadlineMillis)
        if let later = core.answer(
          call, in: block, into: &output, as: .link, largerThan: bytesMin, context)
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

  /// Executes and answers a slice whose turn has come.
  func answer(_ method: UInt32, _ id: UInt64, _ request: ByteBuffer, _ context: CallContext) {
    let start = output.writerIndex
    request.withUnsafeReadableBytes { core.answer(method, id: id, $0, into: &output, context) }
    passGate(id, method, since: start)
    flushUnlessWorking()
  }

  private func answerPart(_ call: CallView, _ peer: LinkPeer, _ context: CallContext) {
    switch InternalMethod(rawValue: call.method) {
    case .keysPart, .resetPart:
      slices.append(call, peer, context)
    case .listStreamPart:
      let start = output.writerIndex
      do throws(CallError) {
        if let parts = try core.listParts(call.request, context) {
          return begin(parts, call, peer)
        }
        let reply = output.beginReply(.link, id: call.id)
        output.writeMissingList()
        output.endReply(reply)
      } catch {
        core.counters.failed()
        output.writeReply(.link, id: call.id, error: error)
      }
      passGate(call.id, call.method, since: start)
    default:
      let start = output.writerIndex
      _ = core.answer(call, into: &output, as: .link, context)
      passGate(call.id, call.method, since: start)
    }
  }

  private func begin(_ later: any LaterReply, _ call: CallView, _ peer: LinkPeer) {
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

  // MARK: - Hello

  func greet(_ bytes: UnsafeRawBufferPointer) -> AfterFrame {
    guard phase == .awaitingHello else {
      return .end(.invalidArgument, "Hello belongs into the first frame only")
    }
    guard let hello = try? Ringstore_Internal_V1_Hello(serializedBytes: Array(bytes)),
      let map = try? SlotMapMessage.decode(hello.map)
    else {
      return .end(.invalidArgument, "Hello is malformed, or its slot map doesn't hold together")
    }
    var (reply, isNewMap) = core.greet(hello, map, lane: lane)
    reply.shard = core.id
    reply.incarnation = core.incarnation
    reply.mapEpoch = core.ownership.map?.epoch ?? 0
    if reply.accepted {
      phase = .open(router: hello.router, generation: hello.generation)
      peer = core.peers.join(
        self, router: hello.router, generation: hello.generation, core: core)
      greeting = .accepted(router: hello.router, newMap: isNewMap)
    } else {
      greeting = .refused(router: hello.router, reason: reply.refusal)
    }
    var frame = Ringstore_Internal_V1_ShardFrame()
    frame.hello = reply
    frame.clockMillis = core.clockMillis
    // Serialising our own message fails only where a required field is missing; proto3 has none.
    if let encoded: [UInt8] = try? frame.serializedBytes() { output.writeBytes(encoded) }
    return reply.accepted ? .goOn : .end(.failedPrecondition, reply.refusal)
  }
}

extension InternalMethod {
  /// Methods below are calls of clients.
  static let firstNumber: UInt32 = 64
}

extension CallError {
  /// A router used the id of a call that has not had its last reply.
  static func callInProgress(_ id: UInt64) -> CallError {
    .internalError("call \(id) of this link is still in progress")
  }
}

extension ByteBuffer {
  /// A whole `ListValues` for a key that was not found.
  mutating func writeMissingList() {
    writeListValuesEnd(found: false, length: 0, firstIndex: 0)
  }
}
