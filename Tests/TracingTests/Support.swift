// A tracer with clocks that the test moves and random numbers that it chooses.

import Synchronization
import Tracing

final class TestClock: Sendable {
  private let time = Mutex<UInt64>(1_000)
  /// The wall clock, when the other clock is at 0.
  static let unixNanos: UInt64 = 1_700_000_000_000_000_000

  var nanos: UInt64 { time.withLock { $0 } }

  func advance(nanos: UInt64) { time.withLock { $0 += nanos } }

  var clock: TraceClock {
    TraceClock(nanos: { self.nanos }, unixNanos: { Self.unixNanos + self.nanos })
  }
}

/// Counts up: ids are 1, 2, 3.
struct CountingNumbers: RandomNumberGenerator {
  var last: UInt64 = 0

  mutating func next() -> UInt64 {
    last &+= 1
    return last
  }
}

/// SplitMix64.
struct MixedNumbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

struct TracerFixture {
  let clock = TestClock()
  let queue: SpanQueue
  let tracer: Tracer

  init(
    ratio: Double = 0, spansPerSecond: Int = 10_000,
    random: any RandomNumberGenerator = CountingNumbers()
  ) {
    var settings = TraceSettings()
    settings.sampleRatio = ratio
    settings.spansPerSecond = spansPerSecond
    queue = SpanQueue(spansPerSecond: spansPerSecond)
    let resource = TraceResource(role: "router", cluster: "c", id: "r", version: "1")
    tracer = Tracer(settings, queue, resource, clock: clock.clock, random: random)
  }

  /// The spans that have ended, oldest first.
  func ended() -> [Span] { queue.take(max: .max) }
}

extension TraceContext {
  init?(text: String, state: String = "") {
    let bytes = Array(text.utf8)
    let read = bytes.withUnsafeBytes { TraceContext(traceparent: $0, state: state) }
    guard let read else { return nil }
    self = read
  }

  static func decoded(_ bytes: [UInt8]) -> TraceContext? {
    bytes.withUnsafeBytes { TraceContext(encoded: $0) }
  }

  static func state(_ fields: [String]) -> String {
    let joined = fields.map { Array($0.utf8) }
    func gather(
      _ rest: ArraySlice<[UInt8]>, _ read: [UnsafeRawBufferPointer]
    ) -> String {
      guard let first = rest.first else { return state(read) }
      return first.withUnsafeBytes { gather(rest.dropFirst(), read + [$0]) }
    }
    return gather(joined[...], [])
  }
}
