// One streaming call of a ClientChannel: between async code on any thread and the connection on
// its event loop. What both sides touch is behind one lock; the rest belongs to the loop. Readers
// and writers hop to the loop only when there is something to do there.

import NIOConcurrencyHelpers
import NIOCore

final class StreamExchange: ClientCallHandler, ConnectionWaiter, @unchecked Sendable {
  // Sendable although it has state: `shared` is locked, everything else that changes is touched on
  // `eventLoop` only.
  private typealias Reader = CheckedContinuation<Result<ByteBuffer?, RPCStatus>, Never>
  private typealias Writer = CheckedContinuation<RPCStatus?, Never>

  private struct Shared {
    var inbox = MessageQueue()
    var isPaused = false
    var readers: [Reader] = []
    var outbox = MessageQueue()
    var isPumpScheduled = false
    var isHalfClosed = false
    var isWritable = true
    var writers: [Writer] = []
    var notes = StreamNotes()
    var ended: (status: RPCStatus, processed: Processed)?
  }

  let waitsForReady: Bool
  private(set) var deadlineNanos: UInt64?
  var parkTimer: Scheduled<Void>?

  private let eventLoop: any EventLoop
  private let path: String
  private let metadata: Metadata
  private let timeout: TimeAmount?
  private let encoding: MessageEncoding
  let wantsMetadata: Bool
  private let shared = NIOLockedValueBox(Shared())
  private var core: ClientChannelCore?
  private let limits: ClientChannelConfiguration
  private var call: ClientCall?
  private var isCancelled = false

  /// Bytes that may wait for the loop before senders are made to wait.
  private static let outboxHighWaterBytes = 256 << 10

  init(
    eventLoop: any EventLoop, path: String, metadata: Metadata, timeout: TimeAmount?,
    encoding: MessageEncoding, waitsForReady: Bool, keepsNotes: Bool,
    limits: ClientChannelConfiguration
  ) {
    self.limits = limits
    self.eventLoop = eventLoop
    self.path = path
    self.metadata = metadata
    self.timeout = timeout
    self.encoding = encoding
    wantsMetadata = keepsNotes
    self.waitsForReady = waitsForReady
  }

  var notes: StreamNotes { shared.withLockedValue { $0.notes } }
  var processed: Processed? { shared.withLockedValue { $0.ended?.processed } }

  // MARK: - From any thread

