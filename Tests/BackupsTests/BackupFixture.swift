// A store with random calls from a seed, and backups of it on a simulated disk.

import Log
import LogFiles
import SimulatedDisk
import Store
import TestSeeds
import Testing

@testable import Backups

typealias Bytes = [UInt8]

/// What a store holds, as its clients see it.
typealias Contents = [Int: SlotContents]

final class BackupFixture {
  static let directory = "disk/backup"
  static let databases = 4

  let disk = SimulatedDisk(seed: 1)
  /// Its hash seed is not the one that backups are read with.
  let store = Store(
    databaseCount: BackupFixture.databases, slotCount: BackupFiles.slotCount, hashSeed: (7, 9))
  private var random: SeededRandom
  /// What the store held at the moment of the copy.
  private(set) var moment: Contents = [:]
  private(set) var momentKeys = 0

  init(seed: UInt64 = 1) { random = SeededRandom(seed: seed) }

  // MARK: - Calls

  func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

  private func bytes() -> Bytes {
    switch below(40) {
    case 0: Bytes(repeating: UInt8(below(256)), count: 70_000 + below(3))
    case 1..<10: Bytes(String(below(2_000) - 1_000).utf8)
    default: (0..<below(20)).map { _ in UInt8(below(256)) }
    }
  }

  private func find<R>(_ body: (KeyPlace) throws -> R) rethrows -> R {
    let number = below(60)
    return try Bytes("key-\(number)".utf8).withUnsafeBytes { key in
      try body(
        store.find(key, slot: number % 5 * 3_000, database: number % Self.databases, nowMillis: 1))
    }
  }

  func call() {
    let value = bytes()
    do {
      switch below(20) {
      case 0..<6:
        let expiry = below(3) == 0 ? Expiry(unixMillis: Int64(2 + below(50))) : .never
        find { place in _ = value.withUnsafeBytes { store.set($0, expiry: expiry, at: place) } }
      case 6..<8: find { _ = store.delete(at: $0) }
      case 8: try find { _ = try store.incrBy(3, at: $0) }
      case 9: find { _ = store.setExpiry(Expiry(unixMillis: Int64(2 + below(50))), at: $0) }
      case 10..<16: try push(below(40) == 0 ? 2_000 : 1 + below(3), value)
      case 16..<19: try find { _ = try store.pop(.head, at: $0) }
      default:
        if below(10) == 0 { store.reset(slot: below(5) * 3_000, database: below(Self.databases)) }
      }
    } catch {
      // The key holds another type.
    }
  }

  private func push(_ count: Int, _ value: Bytes) throws {
    try value.withUnsafeBytes { value in
      let values = Array(
        repeating: UnsafeRawBufferPointer(rebasing: value.prefix(100)), count: count)
      try values.withUnsafeBufferPointer { values in
        try find { _ = try store.push(values, .tail, at: $0) }
      }
    }
  }

  // MARK: - Backups

  /// Takes one while calls continue, and publishes it.
  @discardableResult
  func backUp(callsBetween: Int = 3, pieceBytes: Int = 3_000) throws -> BackupManifest {
    let writer = try BackupWriter(Self.directory, over: disk)
    do {
      try copy(to: writer, callsBetween, pieceBytes)
      var manifest = try writer.finish(
        version: "1", cluster: "a cluster", databases: Self.databases, taken: ["one shard": 5])
      let store = try read(manifest)
      manifest.slots = store.contents
      manifest.keys = store.keys
      try writer.publish(manifest)
      return manifest
    } catch {
      writer.discard()
      throw error
    }
  }

  private func copy(to writer: BackupWriter, _ calls: Int, _ pieceBytes: Int) throws {
    let header = FileHeader(
      kind: .pass, lineage: Lineage(high: 1, low: 2), directory: 0, cluster: "a cluster",
      shard: "one shard", seedDigest: 9, life: 3, position: 0, committed: 0)
    let copy = StoreCopy(of: store, header: header)
    store.observer = copy
    while !copy.isDone {
      var piece: Bytes = []
      var looks = 3
      let file = copy.next(
        bytes: pieceBytes,
        hasTime: {
          looks -= 1
          return looks > 0
        }
      ) { piece += $0 }
      if let file { try piece.withUnsafeBytes { try writer.write($0, to: file, of: "one shard") } }
      if copy.isTaken, store.observer != nil {
        store.observer = nil
        moment = store.contents()
        momentKeys = store.totalKeyCount
      }
      for _ in 0..<calls { call() }
      #expect(!copy.hasOverflowed)
    }
  }

  /// Reads all of a backup.
  func read(
    _ manifest: BackupManifest, batchBytes: Int = 200_000, databases: [Int: Int]? = nil
  ) throws -> (contents: Contents, keys: [Int: Int], batches: Int) {
    var (contents, keys, batches): (Contents, [Int: Int], Int) = ([:], [:], 0)
    for shard in manifest.shards {
      let reader = try BackupShardReader(
        shard, of: manifest, in: Self.directory, databases: databases, batchBytes: batchBytes,
        over: disk)
      while let store = try reader.next() {
        batches += 1
        for (slot, held) in store.contents() {
          contents[slot] = (contents[slot] ?? SlotContents()) + held
        }
        for database in 0..<store.databaseCount where store.keyCount(database: database) > 0 {
          keys[database, default: 0] += store.keyCount(database: database)
        }
      }
    }
    return (contents, keys, batches)
  }

  func manifest() throws -> BackupManifest {
    try BackupReader.manifest(in: Self.directory, over: disk)
  }

  func path(_ name: String) -> String { "\(Self.directory)/\(name)" }
}
