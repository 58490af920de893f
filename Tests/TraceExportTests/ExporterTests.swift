// The exporter against a collector that takes spans, refuses them, is slow, breaks, or isn't there.

import GRPC
import Logging
import NIOCore
import Testing
import Tracing

@testable import TraceExport

@Suite("Exporter", .timeLimit(.minutes(2))) struct ExporterTests {
  /// Makes spans, and exports them quickly.
  private final class Source: Sendable {
    let traces: ProcessTraces
    let log = EventLog()
    private let exporter: TraceExporter

    init(
      port: Int, tls: ClientTLS? = nil,
      _ change: (inout TraceExporterConfiguration) -> Void = { _ in }
    ) throws {
      let scheme = tls == nil ? "http" : "https"
      let endpoint = try #require(TraceEndpoint("\(scheme)://127.0.0.1:\(port)/v1/traces?a=b"))
      var configuration = TraceExporterConfiguration(endpoint)
      configuration.tls = tls
      configuration.version = "9"
      configuration.interval = .milliseconds(5)
      configuration.pause = .milliseconds(1)
      configuration.pauseMax = .milliseconds(2)
      change(&configuration)
      traces = ProcessTraces(
        TraceSettings(), clock: TraceClock(nanos: { 1 }, unixNanos: { 1 }),
        random: { SystemRandomNumberGenerator() })
      exporter = TraceExporter(configuration, traces.queue, logger: log.logger)
    }

    func make(_ count: Int = 1) {
      let tracer = traces.tracer(
        TraceResource(role: "shard", cluster: "c", id: "s", version: "1"))
      for number in 0..<count {
        if let span = tracer.begin("s/M\(number)", parent: nil) { tracer.end(span.number) }
      }
    }

    /// Waits until what has become of spans is as a closure has it.
    func counts(_ isReached: (SpanQueue.Counts) -> Bool) async {
      while !isReached(traces.queue.counts) { await Task.yield() }
    }

    func stop(within limit: TimeAmount = .seconds(60)) async { await exporter.stop(within: limit) }
  }

  @Test("Spans are posted in batches, as JSON, to the endpoint's path")
  func batches() async throws {
    let collector = try await FakeCollector()
    let source = try Source(port: collector.port) {
      $0.batchSpansMax = 3
      // The test makes all of them before any is taken.
      $0.interval = .hours(1)
    }
    source.make(7)
    await source.stop()
    let requests = collector.requests
    #expect(requests.count == 3)
    let first = try #require(requests.first)
    #expect(first.head.method == .POST && first.head.uri == "/v1/traces?a=b")
    #expect(first.head.headers["content-type"] == ["application/json"])
    #expect(first.head.headers["user-agent"] == ["ringstore/9"])
    #expect(first.head.headers["host"] == ["127.0.0.1:\(collector.port)"])
    #expect(first.body.contains("s/M0") && first.body.contains("s/M2"))
    #expect(!first.body.contains("s/M3"))
    #expect(requests[2].body.contains("s/M6"))
    let counts = source.traces.queue.counts
    #expect(counts.exported == 7 && counts.exportsDone == 3 && counts.waiting == 0)
    #expect(source.log.messages.isEmpty)
    await collector.stop()
  }

  @Test("Spans are exported without an end of the process")
  func meanwhile() async throws {
    let collector = try await FakeCollector()
    let source = try Source(port: collector.port)
    source.make()
    _ = await collector.requests(1)
    source.make()
    _ = await collector.requests(2)
    await source.stop()
    #expect(source.traces.queue.counts.exported == 2)
    await collector.stop()
  }

  @Test(
    "A batch that the collector doesn't take for now is sent again, and is told in the log",
    arguments: [
      FakeCollector.Answer.status(503), .status(429), .status(502), .status(504), .close, .garbage,
    ])
  func again(answer: FakeCollector.Answer) async throws {
    let collector = try await FakeCollector()
    collector.answer([answer, answer])
    let source = try Source(port: collector.port)
    source.make()
    let requests = await collector.requests(3)
    #expect(Set(requests.map(\.body)).count == 1)
    await source.counts { $0.exported == 1 }
    await source.stop()
    #expect(source.traces.queue.counts.exportsFailed == 2)
    #expect(source.traces.queue.counts.failed == 0)
    #expect(
      source.log.messages == [
        "spans can't be exported", "spans can't be exported", "spans are exported again",
      ])
    await collector.stop()
  }

  @Test("A batch that is refused for good, or too often, is lost; the next one goes")
  func lost() async throws {
    let collector = try await FakeCollector()
    collector.answer([.status(400), .status(503), .status(503), .status(503)])
    let source = try Source(port: collector.port) { $0.attemptsMax = 3 }
    source.make()
    await source.counts { $0.failed == 1 }
    source.make()
    await source.counts { $0.failed == 2 }
    source.make()
    await source.counts { $0.exported == 1 }
    await source.stop()
    #expect(collector.requests.count == 5)
    await collector.stop()
  }

  @Test("A collector that says nothing is given up in time")
  func silent() async throws {
    let collector = try await FakeCollector()
    collector.answer([.silence])
    let source = try Source(port: collector.port) {
      $0.requestTimeout = .milliseconds(200)
      $0.attemptsMax = .max
    }
    source.make()
    await source.counts { $0.exported == 1 }
    await source.stop()
    #expect(Set(source.log.reasons) == ["timeout"])
    await collector.stop()
  }

  @Test("Without a collector spans wait, are lost past the bounds, and go when it is there")
  func away() async throws {
    let collector = try await FakeCollector()
    let port = collector.port
    await collector.stop()
    let source = try Source(port: port) { $0.attemptsMax = .max }
    source.make()
    await source.counts { $0.exportsFailed >= 2 }
    source.make(900)
    #expect(source.traces.queue.counts.exported == 0)
    let back = try await FakeCollector(on: port)
    await source.counts { $0.exported == 901 }
    await source.stop()
    #expect(Set(source.log.reasons) == ["connect"])
    await back.stop()
  }

  @Test("The end waits for a collector only so long")
  func endInTime() async throws {
    let collector = try await FakeCollector()
    collector.answer([.silence])
    let source = try Source(port: collector.port)
    source.make()
    _ = await collector.requests(1)
    source.make(4)
    await source.stop(within: .milliseconds(20))
    #expect(source.traces.queue.counts.failed == 5)
    #expect(source.log.messages == ["spans were lost at the end"])
    await collector.stop()
  }

  @Test("The end of a process whose collector is away waits for no further attempt")
  func endWithout() async throws {
    let collector = try await FakeCollector()
    let port = collector.port
    await collector.stop()
    let source = try Source(port: port) { $0.interval = .hours(1) }
    source.make(3)
    await source.stop(within: .hours(1))
    #expect(source.traces.queue.counts.failed == 3)
  }
}

/// What was logged.
final class EventLog: Sendable {
  private let lines = NIOLockedLines()

  var messages: [String] { lines.all.map(\.message) }
  /// Of failures, in order.
  var reasons: [String] { lines.all.compactMap { $0.reason } }

  var logger: Logger {
    Logger(label: "test") { [lines] _ in Handler(lines: lines) }
  }

  private struct Handler: LogHandler {
    let lines: NIOLockedLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      lines.add("\(event.message)", event.metadata?["reason"].map { "\($0)" })
    }
  }
}
