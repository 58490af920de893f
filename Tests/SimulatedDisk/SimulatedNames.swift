// The names of the simulated disk, which file each one means, and what a power loss leaves of them.
// Paths are flat: a directory is an entry whose path others begin with. Owned by the disk.

import TestSeeds

struct SimulatedNames {
  enum Entry {
    case file(SimulatedInode)
    case directory(UInt64)
  }

  private enum Change {
    case set(String, Entry)
    case remove(String)
    /// With the file that it was: a journal holds it, so no other file gets the new name.
    case rename(String, Entry, String)
  }

  private(set) var entries: [String: Entry] = [:]
  private var durable: [String: Entry] = [:]
  /// What was done since a sync of the directory concerned, in order.
  private var pending: [(directory: String, change: Change)] = []

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return String(path[..<slash])
  }

  /// The names in a directory, sorted, so that runs can be repeated.
  func names(in directory: String) -> [String] {
    entries.keys.filter { Self.parent(of: $0) == directory }
      .map { String($0.dropFirst(directory.count + 1)) }.sorted()
  }

  mutating func set(_ path: String, _ entry: Entry) {
    change(Self.parent(of: path), .set(path, entry))
  }

  mutating func remove(_ path: String) { change(Self.parent(of: path), .remove(path)) }

  mutating func rename(_ path: String, to new: String) {
    guard let entry = entries[path] else { return }
    change(Self.parent(of: path), .rename(path, entry, new))
  }

  private mutating func change(_ directory: String, _ change: Change) {
    Self.apply(change, to: &entries)
    pending.append((directory, change))
  }

  private static func apply(_ change: Change, to entries: inout [String: Entry]) {
    switch change {
    case .set(let path, let entry): entries[path] = entry
    case .remove(let path): entries[path] = nil
    case .rename(let path, let entry, let new):
      entries[path] = nil
      entries[new] = entry
    }
  }

  mutating func sync(_ directory: String) {
    for one in pending where one.directory == directory { Self.apply(one.change, to: &durable) }
    pending.removeAll { $0.directory == directory }
  }

  mutating func losePower(_ loss: PowerLoss, _ random: inout SeededRandom) {
    // Journals keep the order of changes, but nothing promises it.
    let keepsOrder = random.chance(50)
    let kept = random.below(pending.count + 1)
    for (index, one) in pending.enumerated() {
      let stays =
        switch loss {
        case .nothingUnsynced: false
        case .everything: true
        case .anySubset: keepsOrder ? index < kept : random.chance(50)
        }
      if stays { Self.apply(one.change, to: &durable) }
    }
    pending = []
    // What lies in a directory that is gone is gone.
    let orphans = durable.keys.filter { path in
      let parent = Self.parent(of: path)
      return !parent.isEmpty && durable[parent] == nil
    }
    for path in orphans { durable[path] = nil }
    entries = durable
  }

  var inodes: [SimulatedInode] {
    entries.sorted { $0.key < $1.key }.compactMap { entry in
      if case .file(let inode) = entry.value { inode } else { nil }
    }
  }
}
