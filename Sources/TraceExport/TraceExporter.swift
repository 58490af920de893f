// Sends the spans of a process to an OTLP/HTTP collector, in batches, one at a time. It has a
// thread of its own, so a collector that is unreachable, slow or broken takes no time of the loops
// that serve calls. Spans that can't be sent wait within `SpanQueue.spansMax`, then they are
// dropped and counted. Sendable.

import GRPC
import Logging
import NIOCore
import NIOPosix
import Tracing

/// The collector, and the limits of exporting. Only tests change the limits.
package struct TraceExporterConfiguration: Sendable {
  package let endpoint: TraceEndpoint
  /// nil: the connection isn't encrypted.
  package var tls: ClientTLS?
  /// Further header fields, called for each request on the exporter's thread; it may read a file.
  package var headers: @Sendable () -> TraceHeaders = { .none }
  /// The program's.
  package var version = ""
  /// The maximum number of spans of a request.
  package var batchSpansMax = 512
  /// The interval at which the queue is checked.
  package var interval = TimeAmount.milliseconds(500)
  /// The time for the TCP connection, and for the whole request with its connection.
  package var connectTimeout = TimeAmount.seconds(3)
  package var requestTimeout = TimeAmount.seconds(10)
  /// How often a batch is sent that the collector can't accept at the moment.
  package var attemptsMax = 5
  /// The first pause after a failure; each further one is twice as long, up to the longest. A
  /// collector may request a longer one (`CollectorResponse.pauseSecondsMax`).
  package var pause = TimeAmount.milliseconds(500)
  package var pauseMax = TimeAmount.seconds(15)

  package init(_ endpoint: TraceEndpoint) {
    self.endpoint = endpoint
  }
}

package final class TraceExporter: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let loop: NIOLoopBoundBox<ExportLoop>

  /// - Parameter queue: the queue of the process's tracers.
  package init(_ configuration: TraceExporterConfiguration, _ queue: SpanQueue, logger: Logger) {
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let eventLoop = group.next()
    loop = .makeBoxSendingValue(
      ExportLoop(configuration, queue, eventLoop: eventLoop, logger: logger),
      eventLoop: eventLoop)
    let loop = loop
    eventLoop.execute { loop.value.start() }
  }

  /// Sends the waiting spans within a time limit, and ends. Spans that are left are lost and
  /// counted.
  package func stop(within limit: TimeAmount) async {
    let loop = loop
    try? await group.any().flatSubmit { loop.value.stop(within: limit) }.get()
    try? await group.shutdownGracefully()
  }
}
