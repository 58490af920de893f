// The connections of one event loop, and the sweep that looks at each of them every few seconds. A
// sweep of many is done in slices, between which the loop serves its sockets. On that loop.

import NIOCore

/// A connection that is looked at now and then.
package protocol SweptConnection: AnyObject {
  /// Kept for the list, so that leaving costs no search.
  var listIndex: Int { get set }
  func sweep(nowNanos: UInt64)
}

package final class ConnectionList<Connection: SweptConnection> {
  /// Connections that are looked at before others get their turn.
  static var sliceCount: Int { 64 }

  private let scheduler: LoopScheduler
  private let interval: TimeAmount
  private var connections: ContiguousArray<Connection> = []
  private var timer: Scheduled<Void>?

  package init(scheduler: LoopScheduler, sweepNanos: Int64) {
    self.scheduler = scheduler
    interval = .nanoseconds(sweepNanos)
  }

  package var count: Int { connections.count }

  /// The connections as they are now. O(connections).
  package var all: ContiguousArray<Connection> { connections }

  package func add(_ connection: Connection) {
    connection.listIndex = connections.count
    connections.append(connection)
    if timer == nil { scheduleSweep() }
  }

  /// O(1). A connection that isn't in the list is passed over.
  package func remove(_ connection: Connection) {
    let index = connection.listIndex
    guard connections.indices.contains(index), connections[index] === connection else { return }
    let last = connections.removeLast()
    if last !== connection {
      connections[index] = last
      last.listIndex = index
    }
    connection.listIndex = -1
  }

  private func scheduleSweep() {
    timer = scheduler.eventLoop.assumeIsolated().scheduleTask(in: interval) { [weak self] in
      self?.sweep(below: .max)
    }
  }

  /// From the end to the beginning: a removed connection is replaced by one that was already
  /// checked.
  private func sweep(below end: Int) {
    let end = min(end, connections.count)
    let start = max(0, end - Self.sliceCount)
    let now = scheduler.eventLoop.now.uptimeNanoseconds
    for index in (start..<end).reversed() where index < connections.count {
      connections[index].sweep(nowNanos: now)
    }
    if start > 0 {
      scheduler.yieldThenRun { [weak self] in self?.sweep(below: start) }
    } else if connections.isEmpty {
      timer = nil
    } else {
      scheduleSweep()
    }
  }
}
