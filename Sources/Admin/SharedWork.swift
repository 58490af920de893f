// Work that many may ask for at one time, and that is done once for all of them: so requests cost
// the event loops of the nodes a bounded part of their time, and one that stands has one question
// waiting, not one of each request. An actor.

import NIOCore

package actor SharedWork<Value: Sendable> {
  private let work: @Sendable () async -> Value
  private let nanosMin: UInt64
  private var current: Task<Value, Never>?
  private var last: (value: Value, atNanos: UInt64)?

  /// - Parameter nanosMin: those who ask closer together than this get the same value.
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
