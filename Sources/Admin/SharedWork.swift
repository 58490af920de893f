// Work that many callers may request at the same time, and that is done once for all of them. So
// requests cost the nodes' event loops a bounded part of their time, and a stalled loop has one
// query waiting, not one for each request. An actor.

import NIOCore

package actor SharedWork<Value: Sendable> {
  private let work: @Sendable () async -> Value
  private let nanosMin: UInt64
  private var current: Task<Value, Never>?
  private var last: (value: Value, atNanos: UInt64)?

  /// - Parameter nanosMin: callers closer together than this get the same value.
  package init(nanosMin: UInt64 = 0, _ work: @escaping @Sendable () async -> Value) {
    self.nanosMin = nanosMin
    self.work = work
  }

  /// The value of work that is in progress, or as of now.
  package func value() async -> Value {
    if let current { return await current.value }
    if let last, NIODeadline.now().uptimeNanoseconds &- last.atNanos < nanosMin {
      return last.value
    }
    let task = Task { [work] in await work() }
    current = task
    let value = await task.value
    current = nil
    if nanosMin > 0 { last = (value, NIODeadline.now().uptimeNanoseconds) }
    return value
  }
}
