// One unary call of a ClientChannel with its retries. Made on any thread, then touched on the
// channel's event loop only.

import NIOCore

/// A unary call: waits for a connection, sends, and sends again while that is provably safe.
final class UnaryExchange: ClientCallHandler, ConnectionWaiter, @unchecked Sendable {
  // Sendable although it has state: all of it is touched on the core's event loop only.
  let waitsForReady: Bool
  private(set) var deadlineNanos: UInt64?
  var parkTimer: Scheduled<Void>?

  private let path: String
  private let metadata: Metadata
  private let timeout: TimeAmount?
  private let encoding: MessageEncoding
  private let retrySafe: Bool
  private let request: ByteBuffer
  private var core: ClientChannelCore?
  private var completion: ((Result<ByteBuffer, RPCStatus>) -> Void)?
  private var call: ClientCall?
  private var response: ByteBuffer?
  private var responses = 0
  private var attempts = 0
  private var isCancelled = false

  init(
    path: String, metadata: Metadata, timeout: TimeAmount?, encoding: MessageEncoding,
    retrySafe: Bool, waitsForReady: Bool,
    request: ByteBuffer
  ) {
    self.path = path
    self.metadata = metadata
    self.timeout = timeout
    self.encoding = encoding
    self.retrySafe = retrySafe
    self.waitsForReady = waitsForReady
    self.request = request
  }

  func start(
    _ core: ClientChannelCore, completion: @escaping (Result<ByteBuffer, RPCStatus>) -> Void
  ) {
    self.core = core
    self.completion = completion
    deadlineNanos = timeout.map { core.nowNanos &+ UInt64(max($0.nanoseconds, 0)) }
    if isCancelled {
      finish(.failure(Self.cancelled))
    } else {
      core.request(self)
    }
  }

  /// The caller's task was cancelled; may be called before `start`.
  func cancel() {
    isCancelled = true
    if let call {
      call.cancel()
    } else if let core {
      core.forget(self)
      finish(.failure(Self.cancelled))
    }
  }

  private static let cancelled = RPCStatus(.cancelled, "cancelled by the caller")

  private func finish(_ result: Result<ByteBuffer, RPCStatus>) {
    let completion = self.completion
    self.completion = nil
    core = nil
    call = nil
    completion?(result)
  }

  // MARK: - ConnectionWaiter

  func connectionReady(_ connection: ClientConnection) {
    var remaining: UInt64?
    if let deadlineNanos {
      let now = connection.nowNanos
      guard deadlineNanos > now else {
        return finish(.failure(RPCStatus(.deadlineExceeded, "the deadline passed")))
      }
      remaining = deadlineNanos - now
    }
    attempts += 1
    response = nil
    responses = 0
    let call = connection.startCall(
      path: path, metadata: metadata, timeoutNanos: remaining, encoding: encoding,
      handler: self)
    self.call = call
    call.send { $0.writeImmutableBuffer(request) }
    call.halfClose()
  }

  func connectionUnavailable(_ status: RPCStatus) { finish(.failure(status)) }

  // MARK: - ClientCallHandler

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    responses += 1
    if responses == 1 {
      response = ByteBuffer(bytes: message)
    } else {
      call.cancel()
    }
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    self.call = nil
    if responses > 1 {
      finish(.failure(RPCStatus(.internal, "a unary call got more than one reply message")))
    } else if status.isOK {
      finish(
        response.map { .success($0) }
          ?? .failure(RPCStatus(.internal, "a unary call got no reply message")))
    } else if mayRetry(status, processed), let core {
      core.request(self)
    } else {
      finish(.failure(Self.warning(status, processed, retrySafe: retrySafe)))
    }
  }

  /// docs/CONSISTENCY.md, "Automatic retries": calls that were provably not executed, and reads
  /// whose reply was lost.
  private func mayRetry(_ status: RPCStatus, _ processed: Processed) -> Bool {
    guard status.code == .unavailable, !isCancelled, let core,
      attempts < core.configuration.maxAttempts
    else { return false }
    return processed == .no || (processed == .maybe && retrySafe)
  }

  /// A write whose reply was lost must not be retried by the caller either.
  private static func warning(
    _ status: RPCStatus, _ processed: Processed, retrySafe: Bool
  ) -> RPCStatus {
    guard processed == .maybe, status.code == .unavailable, !retrySafe else { return status }
    var warned = status
    warned.pushbackMillis = -1
    warned.message = "outcome unknown: \(status.message)"
    return warned
  }
}
