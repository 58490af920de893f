// Replies, whole and in parts.
//
// A small reply is forwarded unchanged. A large one is announced by the shard, which holds its
// bytes until the router requests them; then it arrives in chunks on the bulk lane. A caller that
// accepts chunks (a client's unary call) gets them as they arrive, and no more is requested than
// the client reads. For the others (calls of a Pipeline, sub-requests) it is collected. The replies
// of streams are requested in the same way, message by message.
//
// Limits: the bytes that were requested from one shard and not forwarded are at most its share of
// `Limits.largeReplyMemoryBytesMax`, except that a single reply may be larger; replies get their
// part of the share in turn. An announced reply that is not requested yet costs one entry; their
// number is limited by the clients' calls, and their bytes are held by the shard, for a limited
// time.

import NIOCore
import NodeCore
import RingstoreAPI

extension RouterCore {
  /// Chunked replies, and their bytes that were requested and not forwarded.
  package var repliesInParts: Int { streams.count }
  package var requestedReplyBytes: Int { streams.requestedBytes }

  /// A caller that had stopped reading accepts more again: of a large or streamed reply, or of an
  /// operation.
  package func callerWritable(_ id: UInt64) {
    if let operation = operations[id] {
      operation.fanout.callerTakesMore()
    } else {
      ask(id)
    }
    finishEvent()
  }

  // MARK: - What the shard sends

  func replyReceived(_ shard: Int, _ reply: LinkV1.LinkReply) {
    if reply.more {
      partReceived(shard, reply)
      return
    }
    guard let call = calls.removeSent(reply.id, shard: shard) else { return }
    guard call.reply == .whole else {
      if call.reply == .parked { parkedEnded(reply, call) } else { lastPartReceived(reply, call) }
      return
    }
    if call.lane == .calls {
      // Small calls have their place in the order, all of them.
      links[shard].calls.callEnded(bytes: call.bytes)
      sequencer.smallEnded(reply.id, slot: call.slot)
    } else {
      links[shard].bulk.callEnded(bytes: call.bytes)
      if call.isOrdered { sequencer.largeEnded(reply.id) }
    }
    measure(call, replyBytes: reply.response.count, isError: reply.code != 0)
    if call.span != 0 { endSpan(call, reply.error, replyBytes: reply.response.count) }
    switch (consume call).intoTarget() {
    case .abandoned:
      if reply.code != 0 { links[shard].callFailed() }
    case .caller(let caller):
      if let error = reply.error {
        links[shard].callFailed()
        driver.fail(caller, error: error)
      } else {
        // The driver holds this core, so no reference to it is counted here.
        Unmanaged.passUnretained(driver)._withUnsafeGuaranteedRef {
          $0.reply(to: caller, response: reply.response)
        }
      }
    case .part(let fanout, let tag):
      if let error = reply.error {
        links[shard].callFailed()
        fanout.failed(tag, error)
      } else {
        fanout.received(tag, reply.response)
      }
    }
  }

  private func partReceived(_ shard: Int, _ reply: LinkV1.LinkReply) {
    guard let call = calls[reply.id], call.shard == shard, !call.isWaiting else { return }
    if reply.code != 0 {
      // A call whose reply has begun was executed: it can't be returned any more.
      guard call.reply == .inParts else { return returned(shard, reply, call) }
      if let call = calls.removeSent(reply.id, shard: shard) { lastPartReceived(reply, call) }
      return
    }
    if reply.parked { return parked(shard, reply, call) }
    guard !call.isAbandoned else {
      // The notice of a call that has waited: its shard holds the value until it is cancelled now.
      if call.reply == .parked { cancelAtShard(reply.id, call) }
      return
    }
    switch call.reply {
    case .whole, .parked:
      announced(reply, call)
    case .stream:
      beginParts(reply.id, call)
      take(reply.response, reply.id, call)
    case .inParts:
      take(reply.response, reply.id, call)
    }
  }

  /// A large reply is ready at its shard: the call was executed, and has had its turn.
  private func announced(_ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    let total = (try? LinkV1.LargeReplyNotice(reply.response))?.totalBytes ?? .max
    beginParts(reply.id, call)
    guard total <= UInt64(limits.maxMessageBytes) else {
      giveUp(reply.id, call, .responseTooLarge(streamingCall: nil))
      return
    }
    let bytes = Int(total)
    if case .caller(let caller) = call.target, driver.takesPieces(caller) {
      streams.begin(reply.id, .pieces(total: bytes))
    } else {
      streams.begin(reply.id, .gathered(total: bytes))
    }
    ask(reply.id)
  }

  /// The reply has begun: the call no longer counts on its lane, and leaves its key's order.
  private func beginParts(_ id: UInt64, _ call: PendingCall<Caller>) {
    let wasParked = call.reply == .parked
    links[call.shard].replyBegan(call.lane, bytes: call.bytes, wasParked: wasParked)
    if wasParked { unpark(id, call) }
    if call.isOrdered { leaveOrder(id, call) }
    calls.beganReply(id)
  }

  private func take(
    _ bytes: UnsafeRawBufferPointer, _ id: UInt64, _ call: PendingCall<Caller>
  ) {
    guard passOn(bytes, id, call, isLast: false) else {
      giveUp(id, call, .internalError("a shard sent more of a reply than it had announced"))
      return
    }
    ask(id)
  }

