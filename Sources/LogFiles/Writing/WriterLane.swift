// The lane that writes batches: all batches queued during the last write are written in one write,
// and under `always` with one sync, so that many clients share a sync (group commit). It also
// begins segments: when the last one is full, and to name a complete pass.
//
// Runs on one thread, or in turns of a simulation. Every `perform` makes a few blocking calls.
// If the lane has no work, the loop may take its role and write a batch itself (`writeDirectly`).
// `LaneState.isWriting` is the role; the private state here belongs to the thread that has it.

internal import Log

final class WriterLane {
  private let shared: LaneShared
  private let directory: LogDirectory
  private let settings: LogFileSettings
  /// What the headers of segments have in common.
  private let header: FileHeader
  private let identity: LogIdentity
  private var segment: OpenSegment
  /// Taken from the queue and not written yet, oldest first.
  private var held: [LogBatch] = []
  /// Whether a write that found no space may have left batches after the segment's end.
  private var hasLeftovers = false
  private var pieces: [UnsafeRawBufferPointer] = []

  init(
    _ shared: LaneShared, _ directory: LogDirectory, _ settings: LogFileSettings,
    header: FileHeader, segment: OpenSegment
  ) {
    self.shared = shared
    self.directory = directory
    self.settings = settings
    self.header = header
    identity = header.identity
    self.segment = segment
  }

  /// When there is work: now or earlier, later, or nil for not before it gets more.
  func due(_ now: UInt64) -> UInt64? {
    let retryAt: UInt64? = shared.read { state in
      if state.hasFailed || state.isWriterDone || state.isWriting { return nil }
      return state.hasWriterWork ? state.retryAt : nil
    }
    return retryAt.map { max(now, $0) }
  }

  private struct Job {
    var committed: LogPosition
    var passToName: LogPosition?
    var spare: SpareSegment?
    var reserve: SpareSegment?
  }

  func perform(_ now: UInt64) {
    guard let job = takeTurn() else { return }
    var written: [LogBatch] = []
    var failure: FileError?
    do throws(FileError) {
      if job.passToName != nil {
        if let next = job.spare ?? job.reserve { try begin(next, job) }
      } else if let first = held.first, !segment.hasRoom(for: first.count),
        let next = job.spare
      {
        try begin(next, job)
      }
      if !held.isEmpty { written = try write(job) }
    } catch {
      failure = error
    }
    endTurn(written, failure, now)
  }

  /// Takes the role and the work; nil: no work, or another thread has the role.
  private func takeTurn() -> Job? {
    let (job, isDone): (Job?, Bool) = shared.change { state in
      if state.hasFailed || state.isWriterDone || state.isWriting { return (nil, false) }
      held.append(contentsOf: state.queue)
      state.queue.removeAll(keepingCapacity: true)
      if held.isEmpty, !state.canName, state.isClosing {
        state.isWriterDone = true
        return (nil, true)
      }
      state.isWriting = true
      return (
        Job(
          committed: state.synced.position, passToName: state.passToName, spare: state.spare,
          reserve: state.reserve), false
      )
    }
    if isDone { shared.wake(.background) }
    return job
  }

  /// Returns the role and reports the result, both at once: after that the loop may write itself.
  private func endTurn(_ written: [LogBatch], _ failure: FileError?, _ now: UInt64) {
    let free =
      failure?.isForWantOfRoom == true ? DiskRoom.free(at: directory.path, directory.files) : nil
    shared.change { state in
      if let free { _ = state.note(free: free, settings) }
      state.isWriting = false
      state.isWriterBehind = !held.isEmpty
      if let last = written.last {
        state.tell(.written(last.number, written))
        if settings.policy == .always {
          state.synced = (last.number, last.end)
          state.tell(.synced(last.number))
        }
      }
      if let failure {
        failed(failure, now, &state)
      } else if state.retryAt != 0 {
        state.retryAt = 0
        state.setFull(.write, false)
      }
    }
  }

  private func failed(_ error: FileError, _ now: UInt64, _ state: inout LaneState) {
    guard error.isForWantOfRoom else { return state.fail(error, doing: "written", settings.policy) }
    // Nothing that was accepted is released: it is tried again, at the same place.
    state.retryAt = now + settings.retryNanos
    state.setFull(.write, true)
    if state.isClosing { state.fail(fullAtEnd(error)) }
  }

  private func fullAtEnd(_ error: FileError) -> LogFailure {
    LogFailure(
      file: error.path,
      sentence: "The disk is full, so the last changes could not be written: \(error).")
  }

  // MARK: - Segments

