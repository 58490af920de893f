// The state shared by the loop and the two lanes, behind one lock that is never held during a
// file-system call. Each lane takes its work, does it without the lock, and reports the result. The
// writer's role is taken and returned under the lock too: by the writer's thread, or by the loop,
// which then writes itself.

internal import Log
internal import MetricTypes
internal import Synchronization

/// Why the disk counts as full. Any one is enough.
struct FullReasons: OptionSet, Sendable {
  let rawValue: UInt8

  /// A write of the log found no space.
  static let write = FullReasons(rawValue: 1)
  /// The next segment can't be prepared.
  static let segment = FullReasons(rawValue: 2)
  /// Less is free than the next pass needs.
  static let room = FullReasons(rawValue: 4)
}

enum PassWork {
  case begin(LogPosition)
  case chunk(any PassBytes)
  case end(lastAsOf: LogPosition)
  case abandon
}

struct LaneState {
  // The work from the loop.
  var queue: [LogBatch] = []
  /// Batches up to this number must be synced as soon as possible.
  var syncWanted: UInt64 = 0
  var passWork: [PassWork] = []
  var passBytesQueued = 0
  var keepFree = 0
  var isClosing = false

  // The progress of the log.
  var written: (number: UInt64, position: LogPosition)
  var synced: (number: UInt64, position: LogPosition)
  /// The log must be synced up to here, for the end of a pass.
  var syncPosition: LogPosition = 0
  /// The segments with batches that weren't synced, oldest first; the last is written to.
  var dirty: [OpenFile]
  var isWriterDone = false
  /// Batches are being written, or a segment is being started.
  var isWriting = false
  /// Batches that the writer has taken and not written, because the disk is full or a segment ends.
  var isWriterBehind = false
  /// While the disk is full: when the writer tries again.
  var retryAt: UInt64 = 0
  var isSyncUnderWay = false

  // Files.
  /// Positions of all segments, ascending; the last is written to.
  var segments: [LogPosition]
  /// Where complete passes begin, ascending.
  var passes: [LogPosition]
  var segmentSize: UInt64
  var spare: SpareSegment?
  var reserve: SpareSegment?
  /// A pass that is complete except for a segment's header that names it.
  var passToName: LogPosition?
  /// The newest pass that a header names.
  var namedPass: LogPosition?
  /// Allocated bytes in the current segment, after its last batch.
  var segmentRoom: UInt64

  /// Durations of syncs.
  var syncs = DurationCounts()

  // Events for the loop.
  var events: [LogEvent] = []
  var isWakeSent = false
  var full: FullReasons = []
  var room: DiskRoom?
  var hasFailed = false

  /// Whether there is anything to sync.
  var isSyncing: Bool { synced.number < written.number }

  /// Whether anything waits for a sync.
  var isSyncWanted: Bool {
    syncWanted > synced.number || syncPosition > synced.position || dirty.count > 1 || isWriterDone
  }

  /// A pass waits for a segment to name it, and there is one.
  var canName: Bool { passToName != nil && (spare ?? reserve) != nil }

  /// Whether the writer's lane has anything to do.
  var hasWriterWork: Bool { !queue.isEmpty || isWriterBehind || isClosing || canName }

  /// Space in a segment, up to a sixteenth of it, reserved for the writer: more than most ticks
  /// need.
  private static let directRoomMin: UInt64 = 1 << 20

  /// Whether batches may be written by the loop: the writer has nothing to do, no sync is in
  /// progress, and the end of the segment isn't near.
  var takesDirectWrites: Bool {
    !hasFailed && !isWriterDone && !isWriting && !hasWriterWork && !isSyncUnderWay && full.isEmpty
      && segmentRoom > min(segmentSize / 16, Self.directRoomMin)
  }

  mutating func tell(_ event: LogEvent) {
    if !hasFailed { events.append(event) }
  }

  /// Ends the log: the last event.
  mutating func fail(_ failure: LogFailure) {
    tell(.failed(failure))
    hasFailed = true
  }

