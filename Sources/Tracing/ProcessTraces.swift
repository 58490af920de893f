// What a process's nodes need to trace their calls, or nil in its place. Sendable.

package final class ProcessTraces: Sendable {
  package let settings: TraceSettings
  package let queue: SpanQueue
  private let clock: TraceClock
  private let random: @Sendable () -> any RandomNumberGenerator

  /// - Parameter random: makes a source of ids for a loop, seeded so that no two are alike.
  package init(
    _ settings: TraceSettings, clock: TraceClock,
    random: @escaping @Sendable () -> any RandomNumberGenerator
  ) {
    self.settings = settings
    self.clock = clock
    self.random = random
    queue = SpanQueue(spansPerSecond: settings.spansPerSecond)
  }

  /// The tracer of an event loop, to be used on it alone.
  package func tracer(_ resource: TraceResource) -> Tracer {
    Tracer(settings, queue, resource, clock: clock, random: random())
  }
}
