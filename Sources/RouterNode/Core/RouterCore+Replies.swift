// Replies, whole and in parts.
//
// A small reply is passed on as it is. A large one is announced by the shard, which holds on to its
// bytes until the router asks for them; then it comes in pieces on the bulk lane. Whoever can take
// it in pieces (a plain call of a client) gets them as they come, and no more is asked for than the
// client takes. For the others (calls of a Pipeline, parts) it is gathered. The replies of streams
// are asked for in the same way, message by message.
//
// Bounds: what one shard was asked for and has not been passed on is at most its share of
// `Limits.gatherBytesMax`, whatever its size where it is the only one; replies get their part of
// that in turn. Announced replies that are not asked for yet cost an entry each; their number is
// that of their clients' calls, and their bytes are the shard's, for a limited time.

import NIOCore
import NodeCore
import RingstoreAPI

extension RouterCore {
  /// Replies that come in parts, and bytes of them that were asked for and not passed on.
  package var repliesInParts: Int { flows.count }
  package var bytesAskedFor: Int { links.reduce(0) { $0 + $1.bytesAskedFor } }

  /// A caller that took no more takes more again: of a large or streamed answer, or an operation's.
  package func callerWritable(_ id: UInt64) {
    if isOperation(id) {
      operations[id]?.fanout.callerTakesMore()
    } else {
      ask(id)
    }
    settle()
  }

  // MARK: - What the shard sends

  func answered(_ shard: Int, _ reply: LinkV1.LinkReply) {
    if reply.more {
      partCame(shard, reply)
      return
    }
    guard let call = calls.removeSent(reply.id, shard: shard) else { return }
    guard call.reply == .whole else {
      lastPartCame(reply, call)
      return
    }
    if call.lane == .calls {
      // Small calls have their place in the order, all of them.
      links[shard].calls.callEnded(bytes: call.bytes)
      laneOrder.smallEnded(reply.id, slot: call.slot)
    } else {
      links[shard].bulk.callEnded(bytes: call.bytes)
      if call.isOrdered { laneOrder.largeEnded(reply.id) }
    }
    if let timer = call.timer { _ = timers.remove(timer) }
    switch call.target {
    case .abandoned:
      break
    case .caller(let caller):
      if let error = reply.error {
        driver.fail(caller, error: error)
      } else {
        driver.answer(caller, response: reply.response)
      }
    case .part(let fanout, let tag):
      if let error = reply.error {
        fanout.failed(tag, error)
      } else {
        fanout.answered(tag, reply.response)
      }
    }
  }

  private func partCame(_ shard: Int, _ reply: LinkV1.LinkReply) {
    guard let call = calls[reply.id], call.shard == shard, !call.isWaiting else { return }
    if reply.code != 0 { return returned(shard, reply, call) }
    guard !call.isAbandoned else { return }
    switch call.reply {
    case .whole:
      announced(reply, call)
    case .stream:
      startFlow(reply.id, call)
      take(reply.response, reply.id, call)
    case .inParts:
      take(reply.response, reply.id, call)
    }
  }

  /// A large reply is ready at its shard: the call was executed, and has had its turn.
  private func announced(_ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let total = (try? LinkV1.LargeReplyNotice(reply.response))?.totalBytes ?? .max
    startFlow(reply.id, call)
    guard total <= UInt64(limits.maxMessageBytes) else {
      giveUp(reply.id, call, .responseTooLarge(streamingCall: nil))
      return
    }
    let bytes = Int(total)
    if case .caller(let caller) = call.target, driver.takesPieces(caller) {
      flows[reply.id] = StreamedReply(.pieces(total: bytes))
    } else {
      flows[reply.id] = StreamedReply(.gathered(total: bytes))
    }
    ask(reply.id)
  }

  /// The reply has begun: the call leaves its lane's counts and its key's order.
  private func startFlow(_ id: UInt64, _ call: PendingCall<Caller>) {
    links[call.shard][call.lane].callEnded(bytes: call.bytes)
    links[call.shard].flowsUnderWay += 1
    if call.isOrdered { leaveOrder(id, call) }
    var changed = call
    changed.isOrdered = false
    changed.reply = .inParts
    calls[id] = changed
  }

  private func take(
    _ bytes: UnsafeRawBufferPointer, _ id: UInt64, _ call: PendingCall<Caller>
  ) {
    guard let flow = flows[id] else { return }
    guard flow.received(bytes.count) else {
      giveUp(id, call, .internalError("a shard sent more of a reply than it had announced"))
      return
    }
    passOn(bytes, flow, call)
    ask(id)
  }

  private func passOn(
    _ bytes: UnsafeRawBufferPointer, _ flow: StreamedReply, _ call: PendingCall<Caller>
  ) {
    switch (flow.kind, call.target) {
    case (.gathered(let total), _):
      if flow.bytes.capacity == 0 { flow.bytes.reserveCapacity(total) }
      flow.bytes.writeBytes(bytes)
    case (.pieces(let total), .caller(let caller)):
      release(bytes.count, flow, call)
      if !flow.hasBegun {
        flow.hasBegun = true
        driver.beginAnswer(caller, byteCount: total)
      }
      driver.appendAnswer(caller, bytes)
    case (.messages, .caller(let caller)):
      release(bytes.count, flow, call)
      driver.emit(caller, message: bytes)
    default:
      break
    }
  }

