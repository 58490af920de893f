// A test's side of the simulated disk: faults, power losses, ends of processes, and a look at what
// is there without counting as a call.

import LogFiles

extension SimulatedDisk {
  /// A disk with an empty directory that no power loss takes.
  package static func withDirectory(
    _ path: String, seed: UInt64, capacity: Int = .max
  ) throws(FileError) -> SimulatedDisk {
    let disk = SimulatedDisk(seed: seed, capacity: capacity)
    try disk.createDirectory(path)
    disk.withState { $0.names.sync(SimulatedNames.parent(of: path)) }
    return disk
  }

  /// Calls so far. A fault is set for one of them by its number, from 1 on.
  package var calls: Int { withState { $0.calls } }

  /// True from a power loss until `restart`.
  package var isOff: Bool { withState { $0.isOff } }

  package func setFault(_ fault: DiskFault, atCall number: Int) {
    withState { $0.faults[number] = fault }
  }

  /// Whether a fault has not been met yet.
  package var hasFaults: Bool { withState { !$0.faults.isEmpty } }

  package func clearFaults() { withState { $0.faults = [:] } }

  /// Bytes that files may take; what is there already stays.
  package var capacity: Int {
    get { withState { $0.capacity } }
    set { withState { $0.capacity = newValue } }
  }

  package var usedBytes: Int { withState { $0.used } }

  /// Turns the power off, if it isn't, and on again.
  /// - Parameter keepingFaults: whether faults of later calls stay.
  package func restart(after loss: PowerLoss = .anySubset, keepingFaults: Bool = false) {
    withState { state in
      state.names.losePower(loss, &state.random)
      for inode in state.names.inodes { inode.losePower(loss, &state.random) }
      state.open = [:]
      state.isOff = false
      if !keepingFaults { state.faults = [:] }
    }
  }

  /// Ends the process: its files are closed, and the system keeps what it was given.
  package func endProcess() {
    withState { state in
      for inode in state.open.values { inode.lockedBy = nil }
      state.open = [:]
    }
  }

  /// Keeps a line for each call from here on, for a failure's message.
  package func startTrace() { withState { $0.trace = [] } }

  package var trace: [String] { withState { $0.trace ?? [] } }

  /// What a read would see; nil if there is no such file.
  package func contents(of path: String) -> [UInt8]? {
    withState { state in
      if case .file(let inode) = state.names.entries[path] { inode.bytes } else { nil }
    }
  }

  package func names(in directory: String) -> [String] {
    withState { $0.names.names(in: directory) }
  }

  /// Changes a file behind the back of its users, on the disk as well.
  package func setContents(of path: String, to bytes: [UInt8]) {
    withState { state in
      if case .file(let inode) = state.names.entries[path] { inode.replace(with: bytes) }
    }
  }

  package func flip(bit: Int, of path: String) {
    withState { state in
      if case .file(let inode) = state.names.entries[path] { inode.flip(bit: bit) }
    }
  }

  /// True if a power loss could take something of the file.
  package func hasUnsynced(_ path: String) -> Bool {
    withState { state in
      if case .file(let inode) = state.names.entries[path] { inode.hasUnsynced } else { false }
    }
  }
}
