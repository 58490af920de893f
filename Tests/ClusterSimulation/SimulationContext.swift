// What all parts of a simulated cluster share: the clock, the dice, the record of what happened and
// what was found wrong.
//
// Owns the event queue and the random source. One thread; a run has one context.

import NodeCore

final class SimulationContext {
  /// The clock never stands at zero: a time of zero means "never" to some.
  static let startNanos: UInt64 = 1_000_000_000
  /// The wall clock at the clock's zero, in milliseconds since 1970.
  private static let wallMillisAtZero: Int64 = 1_800_000_000_000
  private static let nanosPerMilli: UInt64 = 1_000_000
  /// Events at one moment after which time counts as standing still.
  private static let eventsPerMomentMax = 100_000

  let configuration: SimulationConfiguration
  private(set) var nowNanos = SimulationContext.startNanos
  private(set) var trace = SimulationTrace()
  private(set) var findings: [SimulationFinding] = []
  private(set) var coverage: [SimulationCoverage: Int] = [:]
  private var events = EventQueue()
  private var eventsAtThisMoment = 0
  /// Numbers the event that happens now.
  private(set) var eventNumber: UInt64 = 0
  var random: SplitMix64

  init(seed: UInt64, _ configuration: SimulationConfiguration) {
    random = SplitMix64(seed: seed)
    self.configuration = configuration
  }

  // MARK: - Time

  /// The wall clock, the same everywhere.
  var wallMillis: Int64 { Self.wallMillisAtZero + Int64(nowNanos / Self.nanosPerMilli) }

  /// When the wall clock comes to a moment.
  func nanos(ofWall millis: Int64) -> UInt64 {
    UInt64(max(0, millis - Self.wallMillisAtZero)) * Self.nanosPerMilli
  }

  func after(_ nanos: UInt64, _ action: @escaping () -> Void) {
    events.add(dueNanos: nowNanos + nanos, action)
  }

  func at(_ nanos: UInt64, _ action: @escaping () -> Void) {
    events.add(dueNanos: max(nanos, nowNanos), action)
  }

  /// Lets things happen until `isDone`, which is asked after each event, or until the time given.
  func run(untilNanos limit: UInt64, isDone: () -> Bool = { false }) {
    while !isDone() {
      guard let next = events.nextNanos, next <= limit, let event = events.popFirst() else {
        nowNanos = max(nowNanos, limit)
        return
      }
      eventsAtThisMoment = event.dueNanos == nowNanos ? eventsAtThisMoment + 1 : 0
      guard eventsAtThisMoment < Self.eventsPerMomentMax else {
        found(.stuck, "events repeat while the time stands still")
        return
      }
      nowNanos = event.dueNanos
      eventNumber += 1
      event.action()
    }
  }

  /// Releases the planned events, which retain the parts of the cluster.
  func forgetEvents() {
    events = EventQueue()
  }

  // MARK: - Chance

  func chance(_ probability: Double) -> Bool {
    Double.random(in: 0..<1, using: &random) < probability
  }

  func number(_ range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &random)
  }

  func nanos(upTo max: UInt64) -> UInt64 {
    UInt64.random(in: 0...max, using: &random)
  }

  /// A time up to `max` whose order of magnitude is drawn first: short ones are as likely as long
  /// ones.
  func nanosOfAnyScale(upTo max: UInt64) -> UInt64 {
    nanos(upTo: Swift.max(max >> UInt64(number(0...10)), 1))
  }

  // MARK: - Record

  func note(
    _ kind: SimulationTrace.Kind, _ first: Int, _ second: Int = 0, _ third: UInt64 = 0,
    _ fourth: UInt64 = 0
  ) {
    trace.add(
      nowNanos, kind, UInt64(first), UInt64(second), third, fourth)
  }

  func found(_ kind: SimulationFinding.Kind, _ text: String) {
    trace.freeze()
    findings.append(SimulationFinding(kind: kind, timeNanos: nowNanos, text: text))
  }

  /// What comes now is of no interest to people, unless it is found wrong.
  func freezeTrace() {
    trace.freeze()
  }

  func cover(_ what: SimulationCoverage) {
    coverage[what, default: 0] += 1
  }
}
