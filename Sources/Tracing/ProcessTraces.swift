// What all nodes of a process share to trace calls: settings, clocks and the queue of spans.
// Sendable.

package final class ProcessTraces: Sendable {
  package let settings: TraceSettings
  package let queue: SpanQueue
  private let clock: TraceClock
  private let random: @Sendable () -> any RandomNumberGenerator

  /// - Parameter random: makes the source of ids for one event loop; each has another seed.
  package init(
    _ settings: TraceSettings, clock: TraceClock,
    random: @escaping @Sendable () -> any RandomNumberGenerator
  ) {
    self.settings = settings
    self.clock = clock
    self.random = random
    queue = SpanQueue(spansPerSecond: settings.spansPerSecond)
  }

  /// A tracer for one event loop.
  package func tracer(_ resource: TraceResource) -> Tracer {
    Tracer(settings, queue, resource, clock: clock, random: random())
  }
}
