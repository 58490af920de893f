// Reads a backup: its manifest, and shard by shard the keys that it holds, in batches of a bounded
// size. Every byte is held against the manifest's checksums while it is read; what was read last is
// only known to be right when `next` has returned nil, so who changes anything by it reads it to
// its end before.
//
// One thread; its calls block.

internal import Log
package import LogFiles
package import Store

package enum BackupReader {
  package static func manifest(
    in directory: String, over files: any FileSystem
  ) throws(BackupFault) -> BackupManifest {
    let path = BackupFiles.path(directory, BackupManifest.name)
    let bytes: [UInt8]?
    do throws(FileError) {
      bytes = try contents(path, files)
    } catch {
      throw BackupFault(path, error.isMissing ? .noManifest : .failed(error))
    }
    guard let bytes else { throw BackupFault(path, .damaged) }
    do throws(BackupFault.Reason) {
      return try BackupManifest(decoding: bytes)
    } catch {
      throw BackupFault(path, error)
    }
  }

  /// - Returns: nil if it is longer than any manifest.
  private static func contents(
    _ path: String, _ files: any FileSystem
  ) throws(FileError) -> [UInt8]? {
    let handle = try files.open(path, for: .reading)
    defer { files.close(handle) }
    let size = try files.size(handle)
    guard size <= UInt64(BackupManifest.bytesMax) else { return nil }
    return try files.read(handle, count: Int(size), at: 0)
  }
}

/// The keys of one shard.
package final class BackupShardReader {
  /// A batch is handed out when its store takes about so much.
  package static let batchBytes = 32 << 20
  /// Work between two looks at the size of the batch.
  private static let workPerLook = 4_096

  private let databases: Int
  private let places: [Int: Int]?
  private let batchBytes: Int
  private let pass: BackupFileReader
  private let log: BackupFileReader
  private let passSize: UInt64
  private var replay: BackupReplay?
  private var merge: LogMerge?
  private var isMerged = false
  private var hasGivenChanged = false

  /// - Parameter places: where the keys of a database go, one for one; those of others are left
  ///   out. nil: all stay.
  package init(
    _ shard: BackupManifest.Shard, of manifest: BackupManifest, in directory: String,
    databases places: [Int: Int]? = nil,
    batchBytes: Int = BackupShardReader.batchBytes, over files: any FileSystem
  ) throws(BackupFault) {
    databases = max(manifest.databases, (places?.values.max() ?? 0) + 1)
    self.places = places
    self.batchBytes = batchBytes
    passSize = shard.pass.size
    pass = try BackupFileReader(shard.pass, .pass, in: directory, files)
    log = try BackupFileReader(shard.log, .log, in: directory, files)
  }

  /// Bytes read so far; the log is read twice.
  package var bytesRead: UInt64 { pass.bytesRead + log.bytesRead }

  /// The next keys; nil: that was all, and every byte was what it should be.
  package func next() throws(BackupFault) -> Store? {
    if replay == nil { replay = try begin() }
    guard let replay else { return nil }
    while !isMerged {
      try step()
      if replay.mayTake, replay.batch.usedBytes >= batchBytes { return replay.takeBatch() }
    }
    if replay.batch.totalKeyCount > 0 { return replay.takeBatch() }
    if hasGivenChanged { return nil }
    hasGivenChanged = true
    return replay.changed
  }

  /// Learns which keys the log speaks of.
  private func begin() throws(BackupFault) -> BackupReplay {
    var keys = ChangedKeys()
    let hashing = BackupReplay.makeStore(1)
    let effects = EffectReader()
    while let batch = try log.next() {
      for record in batch.records where record.slot != BatchFormat.noSlot {
        do {
          try effects.forEach(in: record.payload, slot: Int(record.slot)) { effect in
            keys.add(effect, hash: hashing.hash(of: effect.key))
          }
        } catch {
          throw BackupFault(log.path, .unreadable("\(error)"))
        }
      }
    }
    try log.rewind()
    let replay = BackupReplay(databases: databases, places: places, keys)
    merge = LogMerge(into: replay, passBegin: 0, passBytes: passSize)
    return replay
  }

  private func step() throws(BackupFault) {
    guard let merge else { return }
    let wish: LogMerge.Wish
    do throws(ReplayFault) {
      wish = try merge.advance(work: Self.workPerLook)
    } catch {
      throw BackupFault(pass.path, .unreadable("\(error)"))
    }
    switch wish {
    case .turn: break
    case .pass:
      guard let batch = try pass.next() else {
        throw BackupFault(pass.path, .unreadable("it ends early"))
      }
      merge.givePass(batch)
    case .log:
      guard let batch = try log.next() else { return merge.logEnded() }
      do throws(ReplayFault) {
        try merge.giveLog(batch)
      } catch {
        throw BackupFault(log.path, .unreadable("\(error)"))
      }
    case .nothing:
      guard merge.hasPassEnded else {
        throw BackupFault(pass.path, .unreadable("its end is missing"))
      }
      // Whatever is behind the pass's end counts for the checksum as well.
      guard try pass.next() == nil else {
        throw BackupFault(pass.path, .unreadable("there are bytes after its end"))
      }
      isMerged = true
    }
  }
}

extension Store {
  /// What its slots hold, as a cluster would say it of the same keys.
  ///
  /// - Parameter nowMillis: keys that have expired by then are left out; nil: none is.
  package func contents(nowMillis: Int64? = nil) -> [Int: SlotContents] {
    var contents: [Int: SlotContents] = [:]
    var walk = DigestWalk(ofContents: true, nowMillis: nowMillis)
    while !advance(
      &walk, work: 1 << 24,
      { slot in
        contents[slot.slot] = SlotContents(
          keys: slot.keys, expiringKeys: slot.expiringKeys, digest: slot.value ?? 0,
          lastingDigest: slot.lasting ?? 0)
      })
    {}
    return contents
  }
}
