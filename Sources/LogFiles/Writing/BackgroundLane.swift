// The lane for work that no reply should wait for: the sync of each second, the next segment,
// passes (`PassFiles`), removing files that a complete pass has replaced, and watching directory
// and disk.
//
// Runs on one thread, or in turns of a simulation. Every `perform` does the most urgent thing, so
// the sync of a second waits for one step of another kind at most.

internal import Log

final class BackgroundLane {
  private let shared: LaneShared
  private let directory: LogDirectory
  private let settings: LogFileSettings
  private var passes: PassFiles
  private var nextSync: UInt64 = 0
  private var nextWatch: UInt64 = 0
  /// A segment that is being filled, and how far it is.
  private var filling: (spare: SpareSegment, offset: UInt64)?
  private var prepareAt: UInt64 = 0
  private var removals: FileRemovals
  private let header: FileHeader
  /// The pass because of which files were removed last.
  private var removedFor: LogPosition?
  private var isClosed = false

  init(
    _ shared: LaneShared, _ directory: LogDirectory, _ settings: LogFileSettings,
    header: FileHeader
  ) {
    self.shared = shared
    self.directory = directory
    self.settings = settings
    self.header = header
    passes = PassFiles(shared, directory, settings, header: header)
    removals = FileRemovals(directory)
    removedFor = header.newestPass
  }

  private enum Work {
    case sync, close, watch, prepare, pass, remove
  }

  /// The next work and its time, the most urgent of those that are due.
  private func next(_ now: UInt64) -> (work: Work, at: UInt64)? {
    shared.read { state in
      if state.hasFailed || isClosed { return nil }
      var later: (work: Work, at: UInt64) = (.watch, nextWatch)
      if let at = syncDue(state, now) {
        if at <= now { return (.sync, now) }
        if at < later.at { later = (.sync, at) }
      }
      if later.at <= now { return later }
      if state.isClosing, state.isWriterDone { return (.close, now) }
      if state.spare == nil || state.reserve == nil {
        if prepareAt <= now { return (.prepare, now) }
        if prepareAt < later.at { later = (.prepare, prepareAt) }
      }
      if passes.hasWork(state) { return (.pass, now) }
      if !removals.isEmpty || removedFor != state.namedPass { return (.remove, now) }
      return later
    }
  }

  private func syncDue(_ state: LaneState, _ now: UInt64) -> UInt64? {
    guard settings.policy != .always, state.isSyncing else { return nil }
    if state.isSyncWanted { return now }
    return settings.policy == .everysec ? max(now, nextSync) : nil
  }

  func due(_ now: UInt64) -> UInt64? { next(now)?.at }

  func perform(_ now: UInt64) {
    guard let next = next(now), next.at <= now else { return }
    do throws(FileError) {
      switch next.work {
      case .sync: try sync(now)
      case .close: try close()
      case .watch: try watch(now)
      case .prepare: try prepare(now)
      case .pass: try passes.perform()
      case .remove: try remove()
      }
    } catch {
      shared.fail(error, doing: next.work == .sync ? "synced" : "kept", settings.policy)
    }
  }

  // MARK: - The sync of each second

  private func sync(_ now: UInt64) throws(FileError) {
    nextSync = now + settings.syncIntervalNanos
    let (files, end) = shared.change { state in
      state.isSyncUnderWay = true
      return (state.dirty, state.written)
    }
    let begunNanos = settings.nanos?()
    for file in files { try file.sync() }
    let endNanos = settings.nanos?()
    shared.change { state in
      state.isSyncUnderWay = false
      if let begunNanos, let endNanos { state.syncs.add(nanos: endNanos &- begunNanos) }
      if state.hasFailed { return }
      state.synced = end
      // The last of them may have been written to since.
      state.dirty.removeFirst(state.isSyncing ? files.count - 1 : state.dirty.count - 1)
      state.tell(.synced(end.number))
    }
  }

  private func close() throws(FileError) {
    try passes.close()
    try seal()
    isClosed = true
    shared.change { state in
      state.tell(.closed)
      state.dirty = []
    }
  }

  /// Notes after the last batch that all of the log is durable: damage that comes later can't be
  /// mistaken for the torn end of a crash. The writer has ended.
  private func seal() throws(FileError) {
    let (end, begin, file) = shared.read { state in
      (state.written.position, state.segments.last, state.dirty.last)
    }
    // The header of an empty segment says it already.
    guard let begin, let file, end > begin else { return }
    let batch = BatchFormat.batch(
      of: [(RecordType.cleanStop.rawValue, BatchFormat.noSlot, [])], position: end, committed: end,
      epoch: header.epoch, identity: header.identity)
    let offset = UInt64(FileHeader.byteCount) + end - begin
    do throws(FileError) {
      try file.files.write(file.handle, batch + OpenSegment.endMark, at: offset)
      try file.sync()
    } catch {
      // A part of it is a torn end.
      guard error.saysFull else { throw error }
    }
  }

  // MARK: - Directory and disk

  private func watch(_ now: UInt64) throws(FileError) {
    nextWatch = now + settings.watchIntervalNanos
    guard try directory.isThere() else {
      return shared.change { state in
        state.tell(.directoryGone(directory.path))
        state.hasFailed = true
      }
    }
    let free = try directory.files.freeBytes(at: directory.path)
    shared.change { state in
      let room = state.note(free: free, settings)
      state.setFull(.room, room.free < room.needed)
    }
  }

  // MARK: - The next segment

  private func prepare(_ now: UInt64) throws(FileError) {
    do throws(FileError) {
      guard let current = filling else {
        let (name, size) = shared.read { state in
          state.reserve == nil
            ? (LogFileName.reserve, settings.reserveBytes)
            : (.spare, settings.sizes.next(after: state.segmentSize))
        }
        let spare = try SegmentMaker.makeSpare(name, in: directory, size: size)
        filling = (spare, settings.fillsSegments ? 0 : size)
        return
      }
      if current.offset < current.spare.size {
        filling?.offset = try SegmentMaker.fill(
          current.spare, from: current.offset, step: settings.sizes.fillStep)
        return
      }
      try current.spare.file.sync()
      filling = nil
      shared.change { state in
        if current.spare.name == .reserve {
          state.reserve = current.spare
        } else {
          state.spare = current.spare
        }
        if state.spare != nil { state.setFull(.segment, false) }
      }
      shared.wake(.writer)
    } catch {
      guard error.isForWantOfRoom else { throw error }
      filling = nil
      prepareAt = now + settings.retryNanos
      let free = DiskRoom.free(at: directory.path, directory.files)
      shared.change { state in
        _ = state.note(free: free, settings)
        state.setFull(.segment, true)
      }
    }
  }

  // MARK: - What is needless

  private func remove() throws(FileError) {
    if removals.isEmpty { collectRemovals() }
    try removals.perform()
  }

  private func collectRemovals() {
    shared.change { state in
      guard let named = state.namedPass else { return }
      removedFor = named
      let oldPasses = state.passes.filter { $0 < named }
      // A segment ends at the begin of the next one.
      let count = max(0, (state.segments.firstIndex { $0 > named } ?? state.segments.count) - 1)
      removals.append(oldPasses.map(LogFileName.pass))
      removals.append(state.segments[..<count].map(LogFileName.segment))
      state.passes.removeAll { $0 < named }
      state.segments.removeFirst(count)
    }
  }
}