  private func begin(_ next: SpareSegment, _ job: Job) throws(FileError) {
    if hasLeftovers { try cutLeftovers() }
    let last = segment
    var header = header
    header.position = shared.read { $0.written.position }
    header.committed = job.committed
    header.newestPass = job.passToName ?? shared.read { $0.namedPass }
    segment = try SegmentMaker.begin(next, header, in: directory)
    if last.position < segment.position { try releaseRest(of: last) }
    shared.change { state in
      if next.name == .spare { state.spare = nil } else { state.reserve = nil }
      state.segmentRoom = segment.room
      state.segmentSize = max(segment.size, settings.sizes.first)
      // An empty segment of this position was replaced.
      if state.segments.last == segment.position {
        state.dirty.removeLast()
      } else {
        state.segments.append(segment.position)
      }
      // Without batches that weren't synced the older ones are done with.
      if !state.isSyncing { state.dirty.removeAll() }
      state.dirty.append(segment.file)
      if let pass = job.passToName {
        state.passToName = nil
        state.namedPass = pass
        // It may have replaced one of this position.
        if state.passes.last != pass { state.passes.append(pass) }
        state.tell(.passCompleted(pass))
      }
    }
    shared.wake(.background)
  }

  /// Frees the allocated space of a segment that has ended early.
  private func releaseRest(of last: OpenSegment) throws(FileError) {
    guard last.size > last.offset + settings.restBytesMax else { return }
    try directory.files.truncate(last.file.handle, to: last.offset)
  }

  /// Batches of the next segment must not be in this one too. Uses a separate descriptor, because
  /// the system reports a failed sync to each descriptor once, and the other descriptor belongs to
  /// another lane.
  private func cutLeftovers() throws(FileError) {
    let files = directory.files
    let file = OpenFile(
      try files.open(directory.filePath(.segment(segment.position)), for: .writing), files)
    try files.truncate(file.handle, to: segment.offset)
    try file.sync()
    hasLeftovers = false
  }

  // MARK: - Batches

  /// Writes the batches that fit into the segment, and the first one anyway: a segment that is full
  /// while the next one isn't ready grows.
  /// - Returns: the batches.
  private func write(_ job: Job) throws(FileError) -> [LogBatch] {
    var count = 0
    var bytes = 0
    for batch in held {
      let total = bytes + batch.count
      if count > 0, total > settings.gatherBytesMax || !segment.hasRoom(for: total) { break }
      batch.seal(committed: job.committed, lineage: identity.lineage, life: identity.life)
      pieces.append(batch.bytes)
      count += 1
      bytes = total
    }
    try writePieces(byteCount: bytes)
    let batches = Array(held[..<count])
    held.removeFirst(count)
    if let last = batches.last { wrote(upTo: last) }
    if settings.policy == .always { try syncSegment() }
    return batches
  }

  private func syncSegment() throws(FileError) {
    let begunNanos = settings.nanos?()
    try segment.file.sync()
    guard let begunNanos, let endNanos = settings.nanos?() else { return }
    shared.change { $0.syncs.add(nanos: endNanos &- begunNanos) }
  }

  /// Writes `pieces` after the segment's last batch.
  private func writePieces(byteCount: Int) throws(FileError) {
    defer { pieces.removeAll(keepingCapacity: true) }
    hasLeftovers = true
    let written = OpenSegment.endMark.withUnsafeBytes { mark in
      pieces.append(mark)
      return Result { () throws(FileError) in
        try segment.file.write(pieces, at: segment.offset)
      }
    }
    try written.get()
    hasLeftovers = false
    segment.offset += UInt64(byteCount)
  }

  private func wrote(upTo last: LogBatch) {
    let wantsSync = shared.change { state in
      let wasSyncing = state.isSyncing
      state.written = (last.number, last.end)
      state.segmentRoom = segment.room
      return settings.policy == .everysec && !wasSyncing || state.isSyncWanted
    }
    if wantsSync { shared.wake(.background) }
  }

  // MARK: - For the loop

  /// Writes a batch on the thread of the caller, which is the writer for one write.
  ///
  /// A segment that is too short for it grows. Beginning the next one would need a sync, and the
  /// caller holds all output until the batch is written.
  ///
  /// - Returns: whether it was written, and may be reused. If not, it was queued, as by
  ///   `LogOutput.write`: the lane has work, or there is no space on the disk.
  func writeDirectly(_ batch: LogBatch) -> Bool {
    let committed: LogPosition? = shared.change { state in
      guard !state.hasFailed, !state.isWriterDone, !state.isWriting, !state.hasWriterWork else {
        state.queue.append(batch)
        return nil
      }
      state.isWriting = true
      return state.synced.position
    }
    guard let committed else {
      shared.wake(.writer)
      return false
    }
    batch.seal(committed: committed, lineage: identity.lineage, life: identity.life)
    pieces.append(batch.bytes)
    do throws(FileError) {
      try writePieces(byteCount: batch.count)
      wrote(upTo: batch)
    } catch {
      // The lane finds the disk full again, and waits for space.
      if error.isForWantOfRoom {
        held.append(batch)
      } else {
        shared.fail(error, doing: "written", settings.policy)
      }
    }
    let (isWritten, hasWork) = shared.change { state in
      state.isWriting = false
      state.isWriterBehind = !held.isEmpty
      return (held.isEmpty && !state.hasFailed, state.hasWriterWork)
    }
    if hasWork { shared.wake(.writer) }
    return isWritten
  }
}