  /// Passes a part of a reply to its caller. Returns false if the shard sends a different number of
  /// bytes than it has announced.
  private func passOn(
    _ bytes: UnsafeRawBufferPointer, _ id: UInt64, _ call: PendingCall<Caller>, isLast: Bool
  ) -> Bool {
    guard let taken = streams.take(bytes, of: id, from: call.shard, isLast: isLast) else {
      return true
    }
    guard case .caller(let caller) = call.target else { return taken.part != .refuse }
    if taken.released > 0 { driver.expect(-taken.released, for: caller) }
    switch taken.part {
    case .keep: break
    case .refuse: return false
    case .piece(let byteCount):
      if let byteCount { driver.beginReply(caller, byteCount: byteCount) }
      driver.appendToReply(caller, bytes)
    case .message: driver.emit(caller, message: bytes)
    }
    return true
  }

  /// The last part of a reply, or the reply's failure. The call is out of the table already.
  private func lastPartReceived(_ reply: LinkV1.LinkReply, _ call: PendingCall<Caller>) {
    if call.reply == .inParts {
      links[call.shard].replyEnded()
    } else {
      links[call.shard][call.lane].callEnded(bytes: call.bytes)
      if call.isOrdered { leaveOrder(reply.id, call) }
    }
    var error = reply.error
    if error == nil, !passOn(reply.response, reply.id, call, isLast: true) {
      error = .internalError("a shard sent another number of bytes than it had announced")
    }
    let stream = endStream(reply.id, call)
    if error != nil { links[call.shard].callFailed() }
    if let error {
      fail(call, hasBegun: stream?.hasBegun == true, error)
    } else if let stream {
      finish(stream, call)
    }
  }

  private func finish(_ stream: StreamedReply, _ call: PendingCall<Caller>) {
    measure(call, replyBytes: stream.byteCount, isError: false)
    endSpan(call, nil, replyBytes: stream.byteCount)
    switch (stream.kind, call.target) {
    case (.pieces, .caller(let caller)):
      driver.finishReply(caller)
    case (.messages, .caller(let caller)):
      driver.finishStream(caller)
    case (_, .caller(let caller)):
      driver.reply(to: caller, response: stream.bytes)
    case (_, .part(let fanout, let tag)):
      stream.bytes.withUnsafeReadableBytes { fanout.received(tag, $0) }
    case (_, .abandoned):
      break
    }
  }

  /// Ends a call whose chunked reply may have begun. A write was executed before its reply was
  /// announced, so its caller's error must not say that it wasn't.
  func fail(_ call: PendingCall<Caller>, hasBegun: Bool, _ error: CallError) {
    let told = errorForCaller(call, error)
    if hasBegun, case .caller(let caller) = call.target {
      measure(call, isError: true)
      endSpan(call, told)
      driver.failReply(caller, error: told)
    } else {
      reportFailure(call, told)
    }
  }

  /// The error that the caller gets.
  private func errorForCaller(_ call: PendingCall<Caller>, _ error: CallError) -> CallError {
    call.isWrite && call.reply == .inParts
      ? .outcomeUnknown(links[call.shard].shardID) : error
  }

  /// Ends a call that its shard still executes: it is cancelled at the shard and abandoned.
  private func giveUp(_ id: UInt64, _ call: PendingCall<Caller>, _ error: CallError) {
    let hasBegun = streams.hasBegun(id)
    guard let current = calls[id] else { return }
    // Before it is withdrawn, which would end the span as cancelled.
    endSpan(current, errorForCaller(current, error))
    withdraw(id)
    fail(current, hasBegun: hasBegun, error)
  }

  /// Users have lost credentials or rights: their streams end. (A reply that is one message is
  /// completed.)
  func endRevokedStreams() {
    for (id, principal) in streams.revoked {
      do throws(CallError) {
        streams.isFrom(try principal.standing(), id)
      } catch {
        if let call = calls[id] { giveUp(id, call, error) }
      }
    }
  }

  // MARK: - Asking for more

  /// Every shard has the same share of the limit, so a slow one doesn't affect the others.
  private var share: Int { limits.largeReplyMemoryBytesMax / links.members.count }

  /// Requests more of a reply from the shard, if its caller accepts more and the limit allows it.
  func ask(_ id: UInt64) {
    guard streams.mayAsk(id), let call = calls[id], !call.isWaiting, takesMore(id, call) else {
      return
    }
    let bytes = streams.ask(id, of: call.shard, share: share)
    if bytes > 0 { sendCredit(id, bytes, call) }
  }

  /// Gives waiting replies their part of the share.
  func serveWaiters(_ shard: Int) {
    while let (id, bytes) = streams.nextWaiter(shard, share: share) {
      guard let call = calls[id], takesMore(id, call) else { continue }
      streams.grant(id, bytes, shard)
      sendCredit(id, bytes, call)
    }
  }

  private func takesMore(_ id: UInt64, _ call: PendingCall<Caller>) -> Bool {
    guard case .caller(let caller) = call.target else { return true }
    return driver.takesMore(caller, id: id)
  }

  private func sendCredit(_ id: UInt64, _ byteCount: Int, _ call: PendingCall<Caller>) {
    if case .caller(let caller) = call.target { driver.expect(byteCount, for: caller) }
    links[call.shard].bulk.append {
      $0.append(LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: id, bytes: UInt64(byteCount)))
    }
    hasOutput(call.shard, .bulk)
  }

  /// Removes a chunked reply, and returns its reserved bytes to the share. Returns its last state.
  @discardableResult
  func endStream(_ id: UInt64, _ call: PendingCall<Caller>) -> StreamedReply? {
    guard let stream = streams.end(id, at: call.shard) else { return nil }
    released(stream.reserved, for: call)
    return stream
  }

  /// Bytes that were requested for a call have been forwarded, or won't arrive.
  func released(_ byteCount: Int, for call: PendingCall<Caller>) {
    if byteCount > 0, case .caller(let caller) = call.target {
      driver.expect(-byteCount, for: caller)
    }
    serveWaiters(call.shard)
  }
}
