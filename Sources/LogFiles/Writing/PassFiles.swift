// The files of passes, as the background lane writes them: `pass-....part` until it is complete,
// then `pass-...`. Complete means: its end is synced, and the log is synced up to its last asOf, so
// no image in it is newer than the durable log. It is valid once the header of a segment names it,
// which the writer lane does; only then may older files be removed.
//
// A step writes a part of a chunk, so that no step keeps the lane or a core for long.

internal import Log

struct PassFiles {
  private let shared: LaneShared
  private let directory: LogDirectory
  private let settings: LogFileSettings
  private let header: FileHeader
  private var state = State.idle

  private struct Pass {
    let begin: LogPosition
    let file: OpenFile
    /// Of the next batch.
    var position: LogPosition
    var offset = UInt64(FileHeader.byteCount)
    var unsynced = 0
    /// The chunk that is being written, and what is left of its current batch.
    var chunk: (any PassBytes)?
    var pieces: ArraySlice<UnsafeRawBufferPointer> = []
  }

  private enum State {
    case idle
    /// It has no file yet.
    case beginning(LogPosition)
    case writing(Pass)
    /// The file is synced; the log isn't as far yet. If nothing was written since the last pass,
    /// that one has the same name and is replaced.
    case ending(Pass, lastAsOf: LogPosition, replaced: CacheDrop?)
  }

  init(
    _ shared: LaneShared, _ directory: LogDirectory, _ settings: LogFileSettings,
    header: FileHeader
  ) {
    self.shared = shared
    self.directory = directory
    self.settings = settings
    self.header = header
  }

  func hasWork(_ lanes: LaneState) -> Bool {
    if !lanes.passWork.isEmpty || chunk != nil { return true }
    guard case .ending(_, let lastAsOf, _) = state else { return false }
    return lanes.synced.position >= lastAsOf
  }

  /// The chunk that is being written.
  private var chunk: (any PassBytes)? {
    if case .writing(let pass) = state { pass.chunk } else { nil }
  }

  mutating func perform() throws(FileError) {
    do throws(FileError) {
      if let chunk { return try writePart(of: chunk) }
      let work = shared.change { lanes in
        lanes.passWork.isEmpty ? nil : lanes.passWork.removeFirst()
      }
      switch work {
      case nil: try complete()
      case .begin(let begin): try self.begin(at: begin)
      case .chunk(let chunk): try begin(chunk)
      case .end(let lastAsOf): try end(lastAsOf)
      case .abandon: try abandon()
      }
    } catch {
      // A sync too: only the pass is lost with it.
      guard error.saysFull else { throw error }
      try abandon()
      shared.change { $0.setFull(.room, true) }
    }
  }

  private mutating func begin(at begin: LogPosition) throws(FileError) {
    state = .beginning(begin)
    let name = LogFileName.unfinishedPass(begin)
    try directory.removeIfThere(name)
    let files = directory.files
    let file = OpenFile(
      try files.open(directory.filePath(name), for: .creating), files)
    var header = header
    header.kind = .pass
    header.position = begin
    state = .writing(Pass(begin: begin, file: file, position: header.firstPosition))
    (header.committed, header.newestPass) = shared.read { ($0.synced.position, $0.namedPass) }
    try files.write(file.handle, header.encode(), at: 0)
  }

  private mutating func begin(_ chunk: any PassBytes) throws(FileError) {
    // It is returned to the loop even if it isn't written: the pass was abandoned.
    guard case .writing(var pass) = state else { return giveBack(chunk) }
    pass.chunk = chunk
    state = .writing(pass)
    try writePart(of: chunk)
  }

  private func giveBack(_ chunk: any PassBytes) {
    shared.change { lanes in
      lanes.passBytesQueued -= chunk.byteCount
      lanes.tell(.passWritten(chunk))
    }
  }

  private mutating func writePart(of chunk: any PassBytes) throws(FileError) {
    guard case .writing(var pass) = state else { return }
    if pass.pieces.isEmpty {
      let committed = shared.read { $0.synced.position }
      guard
        let batch = chunk.nextBatch(
          at: pass.position, committed: committed, epoch: header.epoch, identity: header.identity)
      else {
        pass.chunk = nil
        state = .writing(pass)
        return giveBack(chunk)
      }
      pass.pieces = batch[...]
    }
    let part = pass.pieces.removeFirst(bytes: settings.passStepBytes)
    try pass.file.write(part, at: pass.offset)
    let count = part.reduce(0) { $0 + $1.count }
    pass.file.beginWriteback(from: pass.offset, count: count)
    pass.position += UInt64(count)
    pass.offset += UInt64(count)
    pass.unsynced += count
    if pass.unsynced >= settings.passSyncBytes {
      try pass.file.sync()
      pass.unsynced = 0
    }
    state = .writing(pass)
  }

  private mutating func end(_ lastAsOf: LogPosition) throws(FileError) {
    guard case .writing(let pass) = state else { return }
    try pass.file.sync()
    let replaced = CacheDrop(of: .pass(pass.begin), in: directory)
    state = .ending(pass, lastAsOf: lastAsOf, replaced: replaced)
    shared.change { $0.syncPosition = lastAsOf }
  }

  private mutating func complete() throws(FileError) {
    guard case .ending(let pass, let lastAsOf, var replaced) = state,
      shared.read({ $0.synced.position >= lastAsOf })
    else { return }
    if replaced?.perform() == true {
      state = .ending(pass, lastAsOf: lastAsOf, replaced: replaced)
      return
    }
    try directory.files.rename(
      directory.filePath(.unfinishedPass(pass.begin)), to: directory.filePath(.pass(pass.begin)))
    try directory.files.syncDirectory(directory.path)
    state = .idle
    shared.change { $0.passToName = pass.begin }
    shared.wake(.writer)
  }

  private mutating func abandon() throws(FileError) {
    let begin: LogPosition
    switch state {
    case .idle: return
    case .beginning(let position): begin = position
    case .writing(let pass), .ending(let pass, _, _): begin = pass.begin
    }
    if let chunk { giveBack(chunk) }
    state = .idle
    try directory.removeIfThere(.unfinishedPass(begin))
    shared.change { $0.tell(.passAbandoned(begin)) }
  }

  /// Returns queued chunks, and abandons an incomplete pass.
  mutating func close() throws(FileError) {
    try abandon()
    shared.change { lanes in
      for case .chunk(let chunk) in lanes.passWork { lanes.tell(.passWritten(chunk)) }
      lanes.passWork = []
      lanes.passBytesQueued = 0
    }
  }
}

extension ArraySlice<UnsafeRawBufferPointer> {
  /// Takes about so many bytes from the front: at least one, if there are any.
  fileprivate mutating func removeFirst(bytes: Int) -> [UnsafeRawBufferPointer] {
    var taken: [UnsafeRawBufferPointer] = []
    var left = bytes
    while let first, left > 0 {
      let count = Swift.min(first.count, left)
      taken.append(UnsafeRawBufferPointer(rebasing: first[..<count]))
      left -= count
      if count < first.count {
        self[startIndex] = UnsafeRawBufferPointer(rebasing: first[count...])
      } else {
        removeFirst()
      }
    }
    return taken
  }
}
