// How long calls take, counted by one event loop: for each command and outcome (success, error) a
// row of buckets (DurationBuckets) in one piece of memory that never grows. No locks, no atomics;
// readers get a copy from the loop.
//
// There are two ways to count:
//   record  the duration is known: a router has noted when the call arrived
//   note    the call is executed now and its reply is written at the end of its tick, as on a
//           shard. All calls of the tick have one duration, which is passed to `commit` once: the
//           clock is read once for any number of calls.
//
//   the tick's bytes are read --note, note, note--> replies are written --commit--> counted
//
// Rows are places of calls: twice the place of a command, plus 1 for errors.
//
// Event loop of the node.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@usableFromInline
package final class CallMeter {
  /// One row: the buckets, then the sum of nanoseconds.
  private static let stride = DurationBuckets.count + 1

  @usableFromInline let places: Int
  private let cells: UnsafeMutablePointer<UInt64>
  /// Calls by row that wait to be counted, and which rows have any.
  @usableFromInline let pending: UnsafeMutablePointer<UInt32>
  @usableFromInline let touched: UnsafeMutablePointer<UInt32>
  @usableFromInline var touchedCount = 0
  @usableFromInline var begunNanos: UInt64 = 0
  /// What is kept of slow and large calls.
  package var slowLog: SlowLog

  /// - Parameters:
  ///   - places: how many commands there may be.
  ///   - slowLog: with its thresholds.
  package init(places: Int, slowLog: SlowLog = SlowLog()) {
    self.places = places
    self.slowLog = slowLog
    // One more for ticks.
    let rows = 2 * places + 1
    // The system provides calloc's memory when it is first used: only for rows of calls that occur.
    guard
      let memory = calloc(rows * Self.stride, MemoryLayout<UInt64>.stride),
      let counts = calloc(rows, MemoryLayout<UInt32>.stride),
      let list = calloc(rows, MemoryLayout<UInt32>.stride)
    else { fatalError("out of memory") }
    cells = memory.bindMemory(to: UInt64.self, capacity: rows * Self.stride)
    pending = counts.bindMemory(to: UInt32.self, capacity: rows)
    touched = list.bindMemory(to: UInt32.self, capacity: rows)
  }

  deinit {
    free(cells)
    free(pending)
    free(touched)
  }

  // MARK: - Counting

  /// Counts a call whose duration is known.
  ///
  /// - Parameter place: of the command; others are passed over.
  @inline(__always)
  package func record(_ place: Int, isError: Bool, nanos: UInt64) {
    guard place >= 0, place < places else { return }
    add(row: 2 &* place &+ (isError ? 1 : 0), nanos: nanos, times: 1)
  }

  /// Notes a call of the tick that began at a moment of the loop's clock.
  @inlinable
  package func note(_ place: Int, isError: Bool, tickNanos: UInt64) {
    guard place >= 0, place < places else { return }
    let row = 2 &* place &+ (isError ? 1 : 0)
    if pending[row] == 0 {
      if touchedCount == 0 { begunNanos = tickNanos }
      touched[touchedCount] = UInt32(truncatingIfNeeded: row)
      touchedCount &+= 1
    }
    pending[row] &+= 1
  }

  /// Whether a call belongs in the log of slow and large calls. (A method of the meter, because
  /// reading `slowLog` from another module copies it.)
  package func isNotable(nanos: UInt64 = 0, bytes: Int = 0) -> Bool {
    slowLog.isSlow(nanos) || slowLog.isLarge(bytes)
  }

  /// Whether calls wait to be counted.
  @inline(__always)
  package var isPending: Bool { touchedCount > 0 }

  /// The tick is over: its replies were written.
  package func commit(nowNanos: UInt64) {
    guard touchedCount > 0 else { return }
    // A call without a start time has begun now.
    let nanos = begunNanos > 0 && nowNanos > begunNanos ? nowNanos &- begunNanos : 0
    add(row: 2 &* places, nanos: nanos, times: 1)
    if slowLog.isSlow(nanos) { noteSlowTick(nanos) }
    for index in 0..<touchedCount {
      let row = Int(touched[index])
      add(row: row, nanos: nanos, times: UInt64(pending[row]))
      pending[row] = 0
    }
    touchedCount = 0
  }

  @inline(__always)
  private func add(row: Int, nanos: UInt64, times: UInt64) {
    let cells = cells + row &* Self.stride
    cells[DurationBuckets.index(nanos: nanos)] &+= times
    cells[DurationBuckets.count] &+= nanos &* times
  }

  /// It isn't known which of the tick's calls took the time; the command with the most calls is
  /// named.
  private func noteSlowTick(_ nanos: UInt64) {
    var calls = 0
    var busiest = Int(touched[0])
    for index in 0..<touchedCount {
      let row = Int(touched[index])
      calls += Int(pending[row])
      if pending[row] > pending[busiest] { busiest = row }
    }
    slowLog.note(
      SlowCall(
        kind: .tick, place: busiest / 2, durationNanos: nanos, isError: false, calls: calls))
  }

  // MARK: - Looking

  /// What was counted of all calls, and how many of these had errors. O(commands).
  ///
  /// - Parameter others: places of what is no call of its own.
  package func total(
    leavingOut others: Range<Int>
  ) -> (durations: DurationCounts, errors: UInt64) {
    var durations = DurationCounts()
    var errors: UInt64 = 0
    for place in 0..<places where !others.contains(place) {
      if let counts = counts(place, isError: false) { durations.add(counts) }
      if let counts = counts(place, isError: true) {
        durations.add(counts)
        errors &+= counts.count
      }
    }
    return (durations, errors)
  }

  /// What was counted of a command; nil: nothing.
  package func counts(_ place: Int, isError: Bool) -> DurationCounts? {
    guard place >= 0, place < places else { return nil }
    return counts(row: 2 * place + (isError ? 1 : 0))
  }

  /// How long ticks with calls took.
  package var ticks: DurationCounts { counts(row: 2 * places) ?? DurationCounts() }

  private func counts(row: Int) -> DurationCounts? {
    let row = UnsafeBufferPointer(start: cells + row * Self.stride, count: Self.stride)
    guard row.contains(where: { $0 != 0 }) else { return nil }
    return DurationCounts(row)
  }
}
