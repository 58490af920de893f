// The tasks of a pipeline. Four tasks share a PipelineQueue: one pulls commands, one sends batches,
// one takes replies, and the reader takes outcomes. Each waits until the queue allows its next
// step. Safe to use from every thread; a batch's replies are decoded under the lock, which is NIO's
// because ThreadSanitizer can't see into the standard library's on Linux.

internal import GRPC
internal import NIOConcurrencyHelpers
internal import NIOCore

final class PipelineFlow: Sendable {
  private typealias Waiter = CheckedContinuation<Void, Never>

  private struct State {
    var queue: PipelineQueue
    var isSourceDone = false
    /// The outcomes are no longer needed, or the reader was cancelled.
    var isAbandoned = false
    /// Messages received.
    var messages: UInt64 = 0
    var puller: Waiter?
    var sender: Waiter?
    var receiver: Waiter?
    var reader: Waiter?

    var mayPull: Bool { isAbandoned || queue.hasRoom }
    var maySend: Bool { isAbandoned || isSourceDone || queue.hasEnded || queue.hasBatch }
    var mayReceive: Bool { isAbandoned || queue.wantsReplies }
    var mayRead: Bool { queue.hasOutcome || isFinished }
    var isFinished: Bool {
      queue.hasEnded && queue.isEmpty && (isSourceDone || isAbandoned)
    }
  }

  private let state: NIOLockedValueBox<State>

  init(_ limits: PipelineLimits) {
    state = NIOLockedValueBox(State(queue: PipelineQueue(limits)))
  }

  // MARK: The puller

  /// Takes one command as soon as there is room. Returns false if no more are needed.
  func add(_ command: RingstoreCommand, database: UInt32) async -> Bool {
    var request = ByteBuffer()
    command.writeRequest(database: database, into: &request)
    while true {
      let isWanted: Bool? = update { state in
        if state.isAbandoned { return false }
        guard state.queue.hasRoom else { return nil }
        state.queue.add(command.rpc, request: request)
        return true
      }
      if let isWanted { return isWanted }
      await wait(\.puller)
    }
  }

  func sourceEnded() {
    update { $0.isSourceDone = true }
  }

  // MARK: The sender

  /// The next batch; nil if there will be no more.
  func nextBatch() async -> ByteBuffer? {
    while true {
      let (batch, isOver) = update { state in
        (state.queue.takeBatch(), state.maySend)
      }
      if batch != nil || isOver { return batch }
      await wait(\.sender)
    }
  }

  // MARK: The receiver

  /// Waits until replies should be read.
  func repliesWanted() async {
    if update({ $0.mayReceive }) { return }
    await wait(\.receiver)
  }

  /// Returns false if the message is no reply to a pending command.
  func take(_ message: ByteBuffer) -> Bool {
    message.withUnsafeReadableBytes { bytes in
      update { state in
        state.messages += 1
        return state.queue.take(bytes)
      }
    }
  }

  func streamEnded(_ status: RPCStatus, mayHaveRun: Bool) {
    update { $0.queue.finish(status, mayHaveRun: mayHaveRun) }
  }

  // MARK: The reader

  /// The next outcome; nil after the last one.
  func next() async -> PipelineQueue.Outcome? {
    while true {
      let (outcome, isFinished) = update { state in
        (state.queue.popOutcome(), state.isFinished)
      }
      if outcome != nil || isFinished { return outcome }
      await wait(\.reader)
    }
  }

  /// No more commands are accepted; the pending ones get their outcomes when the stream has ended.
  func abandon() {
    update { $0.isAbandoned = true }
  }

  // MARK: The watchdog

  /// What changes while a node works: the number of messages received and the oldest command
  /// without a reply; nil there: only the stream's end is missing.
  struct Pulse: Equatable {
    let messages: UInt64
    let oldest: UInt64?
  }

  /// nil while no command is pending or the replies are not read.
  var pulse: Pulse? {
    state.withLockedValue { state in
      guard state.receiver == nil, !state.queue.hasEnded else { return nil }
      let oldest = state.queue.oldestPending
      if oldest == nil, !state.isSourceDone || !state.queue.isEmpty { return nil }
      return Pulse(messages: state.messages, oldest: oldest)
    }
  }

  // MARK: Waiting

  /// Changes the state, then resumes every task that can continue.
  @discardableResult
  private func update<Result: Sendable>(_ change: (inout State) -> Result) -> Result {
    let (result, ready) = state.withLockedValue { state in
      let result = change(&state)
      return (result, Ready(&state))
    }
    ready.resume()
    return result
  }

  private func wait(_ place: WritableKeyPath<State, Waiter?>) async {
    await withCheckedContinuation { waiter in
      update { $0[keyPath: place] = waiter }
    }
  }

  /// Tasks that needn't wait any more. They are resumed when the lock has been released.
  private struct Ready: Sendable {
    private var puller: Waiter?
    private var sender: Waiter?
    private var receiver: Waiter?
    private var reader: Waiter?

    init(_ state: inout State) {
      if state.mayPull { swap(&puller, &state.puller) }
      if state.maySend { swap(&sender, &state.sender) }
      if state.mayReceive { swap(&receiver, &state.receiver) }
      if state.mayRead { swap(&reader, &state.reader) }
    }

    func resume() {
      puller?.resume()
      sender?.resume()
      receiver?.resume()
      reader?.resume()
    }
  }
}
