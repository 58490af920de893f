// Sends batches of spans to the collector.
//
//   idle --spans wait--> sending --accepted--> idle, or the next batch if it is full
//     ^                    |  +--refused for good--> idle; the batch is lost
//     |                    +--no response, busy--> pausing --time--> sending, up to `attemptsMax`
//     +---------------------------------------------then the batch is lost
//
// Event loop of the exporter.

import GRPC
import Logging
import NIOCore
import Tracing

final class ExportLoop {
  private let configuration: TraceExporterConfiguration
  private let queue: SpanQueue
  private let eventLoop: any EventLoop
  private let logger: Logger
  /// The batch that is being sent, or will be sent again.
  private var batch: [Span] = []
  private var attempts = 0
  private var exchange: ExportExchange?
  private var backoff: Backoff
  private var random = SystemRandomNumberGenerator()
  /// Nothing is sent before this time.
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

  /// Checks the queue at an interval. (Waking this loop for a span would cost the span's loop more
  /// than the span does.)
  func start() {
    nextLook = eventLoop.assumeIsolated().scheduleTask(in: configuration.interval) { [self] in
      look()
      start()
    }
  }

  /// Sends the waiting spans, each batch once, and within a time limit.
  func stop(within limit: TimeAmount) -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    nextLook?.cancel()
    stopping = promise
    eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in giveUp() }
    pauseEnd = .uptimeNanoseconds(0)
    look()
    return promise.futureResult
  }

  /// Ends a stop. Spans that still wait are lost.
  private func giveUp() {
    guard let promise = stopping else { return }
    stopping = nil
    timeout?.cancel()
    exchange?.drop()
    exchange = nil
    let lost = batch.count + queue.take(max: .max).count
    batch = []
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
    let exchange = ExportExchange(
      endpoint, body, configuration.headers(), version: configuration.version
    ) {
      [weak self] exchange, outcome in
      self?.ended(exchange, outcome)
    }
    self.exchange = exchange
    timeout = eventLoop.assumeIsolated().scheduleTask(in: configuration.requestTimeout) {
      exchange.fail("timeout", "no response in time")
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
    case .responded(let response) where response.isSuccess:
      accepted(response)
    case .responded(let response):
      failed(
        "status", "\(response.status.code)", isTemporary: response.isTemporary,
        pauseSeconds: response.pauseSeconds)
    case .failed(let reason, let detail):
      failed(reason, detail, isTemporary: true)
    }
    // A batch that isn't full waits for the next interval.
    guard stopping != nil || queue.counts.waiting >= configuration.batchSpansMax else { return }
    // In another event, so that the stack stays bounded.
    eventLoop.assumeIsolated().execute { [self] in look() }
  }

  private func accepted(_ response: CollectorResponse) {
    let rejected = response.rejected(of: batch.count)
    queue.exported(batch.count, rejected: rejected?.spans ?? 0)
    batch = []
    backoff.reset()
    if let rejected {
      logger.warning(
        "the collector has rejected spans",
        metadata: ["spans": "\(rejected.spans)", "message": "\(rejected.message)"])
    }
    if hasFailed { logger.notice("spans are exported again") }
    hasFailed = false
  }

  private func failed(
    _ reason: String, _ detail: String, isTemporary: Bool, pauseSeconds: Int? = nil
  ) {
    hasFailed = true
    // While the process ends there is no time for another attempt.
    let isLost = !isTemporary || attempts >= configuration.attemptsMax || stopping != nil
    let lost = isLost ? batch.count : 0
    if isLost { batch = [] }
    queue.exportFailed(lost: lost)
    var pause = TimeAmount.zero
    if isTemporary {
      let own = Int64(clamping: backoff.nextNanos(using: &random))
      pause = max(.nanoseconds(own), .seconds(Int64(pauseSeconds ?? 0)))
      pauseEnd = eventLoop.now + pause
    }
    logger.warning(
      "spans can't be exported",
      metadata: [
        "reason": "\(reason)", "detail": "\(detail)", "lost": "\(lost)",
        "endpoint": "\(configuration.endpoint.address)",
        "pause_millis": "\(pause.nanoseconds / 1_000_000)",
      ])
    if isTemporary, stopping != nil { giveUp() }
  }
}
