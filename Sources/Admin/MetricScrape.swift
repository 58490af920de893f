// Gathers the metrics of all nodes of the process. However many clients ask, there is one gathering
// at a time, and those that come close together get the same figures: so scrapes cost the event
// loops a bounded part of their time. An actor.

import GRPC
import MetricTypes
import NIOCore
import NodeCore

actor MetricScrape {
  private let nodes: [NodeProbe]
  private let process: @Sendable () -> MetricCollection
  private let nanosMin: UInt64
  private var current: Task<MetricCollection, Never>?
  private var last: (metrics: MetricCollection, atNanos: UInt64)?

  /// - Parameters:
  ///   - process: what concerns none of the nodes.
  ///   - nanosMin: scrapes closer together get the same figures.
  init(
    _ nodes: [NodeProbe], process: @escaping @Sendable () -> MetricCollection, nanosMin: UInt64
  ) {
    self.nodes = nodes
    self.process = process
    self.nanosMin = nanosMin
  }

  func metrics() async -> MetricCollection {
    if let current { return await current.value }
    if let last, NIODeadline.now().uptimeNanoseconds &- last.atNanos < nanosMin {
      return last.metrics
    }
    let task = Task { [nodes, process] in
      var all = MetricCollection()
      for node in nodes { all.add(await node.metrics()) }
      all.add(process())
      return all
    }
    current = task
    let metrics = await task.value
    current = nil
    last = (metrics, NIODeadline.now().uptimeNanoseconds)
    return metrics
  }
}