  /// The last part of a reply, or the reply's failure. The call is out of the table already.
  private func lastPartCame(_ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let flow = flows[reply.id]
    if call.reply == .inParts {
      links[call.shard].flowsUnderWay -= 1
    } else {
      links[call.shard][call.lane].callEnded(bytes: call.bytes)
      if call.isOrdered { leaveOrder(reply.id, call) }
    }
    var error = reply.error
    if let flow, error == nil {
      if flow.received(reply.response.count), flow.isComplete {
        passOn(reply.response, flow, call)
      } else {
        error = .internalError("a shard sent another number of bytes than it had announced")
      }
    }
    endFlow(reply.id, call)
    if let timer = call.timer { _ = timers.remove(timer) }
    if let error {
      fail(flow, call, error)
    } else if let flow {
      finish(flow, call)
    }
  }

  private func finish(_ flow: StreamedReply, _ call: PendingCall<Caller>) {
    switch (flow.kind, call.target) {
    case (.pieces, .caller(let caller)):
      driver.finishAnswer(caller)
    case (.messages, .caller(let caller)):
      driver.finishStream(caller)
    case (_, .caller(let caller)):
      driver.answer(caller, response: flow.bytes)
    case (_, .part(let fanout, let tag)):
      flow.bytes.withUnsafeReadableBytes { fanout.answered(tag, $0) }
    case (_, .abandoned):
      break
    }
  }

  /// Ends a call whose reply was to come in parts. A write was executed before its reply was
  /// announced, so what its caller is told must not sound as if it had not been.
  func fail(_ flow: StreamedReply?, _ call: PendingCall<Caller>, _ error: CallError) {
    let told = call.isWrite && call.reply == .inParts ? lostAnswer(call.shard) : error
    if let flow, flow.hasBegun, case .caller(let caller) = call.target {
      driver.failAnswer(caller, error: told)
    } else {
      tellFailure(call, told)
    }
  }

  private func lostAnswer(_ shard: Int) -> CallError { .outcomeUnknown(links[shard].shardID) }

  /// Ends a call although its shard goes on: the shard is told, the call abandoned.
  private func giveUp(_ id: UInt64, _ call: PendingCall<Caller>, _ error: CallError) {
    let flow = flows[id]
    guard let current = calls[id] else { return }
    withdraw(id)
    fail(flow, current, error)
  }

  // MARK: - Asking for more

  /// Asks the shard for more of a reply, where its caller takes more and the bound allows it.
  func ask(_ id: UInt64) {
    guard let flow = flows[id], !flow.isAsking, let call = calls[id], !call.isWaiting,
      takesMore(id, call)
    else { return }
    let bytes = flow.wantedBytes
    guard bytes > 0 else { return }
    if links[call.shard].creditWaiters.isEmpty, hasShare(call.shard, bytes) {
      grant(id, bytes, flow, call)
      return
    }
    flow.isAsking = true
    links[call.shard].creditWaiters.append(id)
    // Replies that were given up leave their ids behind.
    if links[call.shard].creditWaiters.count > 2 * flows.count + 1_024 {
      links[call.shard].creditWaiters.removeAll { flows[$0]?.isAsking != true }
    }
  }

  /// Gives those who wait for it their part of what may be asked for.
  func serveAskers(_ shard: Int) {
    while let id = links[shard].creditWaiters.first {
      if let flow = flows[id], flow.isAsking, let call = calls[id] {
        let bytes = flow.wantedBytes
        guard hasShare(shard, bytes) else { return }
        flow.isAsking = false
        if bytes > 0, takesMore(id, call) { grant(id, bytes, flow, call) }
      }
      _ = links[shard].creditWaiters.popFirst()
    }
  }

  private func takesMore(_ id: UInt64, _ call: PendingCall<Caller>) -> Bool {
    guard case .caller(let caller) = call.target else { return true }
    return driver.takesMore(caller, id: id)
  }

  /// Every shard has the same share of the bound, so that a slow one takes nothing from the others.
  private func hasShare(_ shard: Int, _ byteCount: Int) -> Bool {
    let asked = links[shard].bytesAskedFor
    return asked == 0 || asked + byteCount <= limits.gatherBytesMax / links.members.count
  }

  private func grant(
    _ id: UInt64, _ byteCount: Int, _ flow: StreamedReply, _ call: PendingCall<Caller>
  ) {
    flow.granted(byteCount)
    flow.reserved += byteCount
    links[call.shard].bytesAskedFor += byteCount
    if case .caller(let caller) = call.target { driver.expect(byteCount, for: caller) }
    links[call.shard].bulk.append {
      $0.append(LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: id, bytes: UInt64(byteCount)))
    }
    hasOutput(call.shard, .bulk)
  }

  private func release(_ byteCount: Int, _ flow: StreamedReply, _ call: PendingCall<Caller>) {
    let released = min(byteCount, flow.reserved)
    guard released > 0 else { return }
    flow.reserved -= released
    links[call.shard].bytesAskedFor -= released
    if case .caller(let caller) = call.target { driver.expect(-released, for: caller) }
  }

  /// The call begins anew at another shard: what the old one was asked for won't come.
  func returnCredit(_ id: UInt64, _ call: PendingCall<Caller>) {
    guard let flow = flows[id] else { return }
    release(flow.reserved, flow, call)
    flow.forgetCredit()
    serveAskers(call.shard)
  }

  /// Forgets a reply in parts, and gives back what was reserved for it.
  func endFlow(_ id: UInt64, _ call: PendingCall<Caller>) {
    guard let flow = flows.removeValue(forKey: id) else { return }
    release(flow.reserved, flow, call)
    serveAskers(call.shard)
  }
}
