// Sends the spans of a process to an OTLP/HTTP collector: batches, one at a time, from a thread of
// its own, so that no collector that is away, slow or broken takes time of the loops that serve
// calls. What can't be sent waits within `SpanQueue`'s bound, and then is lost and counted.
// Sendable.

import GRPC
import Logging
import NIOCore
import NIOPosix
import Tracing

/// Where spans go, and how patiently. The bounds are the same for everybody; tests have their own.
package struct TraceExporterConfiguration: Sendable {
  package let endpoint: TraceEndpoint
  /// How the collector is spoken to; nil: not encrypted.
  package var tls: ClientTLS?
  /// Of what makes the spans.
  package var version = ""
  /// Spans of one request.
  package var batchSpansMax = 512
  /// How often the queue is looked at.
  package var interval = TimeAmount.milliseconds(500)
  /// What a connection may take to be made, and a request to be answered with all before it.
  package var connectTimeout = TimeAmount.seconds(3)
  package var requestTimeout = TimeAmount.seconds(10)
  /// How often a batch is sent that the collector doesn't take for now.
  package var attemptsMax = 5
  /// From the first pause between attempts to the longest.
  package var pause = TimeAmount.milliseconds(500)
  package var pauseMax = TimeAmount.seconds(15)

  package init(_ endpoint: TraceEndpoint) {
    self.endpoint = endpoint
  }
}

package final class TraceExporter: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let loop: NIOLoopBoundBox<ExportLoop>

  /// - Parameter queue: what the process's tracers fill.
  package init(_ configuration: TraceExporterConfiguration, _ queue: SpanQueue, logger: Logger) {
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let eventLoop = group.next()
    loop = .makeBoxSendingValue(
      ExportLoop(configuration, queue, eventLoop: eventLoop, logger: logger),
      eventLoop: eventLoop)
    let loop = loop
    eventLoop.execute { loop.value.start() }
  }

  /// Sends what waits, for at most so long, and ends. What is left is lost and counted.
  package func stop(within limit: TimeAmount) async {
    let loop = loop
    try? await group.any().flatSubmit { loop.value.stop(within: limit) }.get()
    try? await group.shutdownGracefully()
  }
}
