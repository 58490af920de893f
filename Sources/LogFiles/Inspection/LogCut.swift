// Cuts a log according to a plan: bytes after the cut are set aside in files that a start ignores,
// and an empty segment begins there, which names the pass that is valid from now on.
//
// The order keeps all data on the disk at all times: the end of the shortened segment is copied and
// durable before it is removed; files are renamed from the last one back, so that at each step the
// rest is a beginning of the log. After a crash in between, a start accepts or refuses the
// directory as before; the same cut can be repeated.
//
// One thread. The directory is locked.

internal import Log

package enum LogCut {
  /// A shard that raises its ceiling does so by this much (`VersionCeiling.step`): a batch that
  /// can't be read any more may have done it.
  private static let ceilingStep: UInt64 = 1 << 32
  /// A store's greatest version is 2^56 - 1.
  private static let ceilingMax: UInt64 = 1 << 55
  private static let copyStep = 1 << 20

  /// - Parameter life: random; of the segment that begins at the cut.
  package static func perform(
    _ plan: CutPlan, in directory: LogDirectory, life: UInt64
  ) throws(LogRefusal) -> [LogFileName] {
    try refusing { () throws(FileError) in
      var aside: [LogFileName] = []
      if let shortened = plan.shortened {
        aside.append(try keep(shortened, plan.position, directory))
      }
      for name in plan.moved {
        let free = try freeName(name, plan.position, directory)
        try directory.files.rename(directory.filePath(name), to: directory.filePath(free))
        aside.append(free)
      }
      try directory.files.syncDirectory(directory.path)
      if let shortened = plan.shortened { try cut(shortened, directory) }
      try begin(plan, life, directory)
      return aside
    }
  }

  private static func freeName(
    _ name: LogFileName, _ position: LogPosition, _ directory: LogDirectory
  ) throws(FileError) -> LogFileName {
    var free = LogFileName.aside(at: position, name, number: 1)
    for number in 2...LogFileName.asideMax {
      if try directory.files.identity(at: directory.filePath(free)) == nil { return free }
      free = .aside(at: position, name, number: number)
    }
    guard try directory.files.identity(at: directory.filePath(free)) == nil else {
      throw FileError(.rename, directory.filePath(free), FileErrorCode.exists)
    }
    return free
  }

  /// Copies the end of a segment into a file with its own header.
  private static func keep(
    _ shortened: CutPlan.Shortened, _ position: LogPosition, _ directory: LogDirectory
  ) throws(FileError) -> LogFileName {
    let files = directory.files
    let name = try freeName(.segment(position), position, directory)
    let from = OpenFile(
      try files.open(directory.filePath(shortened.file.name), for: .reading), files)
    let copy = OpenFile(try files.open(directory.filePath(name), for: .creating), files)
    var header = shortened.file.header
    header.position = position
    try files.write(copy.handle, header.encode(), at: 0)
    var (offset, target) = (shortened.offset, UInt64(FileHeader.byteCount))
    while offset < shortened.end {
      let count = Int(min(UInt64(copyStep), shortened.end - offset))
      let bytes = try files.read(from.handle, count: count, at: offset)
      guard bytes.count == count else {
        throw FileError(.read, from.handle.path, FileErrorCode.inputOutput)
      }
      try files.write(copy.handle, bytes, at: target)
      offset += UInt64(count)
      target += UInt64(count)
    }
    try copy.sync()
    try files.syncDirectory(directory.path)
    return name
  }

  private static func cut(
    _ shortened: CutPlan.Shortened, _ directory: LogDirectory
  ) throws(FileError) {
    let files = directory.files
    let file = OpenFile(
      try files.open(directory.filePath(shortened.file.name), for: .writing), files)
    try files.truncate(file.handle, to: shortened.offset)
    try file.sync()
  }

  /// Begins the segment at the cut, with the ceiling of the versions assigned after it.
  private static func begin(
    _ plan: CutPlan, _ life: UInt64, _ directory: LogDirectory
  ) throws(FileError) {
    var header = plan.header
    header.life = life
    var bytes = header.encode()
    if let version = plan.ceiling {
      let ceiling = min(version, ceilingMax - ceilingStep) + ceilingStep
      bytes += BatchFormat.batch(
        of: [
          (
            RecordType.versionCeiling.rawValue, BatchFormat.noSlot,
            withUnsafeBytes(of: ceiling.littleEndian) { Array($0) }
          )
        ], position: plan.position, committed: header.committed, identity: header.identity)
    }
    let files = directory.files
    try directory.removeIfThere(.spare)
    let file = OpenFile(try files.open(directory.filePath(.spare), for: .creating), files)
    try files.write(file.handle, bytes, at: 0)
    try file.sync()
    try files.rename(
      directory.filePath(.spare), to: directory.filePath(.segment(plan.position)))
    try files.syncDirectory(directory.path)
  }
}
