// A client's Pipeline: its calls are started one by one, its replies collected into batches. One
// event loop.
//
// Back-pressure. A Pipeline with many pending calls (PipelineWindow), or whose client doesn't
// read its replies, is not read until that has changed; the rest of a batch that is too long waits
// (CallBacklog).
//
// Large replies. A router collects them, several at a time within a limit. A shard sends one at a
// time, as a separate batch that grows chunk by chunk; later calls wait until it is complete.

import Commands
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing
import Users

package final class FrontPipeline {
  /// Bytes of large replies that may be requested before the stream has accepted them.
  static let expectedBytesMax = 1 << 20

  /// The stream; nil once it has ended.
  package private(set) var call: ServerCall?
  /// The node's data for it.
  package var attachment: AnyObject?
  /// Outlives its calls: it is the node's.
  private unowned(unsafe) let front: Front
  /// Who calls; nil: the node has no users.
  private let caller: StreamCaller?
  private var window = PipelineWindow()
  private var backlog = CallBacklog()
  /// Collected with space in front, so that the buffer can become the stream's (`MessageFrame`).
  private var replies = ByteBuffer()
  /// Whether the front was notified that there are replies.
  private var isAnnounced = false
  /// When the current calls arrived, in nanoseconds of NIODeadline's clock: their deadlines begin
  /// then.
  package private(set) var receivedNanos: UInt64 = 0
  private var isHalfClosed = false
  /// Reasons not to read: full links, too many calls, replies that aren't read.
  private var holds = 0
  private var holdsForCalls = false
  private var holdsForReplies = false
  /// Bytes of large replies that were requested from shards, and calls that wait to request theirs.
  private var expectedBytes = 0
  private var creditWaiters = CircularBuffer<UInt64>()
  /// A large reply that will be a separate batch.
  private var large = Large.none
  private let tracing: PipelineTracing
  /// Whether some of its calls may be traced: checked for each.
  package let mayTrace: Bool
  /// Whether the next call is the first of its batch.
  private var isFirstOfBatch = false

  /// With the client's id of the call.
  private enum Large: Equatable { case none, coming(UInt64), begun(UInt64) }

  private var hasLargeBegun: Bool {
    if case .begun = large { true } else { false }
  }

  init(
    _ call: ServerCall, _ front: Front, _ caller: StreamCaller?, _ tracing: PipelineTracing = .off
  ) {
    self.call = call
    self.front = front
    self.caller = caller
    self.tracing = tracing
    mayTrace = tracing != .off
  }

  // MARK: - Who calls

  package var principal: Principal? { caller?.principal }

  /// Counts a call of the pipeline's caller, and records it if configured.
  ///
  /// - Throws: RATE_LIMITED.
  @inline(__always)
  package func admit(_ next: V1.Call) throws(CallError) {
    try caller?.principal.countCall()
    if front.notesWrites { note(next) }
  }

  @inline(never)
  private func note(_ next: V1.Call) {
    guard let audit = front.audit, let id = CommandID(rawValue: Int(next.methodNumber)),
      let command = CommandTable.command(id), audit.notes(command)
    else { return }
    audit.note(
      command, key: AuditLog.key(command, next.request),
      peer: call?.connection?.remoteAddress ?? "", of: principal)
  }

  /// Checks whether the caller's credentials are still valid.
  ///
  /// - Throws: UNAUTHENTICATED.
  func checkCaller() throws(CallError) { try caller?.check() }

  /// The same; ends the pipeline if they aren't.
  private func isCallerKnown() -> Bool {
    do throws(CallError) {
      try checkCaller()
      return true
    } catch {
      front.dispatcher.countError(error)
      end(error.status)
      return false
    }
  }

  /// Begins the span of the next call, if it is traced.
  @inline(never)
  package func trace(_ next: V1.Call) -> OpenSpan? {
    let isFirst = isFirstOfBatch
    isFirstOfBatch = false
    return front.trace(
      next, tracing, isFirst: isFirst, sinceNanos: receivedNanos,
      peer: call?.connection?.remoteAddress)
  }

  // MARK: - Calls

  /// Whether any call has no reply yet.
  var hasCalls: Bool { window.underWay > 0 || window.parked > 0 }

  /// Takes a batch of calls.
  ///
  /// - Parameter block: what the message lies in, where it may be kept.
  func receive(_ message: UnsafeRawBufferPointer, in block: LargeBlock?) {
    guard isCallerKnown() else { return }
    do throws(WireError) {
      var taken = 0
      if backlog.isEmpty {
        try front.dispatcher.read(message)
        begin()
        taken = try front.dispatcher.place(message, in: block, of: self)
      } else {
        _ = try V1.CallBatch(message)
        begin()
      }
      backlog.add(
        UnsafeRawBufferPointer(rebasing: message[taken...]), in: block, since: receivedNanos)
      flush()
    } catch {
      end(CallError.undecodable(error).status)
    }
  }

  /// A batch has arrived.
  private func begin() {
    receivedNanos = front.dispatcher.flusher.scheduler.tickNanos
    isFirstOfBatch = true
  }

  /// Sends the collected replies, and starts calls of the backlog while the window allows.
  func resume() {
    isAnnounced = false
    flush()
    if !backlog.isEmpty, isOpen, isCallerKnown() {
      // Calls with an immediate reply check the backlog.
      var rest = backlog
      receivedNanos = rest.sinceNanos
      rest.place { bytes, block throws(WireError) in
        try front.dispatcher.place(bytes, in: block, of: self)
      }
      if call != nil { backlog = rest }
      flush()
    }
    while let id = nextAsker() { front.dispatcher.callerTakesMore(id) }
  }

  /// Whether further calls may be placed.
  package var isOpen: Bool {
    call != nil && window.isOpen && !holdsForReplies && large == .none
  }

  /// Whether another call may be started; it is then in progress.
  package func begins() -> Bool {
    guard isOpen else { return false }
    window.placed()
    return true
  }

  /// The reply of a started call comes later.
  package func isLater() { window.placed() }

  // MARK: - Calls that wait for values

  /// A call in progress waits for a value: it does not count meanwhile. Returns false if too many
  /// wait.
  func parks() -> Bool {
    guard window.parks() else { return false }
    // There may be room to continue reading.
    announce()
    return true
  }

  /// A call no longer waits; its reply comes next.
  func unparks() { window.unparks() }

  // MARK: - Replies

  package func respond(_ id: UInt64, _ response: UnsafeRawBufferPointer) {
    guard call != nil else { return }
    if replies.readableBytes == 0 { MessageFrame.leaveRoom(in: &replies) }
    replies.writeReply(.pipeline, id: id, response: response)
    replied(response.count)
  }

  package func fail(_ id: UInt64, _ error: CallError) {
    guard call != nil else { return }
    if large == .begun(id) {
      // Half a batch can't be withdrawn: the client must not mistake it for a complete one.
      return end(error.status)
    }
    if large == .coming(id) { large = .none }
    replies.writeReply(.pipeline, id: id, error: error)
    replied(0)
  }

  private func replied(_ byteCount: Int) {
    window.replied(byteCount: byteCount)
    if replies.readableBytes >= LinkProtocol.frameBytes { flush() }
    announce()
  }

  private func announce() {
    if isAnnounced { return }
    isAnnounced = true
    front.hasReplies(self)
  }

  /// Takes a batch of replies to calls that were executed at once. The buffer is empty afterwards,
  /// with space in front.
  package func send(_ batch: inout ByteBuffer) {
    guard batch.readableBytes > 0, let call else { return }
    if replies.readableBytes == 0, !hasLargeBegun { return call.send(&batch) }
    replies.writeImmutableBuffer(batch)
    MessageFrame.leaveRoom(in: &batch)
    sendReplies()
  }

  /// Takes a batch of replies to `count` calls that were in progress.
  package func send(_ batch: ByteBuffer, count: Int) {
    guard call != nil, count > 0 else { return }
    replies.writeImmutableBuffer(batch)
    for _ in 0..<count { window.replied(byteCount: batch.readableBytes / count) }
    announce()
  }

  private func sendReplies() {
    guard replies.readableBytes > 0, !hasLargeBegun else { return }
    call?.send(&replies)
  }

  /// Sends the replies collected so far as one batch, and decides whether to continue reading.
  func flush() {
    guard let call else { return }
    sendReplies()
    set(&holdsForReplies, !call.takesMore)
    if !window.isOpen || !backlog.isEmpty || large != .none {
      set(&holdsForCalls, true)
    } else if window.isHalfEmpty {
      set(&holdsForCalls, false)
    }
    if isHalfClosed, !hasCalls, backlog.isEmpty { end(.ok) }
  }

  func halfClosed() {
    isHalfClosed = true
    flush()
  }

  // MARK: - Large replies that are collected

  /// Whether another large reply may be requested from a shard. If not, `id` is kept until it may.
  func takesMore(_ id: UInt64) -> Bool {
    if large != .none || hasRoom { return true }
    guard call != nil else { return false }
    creditWaiters.append(id)
    return false
  }

  func expect(_ byteCount: Int) {
    expectedBytes += byteCount
  }

  /// The next call that waits to request its reply, if it may.
  private func nextAsker() -> UInt64? {
    guard !creditWaiters.isEmpty, hasRoom else { return nil }
    return creditWaiters.popFirst()
  }

  /// Whether the client accepts replies now; if not, the pipeline continues when it does.
  package var hasRoomForReplies: Bool { call?.takesMore == true }

  private var hasRoom: Bool {
    guard let call, expectedBytes < Self.expectedBytesMax else { return false }
    return call.takesMore
  }

  // MARK: - Large replies that are sent piece by piece

  /// A large reply comes, as a separate batch. It was begun only if there was space, and the limit
  /// of messages bounds it.
  package func expectLarge(_ id: UInt64) {
    large = .coming(id)
    window.placed()
  }

  func beginLarge(_ id: UInt64, byteCount: Int) {
    guard let call else { return }
    sendReplies()
    large = .begun(id)
    var head = ByteBuffer()
    head.writeReplyHead(.pipeline, id: id, responseBytes: byteCount)
    let total = head.readableBytes + byteCount
    call.reserveOutbound(bytes: total)
    call.beginMessage(byteCount: total)
    head.withUnsafeReadableBytes { call.appendToMessage($0) }
  }

  func finishLarge() {
    guard large != .none else { return }
    large = .none
    replied(0)
  }

  // MARK: - Holding back

  func hold() {
    holds += 1
    if holds == 1 { call?.pauseReading() }
  }

  func release() {
    holds -= 1
    if holds == 0 { call?.resumeReading() }
  }

  /// The client has disconnected; replies of calls in progress are dropped.
  func clientWentAway() {
    call = nil
    creditWaiters.removeAll()
    backlog.clear()
    front.pipelineEnded(self)
  }

  private func set(_ reason: inout Bool, _ holds: Bool) {
    guard reason != holds else { return }
    reason = holds
    if holds { hold() } else { release() }
  }

  private func end(_ status: RPCStatus) {
    let ended = call
    clientWentAway()
    ended?.finish(status)
  }
}
