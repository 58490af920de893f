// Counters of an event loop and its connections, in addition to its service's. Plain numbers,
// without locks: read them on the loop (`LoopMeter.report`).
//
// Event loop only.

import MetricTypes

package final class LoopMeter {
  /// Bytes of the connections that a loop has accepted, before encryption.
  package struct Traffic: Sendable, Hashable {
    package var received: UInt64 = 0
    package var sent: UInt64 = 0
  }

  package struct Report: Sendable {
    package var ticks: UInt64 = 0
    package var turns: UInt64 = 0
    package var lateTurns: UInt64 = 0
    package var grpc = Traffic()
    package var lines = Traffic()
    package var openStreams = 0
    package var clientMemoryBytes = 0
    package var clientMemoryBytesMax = 0
  }

  /// Reads of connections, ends of ticks, and turns.
  package var ticks: UInt64 = 0
  package var turns: UInt64 = 0
  package var lateTurns: UInt64 = 0
  package var grpc = Traffic()
  package var lines = Traffic()
  /// gRPC calls and streams.
  package var openStreams = 0
  /// The memory held for the loop's clients, and its limit. The gRPC server sets it.
  package var clientMemory: ClientMemory?
  /// The service's call meter, which is finished at the end of the tick; nil: none.
  package var calls: CallMeter?

  package init() {}

  package var report: Report {
    Report(
      ticks: ticks, turns: turns, lateTurns: lateTurns, grpc: grpc, lines: lines,
      openStreams: openStreams, clientMemoryBytes: clientMemory?.bytes ?? 0,
      clientMemoryBytesMax: clientMemory?.bytesMax ?? 0)
  }
}
