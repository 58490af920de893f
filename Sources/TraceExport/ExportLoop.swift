// What the exporter's thread does.
//
//   idle --spans wait--> sending --taken--> idle, or the next batch
//     ^                    |  +--refused for good--> idle; the batch is lost
//     |                    +--away, slow, busy--> pausing --time--> sending, a few times
//     +---------------------------------------------------the batch is lost
//
// Event loop of the exporter.

import GRPC
import Logging
import NIOCore
import NIOHTTP1
import Tracing

final class ExportLoop {
  private let configuration: TraceExporterConfiguration
  private let queue: SpanQueue
  private let eventLoop: any EventLoop
  private let logger: Logger
  /// What is being sent, or is to be sent again.
  private var batch: [Span] = []
  private var attempts = 0
  private var exchange: ExportExchange?
  private var backoff: Backoff
  private var random = SystemRandomNumberGenerator()
  /// When a batch may be sent again.
  private var pauseEnd = NIODeadline.uptimeNanoseconds(0)
  private var nextLook: Scheduled<Void>?
  private var timeout: Scheduled<Void>?
  private var stopping: EventLoopPromise<Void>?
  private var hasFailed = false

  init(
    _ configuration: TraceExporterConfiguration, _ queue: SpanQueue, eventLoop: any EventLoop,
    logger: Logger
  ) {
    self.configuration = configuration
    self.queue = queue
    self.eventLoop = eventLoop
    self.logger = logger
    backoff = Backoff(
      baseNanos: UInt64(clamping: configuration.pause.nanoseconds), multiplier: 2,
      maxNanos: UInt64(clamping: configuration.pauseMax.nanoseconds))
  }

  /// Looks at the queue now and then. (Who adds a span tells nobody: that would cost its loop more
  /// than the span does.)
  func start() {
    nextLook = eventLoop.assumeIsolated().scheduleTask(in: configuration.interval) { [self] in
      look()
      start()
    }
  }

  /// Sends what waits, if it is taken at once and within a limit.
  func stop(within limit: TimeAmount) -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    nextLook?.cancel()
    stopping = promise
    eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in giveUp() }
    pauseEnd = .uptimeNanoseconds(0)
    look()
    return promise.futureResult
  }

  private func giveUp() {
    guard let promise = stopping else { return }
    stopping = nil
    timeout?.cancel()
    exchange?.drop()
    exchange = nil
    let lost = batch.count + queue.take(max: .max).count
    if lost > 0 {
      queue.exportFailed(lost: lost)
      logger.warning("spans were lost at the end", metadata: ["spans": "\(lost)"])
    }
    promise.succeed()
  }

  // MARK: - Sending

  private func look() {
    guard exchange == nil, eventLoop.now >= pauseEnd else { return }
    if batch.isEmpty {
      batch = queue.take(max: configuration.batchSpansMax)
      attempts = 0
    }
    guard !batch.isEmpty else { return giveUp() }
    send()
  }

  private func send() {
    attempts += 1
    let endpoint = configuration.endpoint
    let body = ByteBuffer(string: OTLPRequest.body(batch, version: configuration.version))
    let exchange = ExportExchange(endpoint, body, version: configuration.version) {
      [weak self] exchange, outcome in
      self?.ended(exchange, outcome)
    }
    self.exchange = exchange
    timeout = eventLoop.assumeIsolated().scheduleTask(in: configuration.requestTimeout) {
      exchange.fail("timeout", "no answer in time")
    }
    ClientSocket.connect(
      host: endpoint.address.host, port: endpoint.address.port, on: eventLoop,
      timeout: configuration.connectTimeout, tls: configuration.tls, handler: exchange
    ) { exchange.fail("connect", $0) }
  }

  private func ended(_ exchange: ExportExchange, _ outcome: ExportExchange.Outcome) {
    guard exchange === self.exchange else { return }
    self.exchange = nil
    timeout?.cancel()
    timeout = nil
    switch outcome {
    case .answered(let status) where (200...299).contains(status.code):
      queue.exported(batch.count)
      batch = []
      backoff.reset()
      if hasFailed { logger.notice("spans are exported again") }
      hasFailed = false
    case .answered(let status) where Self.isTemporary(status):
      failed("status", "\(status.code)", isTemporary: true)
    case .answered(let status):
      failed("status", "\(status.code)", isTemporary: false)
    case .failed(let reason, let detail):
      failed(reason, detail, isTemporary: true)
    }
    // The next batch at once; from another event, so that the depth stays bounded.
    eventLoop.assumeIsolated().execute { [self] in look() }
  }

  /// Those that OTLP names.
  private static func isTemporary(_ status: HTTPResponseStatus) -> Bool {
    [429, 502, 503, 504].contains(status.code)
  }

  private func failed(_ reason: String, _ detail: String, isTemporary: Bool) {
    hasFailed = true
    // At the end there is no time for another attempt.
    let isLost = !isTemporary || attempts >= configuration.attemptsMax || stopping != nil
    queue.exportFailed(lost: isLost ? batch.count : 0)
    logger.warning(
      "spans can't be exported",
      metadata: [
        "reason": "\(reason)", "detail": "\(detail)", "lost": "\(isLost ? batch.count : 0)",
        "endpoint": "\(configuration.endpoint.address)",
      ])
    if isLost { batch = [] }
    guard isTemporary else { return }
    pauseEnd = eventLoop.now + .nanoseconds(Int64(clamping: backoff.nextNanos(using: &random)))
    if stopping != nil { giveUp() }
  }
}
