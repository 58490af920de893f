// A disk in memory that forgets what wasn't synced. It keeps, for every sector and name, each
// version since the last sync; a power loss chooses among them from a seed. Calls can be made to
// fail, the room is bounded if a test says so, and bits can be flipped.
//
// Any thread, behind a lock. Runs in one thread repeat exactly for the same seed and calls.

import LogFiles
import Synchronization
import TestSeeds

package final class SimulatedDisk: FileSystem {
  struct State {
    var names = SimulatedNames()
    var open: [Int32: SimulatedInode] = [:]
    var nextDescriptor: Int32 = 3
    var nextInode: UInt64 = 1
    var random: SeededRandom
    var calls = 0
    var faults: [Int: DiskFault] = [:]
    var isOff = false
    var capacity = Int.max
    var trace: [String]?

    var used: Int { names.inodes.reduce(0) { $0 + $1.allocated } }
  }

  // `Mutex` needs its value to be sendable or in no other hands, and the inodes are in the state
  // only.
  private struct Guarded: @unchecked Sendable { var state: State }
  private let guarded: Mutex<Guarded>

  package init(seed: UInt64, capacity: Int = .max) {
    var state = State(random: SeededRandom(seed: seed))
    state.capacity = capacity
    guarded = Mutex(Guarded(state: state))
  }

  func withState<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    let result = guarded.withLock { guarded in
      UncheckedResult(result: Result { () throws(E) in try body(&guarded.state) })
    }
    return try result.result.get()
  }

  /// Counts a call and meets the fault that a test has set for it.
  /// - Parameter partly: does a part of the call, for one that fails halfway.
  private func call<R>(
    _ name: FileCall, _ path: String,
    partly: (inout State) -> Void = { _ in },
    _ body: (inout State) throws(FileError) -> R
  ) throws(FileError) -> R {
    try withState { state throws(FileError) in
      if state.isOff { throw FileError(name, path, FileErrorCode.noDevice) }
      state.calls += 1
      state.trace?.append("\(state.calls) \(name) \(path)")
      switch state.faults.removeValue(forKey: state.calls) {
      case nil: return try body(&state)
      case .error(let code):
        partly(&state)
        throw FileError(name, path, code)
      case .powerLoss:
        // The call was on its way: it may be done, in part, or not at all.
        switch state.random.below(3) {
        case 0: partly(&state)
        case 1: _ = try? body(&state)
        default: break
        }
        state.isOff = true
        throw FileError(name, path, FileErrorCode.noDevice)
      }
    }
  }

  private static func inode(_ file: FileHandle, _ name: FileCall, _ state: State)
    throws(FileError) -> SimulatedInode
  {
    guard let inode = state.open[file.descriptor] else {
      throw FileError(name, file.path, FileErrorCode.badHandle)
    }
    return inode
  }

  package func open(_ path: String, for opening: FileOpening) throws(FileError) -> FileHandle {
    try call(.open, path) { state throws(FileError) in
      let inode: SimulatedInode
      switch (state.names.entries[path], opening) {
      case (.file(let there), .reading), (.file(let there), .writing),
        (.file(let there), .creatingIfMissing):
        inode = there
      case (.directory, _):
        throw FileError(.open, path, FileErrorCode.isDirectory)
      case (.file, .creating): throw FileError(.open, path, FileErrorCode.exists)
      case (nil, .reading), (nil, .writing): throw FileError(.open, path, FileErrorCode.noEntry)
      case (nil, .creating), (nil, .creatingIfMissing):
        try Self.checkParent(of: path, .open, state)
        inode = SimulatedInode(number: state.nextInode)
        state.nextInode += 1
        state.names.set(path, .file(inode))
      }
      let descriptor = state.nextDescriptor
      state.nextDescriptor += 1
      state.open[descriptor] = inode
      return FileHandle(descriptor: descriptor, path: path)
    }
  }

  private static func checkParent(of path: String, _ name: FileCall, _ state: State)
    throws(FileError)
  {
    let parent = SimulatedNames.parent(of: path)
    if parent.isEmpty { return }
    switch state.names.entries[parent] {
    case .directory: return
    case .file: throw FileError(name, path, FileErrorCode.noDirectory)
    case nil: throw FileError(name, path, FileErrorCode.noEntry)
    }
  }

  package func close(_ file: FileHandle) {
    withState { state in
      let inode = state.open.removeValue(forKey: file.descriptor)
      if inode?.lockedBy == file.descriptor { inode?.lockedBy = nil }
    }
  }

  package func read(
    _ file: FileHandle, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(FileError) -> Int {
    try call(.read, file.path) { state throws(FileError) in
      let bytes = try Self.inode(file, .read, state).bytes
      let start = Int(min(offset, UInt64(bytes.count)))
      let end = min(start + buffer.count, bytes.count)
      buffer.copyBytes(from: bytes[start..<end])
      return end - start
    }
  }

  package func write(
    _ file: FileHandle, _ pieces: [UnsafeRawBufferPointer], at offset: UInt64
  ) throws(FileError) {
    try call(
      .write, file.path,
      partly: { state in
        // The first pieces, and a part of the one behind them.
        guard let inode = state.open[file.descriptor] else { return }
        var left = state.random.below(pieces.reduce(0) { $0 + $1.count } + 1)
        var at = Int(offset)
        for piece in pieces where left > 0 {
          let part = UnsafeRawBufferPointer(rebasing: piece.prefix(left))
          inode.write(part, at: at)
          at += part.count
          left -= part.count
        }
      }
    ) { state throws(FileError) in
      let inode = try Self.inode(file, .write, state)
      var at = Int(offset)
      for piece in pieces {
        try Self.checkRoom(for: inode, size: at + piece.count, .write, file.path, state)
        inode.write(piece, at: at)
        at += piece.count
      }
    }
  }

  private static func checkRoom(
    for inode: SimulatedInode, size: Int, _ name: FileCall, _ path: String, _ state: State
  ) throws(FileError) {
    guard state.capacity < .max else { return }
    if state.used + inode.growth(to: size) > state.capacity {
      throw FileError(name, path, FileErrorCode.noSpace)
    }
  }

  package func sync(_ file: FileHandle) throws(FileError) {
    try call(
      .sync, file.path,
      partly: { state in state.open[file.descriptor]?.failSync(&state.random) }
    ) { state throws(FileError) in
      try Self.inode(file, .sync, state).sync()
    }
  }

  /// Only traced: it changes nothing that can be read or lost.
  package func dropCache(_ file: FileHandle, from offset: UInt64, count: Int) {
    withState { $0.trace?.append("drop \(file.path) \(offset) \(count)") }
  }

  package func syncDirectory(_ path: String) throws(FileError) {
    try call(.syncDirectory, path) { state throws(FileError) in
      guard case .directory = state.names.entries[path] else {
        throw FileError(.syncDirectory, path, FileErrorCode.noEntry)
      }
      state.names.sync(path)
    }
  }

  package func rename(_ path: String, to newPath: String) throws(FileError) {
    try call(.rename, path) { state throws(FileError) in
      guard state.names.entries[path] != nil else {
        throw FileError(.rename, path, FileErrorCode.noEntry)
      }
      state.names.rename(path, to: newPath)
    }
  }

  package func remove(_ path: String) throws(FileError) {
    try call(.remove, path) { state throws(FileError) in
      guard case .file = state.names.entries[path] else {
        throw FileError(.remove, path, FileErrorCode.noEntry)
      }
      state.names.remove(path)
    }
  }

  package func createDirectory(_ path: String) throws(FileError) {
    try call(.createDirectory, path) { state throws(FileError) in
      guard state.names.entries[path] == nil else {
        throw FileError(.createDirectory, path, FileErrorCode.exists)
      }
      try Self.checkParent(of: path, .createDirectory, state)
      state.names.set(path, .directory(state.nextInode))
      state.nextInode += 1
    }
  }

  package func list(_ directory: String) throws(FileError) -> [String] {
    try call(.list, directory) { state throws(FileError) in
      switch state.names.entries[directory] {
      case .directory: return state.names.names(in: directory)
      case .file: throw FileError(.list, directory, FileErrorCode.noDirectory)
      case nil: throw FileError(.list, directory, FileErrorCode.noEntry)
      }
    }
  }

  package func truncate(_ file: FileHandle, to size: UInt64) throws(FileError) {
    try call(.truncate, file.path) { state throws(FileError) in
      try Self.inode(file, .truncate, state).resize(to: Int(size))
    }
  }

  package func allocate(_ file: FileHandle, size: UInt64) throws(FileError) {
    try call(.allocate, file.path) { state throws(FileError) in
      let inode = try Self.inode(file, .allocate, state)
      guard inode.bytes.count < Int(size) else { return }
      try Self.checkRoom(for: inode, size: Int(size), .allocate, file.path, state)
      inode.resize(to: Int(size))
    }
  }

  package func size(_ file: FileHandle) throws(FileError) -> UInt64 {
    try call(.status, file.path) { state throws(FileError) in
      UInt64(try Self.inode(file, .status, state).bytes.count)
    }
  }

  package func lock(_ file: FileHandle) throws(FileError) -> Bool {
    try call(.lock, file.path) { state throws(FileError) in
      let inode = try Self.inode(file, .lock, state)
      if let holder = inode.lockedBy { return holder == file.descriptor }
      inode.lockedBy = file.descriptor
      return true
    }
  }

  package func identity(of file: FileHandle) throws(FileError) -> FileIdentity {
    try call(.status, file.path) { state throws(FileError) in
      FileIdentity(device: 1, number: try Self.inode(file, .status, state).number)
    }
  }

  package func identity(at path: String) throws(FileError) -> FileIdentity? {
    try call(.status, path) { state throws(FileError) in
      switch state.names.entries[path] {
      case .file(let inode): FileIdentity(device: 1, number: inode.number)
      case .directory(let number): FileIdentity(device: 1, number: number)
      case nil: nil
      }
    }
  }

  package func isDirectory(_ path: String) throws(FileError) -> Bool {
    try call(.status, path) { state throws(FileError) in
      switch state.names.entries[path] {
      case .file: return false
      case .directory: return true
      case nil: throw FileError(.status, path, FileErrorCode.noEntry)
      }
    }
  }

  package func freeBytes(at path: String) throws(FileError) -> UInt64 {
    try call(.freeBytes, path) { state throws(FileError) in
      state.capacity == .max ? UInt64(Int.max) : UInt64(max(0, state.capacity - state.used))
    }
  }
}

/// Carries a result out of the lock.
private struct UncheckedResult<R, E: Error>: @unchecked Sendable {
  let result: Result<R, E>
}
