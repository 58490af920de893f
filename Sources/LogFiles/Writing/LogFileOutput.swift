// The writing end of a log: the loop's interface, and the two lanes that do the work. The runner of
// the lanes (`LogThreads`, a simulation) calls `perform` of each on one thread at a time.

package import Log

/// The begin of the writing: the result of recovery.
package struct LogStart: Sendable {
  let directory: LogDirectory
  /// Of the segment that was begun.
  package let header: FileHeader
  let segment: OpenSegment
  /// Positions of all segments, ascending, and begins of complete passes.
  let segments: [LogPosition]
  let passes: [LogPosition]

  /// The end of the log, where the first batch begins.
  package var position: LogPosition { header.position }
}

package final class LogFileOutput: LogOutput, Sendable {
  package enum Lane: Sendable, CaseIterable {
    case writer
    case background
  }

  let shared: LaneShared
  private let policy: FsyncPolicy
  // Each is used by the runner of the lane, and by one thread at a time.
  private nonisolated(unsafe) let writer: WriterLane
  private nonisolated(unsafe) let background: BackgroundLane

  /// - Parameter wake: called on a lane's thread when there are events to take.
  package init(
    _ start: LogStart, _ settings: LogFileSettings, wake: @escaping @Sendable () -> Void
  ) {
    let state = LaneState(
      written: (0, start.position), synced: (0, start.position), dirty: [start.segment.file],
      segments: start.segments, passes: start.passes, segmentSize: start.segment.size,
      namedPass: start.header.newestPass, segmentRoom: start.segment.room)
    shared = LaneShared(state, wakeLoop: wake)
    policy = settings.policy
    writer = WriterLane(
      shared, start.directory, settings, header: start.header, segment: start.segment)
    background = BackgroundLane(shared, start.directory, settings, header: start.header)
  }

  // MARK: - The lanes

  /// When a lane has work, in nanoseconds of `now`'s clock; nil: not before it gets more.
  package func due(_ lane: Lane, now: UInt64) -> UInt64? {
    switch lane {
    case .writer: writer.due(now)
    case .background: background.due(now)
    }
  }

  /// Does one step of a lane; blocks. Does nothing if there is no work.
  package func perform(_ lane: Lane, now: UInt64) {
    switch lane {
    case .writer: writer.perform(now)
    case .background: background.perform(now)
    }
  }

  /// - Parameter wake: called on any thread when a lane may have work.
  package func setWakeLane(_ wake: @escaping @Sendable (Lane) -> Void) { shared.setWakeLane(wake) }

  // MARK: - The loop's face

  package func write(_ batch: LogBatch) {
    shared.give(.writer) { state in
      state.queue.append(batch)
    }
  }

  package func writeDirectly(_ batch: LogBatch) -> Bool { writer.writeDirectly(batch) }

  package var takesDirectWrites: Bool {
    policy != .always && shared.read { $0.takesDirectWrites }
  }

  package func sync(upTo number: UInt64) {
    shared.give(.background) { $0.syncWanted = number }
  }

  package func beginPass(at begin: LogPosition) {
    shared.give(.background) { $0.passWork.append(.begin(begin)) }
  }

  package func writePass(_ chunk: any PassBytes) {
    shared.give(.background) { state in
      state.passWork.append(.chunk(chunk))
      state.passBytesQueued += chunk.byteCount
    }
  }

  package func endPass(lastAsOf: LogPosition) {
    shared.give(.background) { $0.passWork.append(.end(lastAsOf: lastAsOf)) }
  }

  package func abandonPass() {
    shared.give(.background) { $0.passWork.append(.abandon) }
  }

  package func keepFree(_ bytes: Int) {
    shared.give(.background) { $0.keepFree = bytes }
  }

  package func close() {
    shared.give(.writer) { $0.isClosing = true }
  }

  package func takeEvents() -> [LogEvent] { shared.takeEvents() }

  package var passBytesQueued: Int { shared.read { $0.passBytesQueued } }

  package var room: DiskRoom? { shared.read { $0.room } }

  package var measures: LogMeasures {
    shared.read { state in
      var measures = LogMeasures()
      measures.syncs = state.syncs
      measures.segments = state.segments.count
      return measures
    }
  }
}
