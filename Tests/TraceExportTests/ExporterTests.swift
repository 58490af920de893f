// The exporter with a collector that accepts spans, refuses them, is slow, broken or unreachable.

import GRPC
import NIOConcurrencyHelpers
import NIOCore
import TestLogs
import Testing
import Tracing

@testable import TraceExport

@Suite(.timeLimit(.minutes(15))) struct ExporterTests {
  /// Makes spans, and exports them quickly.
  private final class Source: Sendable {
    let traces: ProcessTraces
    let log = RecordedLog()
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

    /// Waits until the counts of spans fulfil a condition.
    func counts(_ isReached: (SpanQueue.Counts) -> Bool) async {
      while !isReached(traces.queue.counts) { await Task.yield() }
    }

    func stop(within limit: TimeAmount = .seconds(60)) async { await exporter.stop(within: limit) }
  }

  @Test func spansArePostedInBatchesAsJSONToTheEndpointsPath() async throws {
    let collector = try await FakeCollector()
    let source = try Source(port: collector.port) {
      $0.batchSpansMax = 3
      // All spans are made before the first batch is taken.
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

  /// They may change, as a file may.
  @Test func eachRequestHasTheHeadersOfItsMoment() async throws {
    let collector = try await FakeCollector()
    let tokens = NIOLockedValueBox(["one", "two"])
    let source = try Source(port: collector.port) {
      $0.batchSpansMax = 1
      $0.interval = .hours(1)
      $0.headers = {
        let token = tokens.withLockedValue { $0.isEmpty ? "" : $0.removeFirst() }
        return (try? TraceHeaders(Array("api-key=\(token),X-Tenant=7".utf8))) ?? .none
      }
    }
    source.make(3)
    await source.stop()
    let heads = collector.requests.map(\.head.headers)
    #expect(heads.map { $0["api-key"] } == [["one"], ["two"], []])
    #expect(heads.map { $0["x-tenant"] } == [["7"], ["7"], []])
    #expect(heads.allSatisfy { $0["content-type"] == ["application/json"] })
    await collector.stop()
  }

  @Test func spansAreExportedWhileTheProcessRuns() async throws {
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

  @Test(arguments: [
    FakeCollector.Reply.status(503), .status(429), .status(502), .status(504), .close,
    .closeHalfway, .garbage,
  ])
  func aBatchThatTheCollectorCannotAcceptAtTheMomentIsSentAgainAndTheLogSaysSo(
    reply: FakeCollector.Reply
  ) async throws {
    let collector = try await FakeCollector()
    collector.reply([reply, reply])
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

  @Test func aBatchThatIsRefusedForGoodOrTooOftenIsLostTheNextOneIsSent() async throws {
    let collector = try await FakeCollector()
    collector.reply([.status(500), .status(503), .status(503), .status(503)])
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

  @Test func aCollectorThatIsBusyIsLeftAloneForAsLongAsItRequests() async throws {
    let collector = try await FakeCollector()
    collector.reply([.reply(503, retryAfter: 120), .status(503)])
    let source = try Source(port: collector.port)
    source.make()
    await source.counts { $0.exportsFailed == 1 }
    // The end of the process doesn't wait for that.
    await source.stop()
    #expect(source.log.lines.first?.metadata["pause_millis"] == "120000")
    #expect(collector.requests.count == 2 && source.traces.queue.counts.failed == 1)
    await collector.stop()
  }

  @Test func spansThatAnAcceptingCollectorHasRejectedCountAsFailed() async throws {
    let collector = try await FakeCollector()
    let body = #"{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}"#
    collector.reply([.reply(200, body: body)])
    let source = try Source(port: collector.port) { $0.interval = .hours(1) }
    source.make(5)
    await source.stop()
    let counts = source.traces.queue.counts
    #expect(counts.exported == 3 && counts.failed == 2 && counts.exportsDone == 1)
    #expect(source.log.messages == ["the collector has rejected spans"])
    #expect(source.log.lines.first?.metadata == ["spans": "2", "message": "too old"])
    await collector.stop()
  }

  @Test func aReplyWithoutAnEndIsReadUpToALimit() async throws {
    let collector = try await FakeCollector()
    collector.reply([.endless])
    let source = try Source(port: collector.port) { $0.requestTimeout = .hours(1) }
    source.make()
    await source.counts { $0.exported == 1 }
    await source.stop()
    #expect(source.log.messages.isEmpty)
    await collector.stop()
  }

  @Test func aRequestWithoutAReplyEndsInTime() async throws {
    let collector = try await FakeCollector()
    collector.reply([.silence])
    let source = try Source(port: collector.port) {
      $0.requestTimeout = .milliseconds(200)
      $0.attemptsMax = .max
    }
    source.make()
    await source.counts { $0.exported == 1 }
    await source.stop()
    #expect(Set(source.log.lines.compactMap { $0.metadata["reason"] }) == ["timeout"])
    await collector.stop()
  }

  @Test func spansWaitWhileTheCollectorIsUnreachable() async throws {
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
    #expect(Set(source.log.lines.compactMap { $0.metadata["reason"] }) == ["connect"])
    await back.stop()
  }

  @Test func theEndOfTheProcessWaitsForTheCollectorWithinALimit() async throws {
    let collector = try await FakeCollector()
    collector.reply([.silence])
    let source = try Source(port: collector.port)
    source.make()
    _ = await collector.requests(1)
    source.make(4)
    await source.stop(within: .milliseconds(20))
    #expect(source.traces.queue.counts.failed == 5)
    #expect(source.log.messages == ["spans were lost at the end"])
    await collector.stop()
  }

  @Test func theEndOfTheProcessWaitsForNoFurtherAttempt() async throws {
    let collector = try await FakeCollector()
    let port = collector.port
    await collector.stop()
    let source = try Source(port: port) { $0.interval = .hours(1) }
    source.make(3)
    await source.stop(within: .hours(1))
    #expect(source.traces.queue.counts.failed == 3)
  }
}
