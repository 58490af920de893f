// Calls that are made on a shard's loop from within (CallPort). Calls on one key are executed at
// once, like those of a client; a large reply is gathered in turns, and calls made of parts run as
// the shard's own fan-outs do.

import NIOCore
import NodeCore
import RingstoreAPI

extension ShardService: CallPort {
  var limits: Limits { core.limits }
  var answerMemory: AnswerMemory { localParts.answerMemory }

  @discardableResult
  func call(
    _ command: CommandID, request: ByteBuffer, deadlineNanos: UInt64?,
    for caller: (any CallPortCaller)?, reply: @escaping (Result<ByteBuffer, CallError>) -> Void
  ) -> PortCall? {
    let call = PortCall(command, for: caller, reply: reply)
    let now = NIODeadline.now().uptimeNanoseconds
    let deadline = PortCall.bounded(deadlineNanos, nowNanos: now)
    do throws(CallError) {
      try request.withUnsafeReadableBytes { message throws(CallError) in
        guard message.count <= limits.maxMessageBytes else {
          throw .requestTooLarge(message.count, limits)
        }
        guard CommandTable.command(command)?.isStreaming == false else {
          throw PortCall.notOneReply(command)
        }
        if let deadline, deadline <= now { throw .deadlineExceeded }
        try begin(call, message)
      }
      if !call.isOver, let deadline { end(call, atNanos: deadline) }
    } catch {
      call.end(.failure(error))
    }
    core.boundViews()
    afterWork()
    return call.isOver ? nil : call
  }

  func cancel(_ call: PortCall) {
    let work = call.context as? LocalWork
    call.drop()
    work?.end()
    core.boundViews()
    afterWork()
  }

  func countError() {
    core.counters.failed()
  }

  func callerTakesMore(_ call: PortCall) {
    (call.context as? LocalReply)?.wake()
    afterWork()
  }

  private func begin(
    _ call: PortCall, _ message: UnsafeRawBufferPointer
  ) throws(CallError) {
    guard call.command.rawValue < MethodNumbers.firstFanout else {
      let work = LocalFanout(call, localParts)
      call.context = work
      work.start(try operation(call.command.rawValue, message))
      return
    }
    var response = ByteBuffer()
    let source: (any ReplySource)?
    do throws(CallError) {
      source = try core.execute(
        UInt32(call.command.rawValue), message, into: &response,
        largerThan: core.limits.bulkBytesMin)
    } catch {
      core.counters.failed()
      throw error
    }
    guard let source else {
      call.end(.success(response))
      return
    }
    let work = LocalReply(call)
    call.context = work
    work.start(source, core)
  }

  private func end(_ call: PortCall, atNanos deadlineNanos: UInt64) {
    guard let work = call.context as? LocalWork else { return }
    work.timer = eventLoop.assumeIsolated().scheduleTask(
      deadline: .uptimeNanoseconds(deadlineNanos)
    ) { [self, weak call] in
      guard let call, !call.isOver else { return }
      work.end()
      call.end(.failure(.deadlineExceeded))
      afterWork()
    }
  }
}

/// What a call made from within has under way.
class LocalWork {
  /// Nil once the work has ended; the call holds the work, and the work the call, until then.
  final var call: PortCall?
  final var timer: Scheduled<Void>?

  init(_ call: PortCall) {
    self.call = call
  }

  /// Stops the work, and tells nobody.
  func end() {
    timer?.cancel()
    timer = nil
    call = nil
  }

  final func end(_ outcome: Result<ByteBuffer, CallError>) {
    let call = self.call
    end()
    call?.end(outcome)
  }
}

/// A large reply, gathered because its caller wants it whole.
final class LocalReply: LocalWork, ReplySink {
  private var stream: ReplyStream?
  private var byteCount = 0
  private var response = ByteBuffer()

  func start(_ source: any ReplySource, _ core: ShardCore) {
    let stream = ReplyStream(source, to: self, core: core)
    self.stream = stream
    stream.start()
  }

  /// Its caller takes the reply now.
  func wake() {
    stream?.wake()
  }

  override func end() {
    super.end()
    let stream = self.stream
    self.stream = nil
    stream?.drop()
  }

  func isReady(for stream: ReplyStream) -> Bool {
    guard let call else { return false }
    // Once begun it is gathered to its end: what is pinned is free the sooner.
    if response.readableBytes > 0 { return true }
    guard call.caller?.takesLargeReply(of: call) != false else { return false }
    call.caller?.expectsLargeReply(of: call, byteCount: byteCount)
    response.reserveCapacity(byteCount)
    return true
  }

  func begin(byteCount: Int) {
    self.byteCount = byteCount
  }

  func send(_ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    write(&response)
  }

  func ended(with error: CallError?) {
    end(error.map { .failure($0) } ?? .success(response))
  }
}

/// A call made of parts.
final class LocalFanout: LocalWork, FanoutCaller {
  private let parts: LocalParts
  private var handle: UInt64 = 0

  init(_ call: PortCall, _ parts: LocalParts) {
    self.parts = parts
    super.init(call)
  }

  func start(_ operation: any FanoutOperation) {
    handle = parts.start(operation, for: self)
  }

  override func end() {
    super.end()
    parts.cancel(handle)
  }

  func emit(_ message: ByteBuffer) {}
  var isWritable: Bool { true }
  func finishStream() {}

  func finish(_ response: ByteBuffer) {
    end(.success(response))
  }

  func fail(_ error: CallError) {
    end(.failure(error))
  }
}
