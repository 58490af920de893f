// One file of the simulated disk: what programs see, and what a power loss may leave of it. Owned
// by the disk, behind its lock.

import TestSeeds

/// The unit that a disk writes whole or not at all.
let sectorBytes = 512

final class SimulatedInode {
  let number: UInt64
  /// What reads see.
  private(set) var bytes: [UInt8] = []
  /// Bytes for which the disk has room set aside.
  private(set) var allocated = 0
  /// What is on the disk for certain.
  private var durable: [UInt8] = []
  /// The contents that each sector has had since the last sync, oldest first.
  private var pending: [Int: [[UInt8]]] = [:]
  /// The lengths since then.
  private var pendingSizes: [Int] = []
  var lockedBy: Int32?

  init(number: UInt64) { self.number = number }

  var hasUnsynced: Bool { !pending.isEmpty || !pendingSizes.isEmpty }

  /// How much more room a file of this length needs.
  func growth(to size: Int) -> Int { max(0, roundedUp(size) - allocated) }

  private func roundedUp(_ size: Int) -> Int {
    (size + sectorBytes - 1) / sectorBytes * sectorBytes
  }

  func write(_ new: UnsafeRawBufferPointer, at offset: Int) {
    guard !new.isEmpty else { return }
    resize(to: max(bytes.count, offset + new.count))
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
    noteSectors(from: offset, to: offset + new.count)
  }

  func resize(to size: Int) {
    guard size != bytes.count else { return }
    let old = bytes.count
    if size < old {
      bytes.removeLast(old - size)
      allocated = min(allocated, roundedUp(size))
    } else {
      bytes += [UInt8](repeating: 0, count: size - old)
      allocated = max(allocated, roundedUp(size))
    }
    pendingSizes.append(size)
    // Growing makes zeros of what an older, longer version had there.
    noteSectors(from: min(old, size), to: max(old, size))
  }

  private func noteSectors(from start: Int, to end: Int) {
    for sector in start / sectorBytes..<(end + sectorBytes - 1) / sectorBytes {
      pending[sector, default: []].append(sectorContent(sector, of: bytes))
    }
  }

  private func sectorContent(_ sector: Int, of bytes: [UInt8]) -> [UInt8] {
    let start = min(sector * sectorBytes, bytes.count)
    let content = bytes[start..<min(start + sectorBytes, bytes.count)]
    if content.count == sectorBytes { return Array(content) }
    return Array(content) + [UInt8](repeating: 0, count: sectorBytes - content.count)
  }

  /// Writes out what is marked as changed. What a failed sync has dropped isn't any more, so it
  /// stays lost.
  func sync() {
    if !pendingSizes.isEmpty { resize(&durable, to: bytes.count) }
    for sector in pending.keys {
      let start = sector * sectorBytes
      let end = min(start + sectorBytes, bytes.count)
      guard start < end else { continue }
      // A failed sync may have lost the growth that these bytes lie in.
      if durable.count < end { resize(&durable, to: end) }
      durable.replaceSubrange(start..<end, with: bytes[start..<end])
    }
    pending = [:]
    pendingSizes = []
  }

  /// A sync that failed: some sectors went out, the others never will, and reads don't show it.
  func failSync(_ random: inout SeededRandom) {
    durable = survivor(.anySubset, &random)
    pending = [:]
    pendingSizes = []
  }

  /// Leaves what the disk has after the power went.
  func losePower(_ loss: PowerLoss, _ random: inout SeededRandom) {
    bytes = survivor(loss, &random)
    durable = bytes
    allocated = roundedUp(bytes.count)
    pending = [:]
    pendingSizes = []
    lockedBy = nil
  }

  private func survivor(_ loss: PowerLoss, _ random: inout SeededRandom) -> [UInt8] {
    var left = durable
    switch loss {
    case .nothingUnsynced: return durable
    case .everything: return bytes
    case .anySubset:
      let size = pick(of: pendingSizes, or: durable.count, &random)
      resize(&left, to: size)
      for sector in pending.keys.sorted() {
        let start = sector * sectorBytes
        guard start < size, let versions = pending[sector] else { continue }
        let old = sectorContent(sector, of: durable)
        let content = pick(of: versions, or: old, &random)
        left.replaceSubrange(
          start..<min(start + sectorBytes, size), with: content.prefix(size - start))
      }
      return left
    }
  }

  private func pick<T>(of new: [T], or old: T, _ random: inout SeededRandom) -> T {
    let index = random.below(new.count + 1)
    return index == new.count ? old : new[index]
  }

  private func resize(_ bytes: inout [UInt8], to size: Int) {
    if size < bytes.count {
      bytes.removeLast(bytes.count - size)
    } else {
      bytes += [UInt8](repeating: 0, count: size - bytes.count)
    }
  }

  /// Changes what is on the disk, as a fault of it would.
  func flip(bit: Int) {
    guard bit / 8 < bytes.count else { return }
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    if bit / 8 < durable.count { durable[bit / 8] ^= 1 << UInt8(bit % 8) }
  }

  /// Cuts the file, or makes it longer with zeros, as if it had always been so.
  func replace(with content: [UInt8]) {
    bytes = content
    durable = content
    allocated = roundedUp(content.count)
    pending = [:]
    pendingSizes = []
  }
}