  func send(_ message: ByteBuffer, isPlain: Bool) async throws(RPCStatus) {
    let failure: RPCStatus? = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        enqueue(message, isPlain: isPlain, continuation)
      }
    } onCancel: {
      cancel()
    }
    if let failure { throw failure }
  }

  private func enqueue(_ message: ByteBuffer, isPlain: Bool, _ continuation: Writer) {
    var pumps = false
    let outcome: RPCStatus?? = shared.withLockedValue { state in
      if let ended = state.ended { return .some(Self.refusal(ended.status)) }
      if state.isHalfClosed {
        return .some(RPCStatus(.failedPrecondition, "the stream was half-closed"))
      }
      state.outbox.append(message, isPlain: isPlain)
      pumps = !state.isPumpScheduled
      state.isPumpScheduled = true
      if state.isWritable, state.outbox.bytes < Self.outboxHighWaterBytes { return .some(nil) }
      state.writers.append(continuation)
      return nil
    }
    if pumps { eventLoop.execute { self.pump() } }
    if let outcome { continuation.resume(returning: outcome) }
  }

  /// After an OK end nothing can be sent either.
  private static func refusal(_ status: RPCStatus) -> RPCStatus {
    status.isOK ? RPCStatus(.failedPrecondition, "the stream has ended") : status
  }

  func halfClose() {
    let pumps = shared.withLockedValue { state in
      let pumps = !state.isHalfClosed && !state.isPumpScheduled
      state.isHalfClosed = true
      state.isPumpScheduled = state.isPumpScheduled || pumps
      return pumps
    }
    if pumps { eventLoop.execute { self.pump() } }
  }

  func cancel() {
    if shared.withLockedValue({ $0.ended != nil }) { return }
    eventLoop.execute { self.cancelOnLoop() }
  }

  func next() async throws(RPCStatus) -> ByteBuffer? {
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: Reader) in
        var resumes = false
        let ready: Result<ByteBuffer?, RPCStatus>? = shared.withLockedValue { state in
          if let message = state.inbox.popFirst() {
            resumes = state.isPaused && state.inbox.bytes <= limits.inboundLowWaterBytes
            if resumes { state.isPaused = false }
            return .success(message)
          }
          if let ended = state.ended {
            return ended.status.isOK ? .success(nil) : .failure(ended.status)
          }
          state.readers.append(continuation)
          return nil
        }
        if resumes { eventLoop.execute { self.call?.resumeReading() } }
        if let ready { continuation.resume(returning: ready) }
      }
    } onCancel: {
      cancel()
    }
    return try result.get()
  }

  // MARK: - On the event loop

  func start(_ core: ClientChannelCore) {
    deadlineNanos = timeout.map { core.nowNanos &+ UInt64(max($0.nanoseconds, 0)) }
    if isCancelled {
      end(RPCStatus(.cancelled, "cancelled by the caller"), .no)
      return
    }
    self.core = core
    core.request(self)
  }

  private func cancelOnLoop() {
    isCancelled = true
    if let call {
      call.cancel()
    } else if let core {
      core.forget(self)
      end(RPCStatus(.cancelled, "cancelled by the caller"), .no)
    }
  }

  func connectionReady(_ connection: ClientConnection) {
    var remaining: UInt64?
    if let deadlineNanos {
      let now = connection.nowNanos
      guard deadlineNanos > now else {
        return end(RPCStatus(.deadlineExceeded, "the deadline passed"), .no)
      }
      remaining = deadlineNanos - now
    }
    call = connection.startCall(
      path: path, metadata: metadata, timeoutNanos: remaining, encoding: encoding,
      handler: self)
    pump()
  }

  func connectionUnavailable(_ status: RPCStatus) { end(status, .no) }

  /// Moves what senders left into the call, and lets them continue if it takes more.
  private func pump() {
    guard let call else { return shared.withLockedValue { $0.isPumpScheduled = false } }
    var (outbox, isHalfClosed) = shared.withLockedValue { state in
      state.isPumpScheduled = false
      let taken = state.outbox
      state.outbox = MessageQueue()
      return (taken, state.isHalfClosed)
    }
    while let next = outbox.pop() {
      call.send(isPlain: next.isPlain) { $0.writeImmutableBuffer(next.message) }
    }
    if isHalfClosed { call.halfClose() }
    setWritable(call.isWritable)
  }

  private func setWritable(_ isWritable: Bool) {
    let writers = shared.withLockedValue { state -> [Writer] in
      state.isWritable = isWritable
      guard isWritable else { return [] }
      defer { state.writers = [] }
      return state.writers
    }
    for writer in writers { writer.resume(returning: nil) }
  }

  func callWritable(_ call: ClientCall) { setWritable(true) }

  func call(_ call: ClientCall, initialMetadata: Metadata) {
    shared.withLockedValue { $0.notes.initialMetadata = initialMetadata }
  }

  func call(_ call: ClientCall, trailingMetadata: Metadata) {
    shared.withLockedValue { $0.notes.trailingMetadata = trailingMetadata }
  }

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    let copy = ByteBuffer(bytes: message)
    var pauses = false
    let reader: Reader? = shared.withLockedValue { state in
      state.notes.compressedMessages = call.compressedMessages
      if !state.readers.isEmpty { return state.readers.removeFirst() }
      state.inbox.append(copy)
      if state.inbox.bytes >= limits.inboundHighWaterBytes, !state.isPaused {
        state.isPaused = true
        pauses = true
      }
      return nil
    }
    reader?.resume(returning: .success(copy))
    if pauses { call.pauseReading() }
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    self.call = nil
    end(status, processed)
  }

  private func end(_ status: RPCStatus, _ processed: Processed) {
    core = nil
    let (readers, writers) = shared.withLockedValue { state in
      state.ended = (status, processed)
      state.outbox = MessageQueue()
      defer {
        state.readers = []
        state.writers = []
      }
      return (state.readers, state.writers)
    }
    let last: Result<ByteBuffer?, RPCStatus> = status.isOK ? .success(nil) : .failure(status)
    for reader in readers { reader.resume(returning: last) }
    for writer in writers { writer.resume(returning: Self.refusal(status)) }
  }
}