  mutating func fail(_ error: FileError, doing what: String, _ policy: FsyncPolicy) {
    fail(
      LogFailure(
        file: error.path,
        sentence: "The log can't be \(what), so this shard exits: \(error). \(policy.loss)"))
  }

  /// Notes what the disk has left beside what is prepared.
  mutating func note(free: UInt64, _ settings: LogFileSettings) -> DiskRoom {
    let needed = UInt64(max(0, keepFree) + settings.freeBytesMin)
    // Some more before it counts as free again, so that it doesn't change at every look.
    let room = DiskRoom(free: free, needed: full.contains(.room) ? needed + needed / 8 : needed)
    self.room = room
    return room
  }

  mutating func setFull(_ reason: FullReasons, _ isFull: Bool) {
    let before = full.isEmpty
    if isFull { full.insert(reason) } else { full.remove(reason) }
    if full.isEmpty != before { tell(.diskFull(before)) }
  }
}

/// The state, its lock, and the wakes that go with it.
final class LaneShared: Sendable {
  /// Sendable although the state has references: only their owners use them, see `OpenFile` and
  /// `PassBytes`.
  private struct Guarded: @unchecked Sendable {
    var state: LaneState
    /// Notifies a lane that there may be work; set by the runner of the lanes. Called without the
    /// lock. It is a field, because a closure that is the lock's whole value is wrapped again by
    /// each access, and would nest deeper each time.
    var wakeLane: @Sendable (LogFileOutput.Lane) -> Void = { _ in }
  }
  private let guarded: Mutex<Guarded>
  /// Tells the loop that there are events.
  private let wakeLoop: @Sendable () -> Void

  init(_ state: LaneState, wakeLoop: @escaping @Sendable () -> Void) {
    guarded = Mutex(Guarded(state: state))
    self.wakeLoop = wakeLoop
  }

  func setWakeLane(_ wake: @escaping @Sendable (LogFileOutput.Lane) -> Void) {
    guarded.withLock { $0.wakeLane = wake }
  }

  func read<R>(_ body: (LaneState) -> R) -> R {
    guarded.withLock { guarded in UncheckedValue(value: body(guarded.state)) }.value
  }

  /// A lane's change: wakes the loop if there are new events.
  func change<R>(_ body: (inout LaneState) -> R) -> R {
    let (result, isNews) = guarded.withLock { guarded in
      let result = UncheckedValue(value: body(&guarded.state))
      let isNews = !guarded.state.events.isEmpty && !guarded.state.isWakeSent
      if isNews { guarded.state.isWakeSent = true }
      return (result, isNews)
    }
    if isNews { wakeLoop() }
    return result.value
  }

  /// The loop's change: gives a lane work.
  func give(_ lane: LogFileOutput.Lane, _ body: (inout LaneState) -> Void) {
    let wakeLane = guarded.withLock { guarded in
      body(&guarded.state)
      return guarded.wakeLane
    }
    wakeLane(lane)
  }

  /// There may be work for a lane.
  func wake(_ lane: LogFileOutput.Lane) {
    let wakeLane = guarded.withLock { $0.wakeLane }
    wakeLane(lane)
  }

  func takeEvents() -> [LogEvent] {
    guarded.withLock { guarded in
      guarded.state.isWakeSent = false
      let events = UncheckedValue(value: guarded.state.events)
      guarded.state.events.removeAll(keepingCapacity: true)
      return events
    }.value
  }

  func fail(_ error: FileError, doing what: String, _ policy: FsyncPolicy) {
    change { $0.fail(error, doing: what, policy) }
  }
}

extension FsyncPolicy {
  /// What a failed log may have lost. After a failed sync the system may forget data that it had
  /// accepted and that was not synced.
  fileprivate var loss: String {
    switch self {
    case .always: "Writes without a reply may be lost."
    case .everysec, .never:
      "Writes since the last sync may be lost, also those with a reply (fsync: \(rawValue))."
    }
  }
}

/// Carries a value out of the lock. Sendable because the value is the caller's alone from then on:
/// the state has given it away.
private struct UncheckedValue<Value>: @unchecked Sendable {
  let value: Value
}
