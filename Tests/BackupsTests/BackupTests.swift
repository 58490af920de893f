// What is read of a backup is what the shard held at its moment; what was damaged is refused; and a
// directory with a manifest is whole, whenever the power goes.

import Log
import LogFiles
import SimulatedDisk
import Store
import Testing

@testable import Backups

@Suite struct BackupTests {
  @Test func whatIsReadIsWhatTheShardHeldAtTheMoment() throws {
    for seed in UInt64(1)...12 {
      let fixture = BackupFixture(seed: seed)
      for _ in 0..<400 { fixture.call() }
      try fixture.backUp(callsBetween: Int(seed % 4))
      let manifest = try fixture.manifest()
      let held = manifest.slots.filter { $0.value != SlotContents() }
      #expect(held == fixture.moment, "seed \(seed)")
      #expect(manifest.totalKeys == fixture.momentKeys)
      #expect(manifest.shards[0].id == "one shard" && manifest.shards[0].seedDigest == 9)
      #expect(manifest.shards[0].takenUnixMillis == 5 && manifest.cluster == "a cluster")
      #expect(try fixture.read(manifest).contents == manifest.slots)
    }
  }

  @Test func keysComeInBatchesOfABoundedSize() throws {
    let fixture = BackupFixture()
    for number in 0..<3_000 {
      Bytes("many-\(number)".utf8).withUnsafeBytes { key in
        let place = fixture.store.find(key, slot: number, database: 0, nowMillis: 1)
        _ = Bytes(repeating: 1, count: 1_000).withUnsafeBytes {
          fixture.store.set($0, expiry: .never, at: place)
        }
      }
    }
    let manifest = try fixture.backUp(callsBetween: 0)
    #expect(try fixture.read(manifest, batchBytes: 500_000).batches > 4)
    #expect(manifest.totalKeys == 3_000)
  }

  @Test func keysOfADatabaseGoToTheChosenOneAndOthersAreLeftOut() throws {
    let fixture = BackupFixture(seed: 7)
    for _ in 0..<600 { fixture.call() }
    let manifest = try fixture.backUp()
    let all = try fixture.read(manifest).keys
    let (first, second) = (try #require(all[1]), try #require(all[3]))
    #expect(try fixture.read(manifest, databases: [1: 9]).keys == [9: first])
    #expect(try fixture.read(manifest, databases: [3: 1, 1: 3]).keys == [1: second, 3: first])
    #expect(try fixture.read(manifest, databases: [:]).keys.isEmpty)
  }

  @Test func aDirectoryThatIsNotEmptyIsLeftAlone() throws {
    let fixture = BackupFixture()
    try fixture.backUp()
    #expect(throws: BackupFault(BackupFixture.directory, .notEmpty)) { try fixture.backUp() }
    #expect(try fixture.manifest().shards.count == 1)
  }

  /// A backup whose call of this number fails; nil: it has fewer calls.
  private func failed(atCall call: Int, _ code: Int32) -> BackupFixture? {
    let fixture = BackupFixture(seed: UInt64(call))
    for _ in 0..<40 { fixture.call() }
    fixture.disk.setFault(.error(code), atCall: call)
    do {
      try fixture.backUp(callsBetween: 1, pieceBytes: 20_000)
      return nil
    } catch {
      #expect(error is BackupFault, "call \(call)")
      return fixture
    }
  }

  @Test(arguments: [FileErrorCode.noSpace, FileErrorCode.inputOutput])
  func oneThatFailsAtAnyCallLeavesNothing(code: Int32) throws {
    var call = 1
    while let fixture = failed(atCall: call, code), call < 1_000 {
      #expect(fixture.disk.names(in: BackupFixture.directory).isEmpty, "call \(call)")
      let manifest = try fixture.backUp()
      #expect(try fixture.read(fixture.manifest()).contents == manifest.slots, "call \(call)")
      // Nor does a power loss bring back what seems to be one.
      let other = try #require(failed(atCall: call, code))
      other.disk.restart()
      #expect((try? other.manifest()) == nil, "call \(call)")
      call += 1
    }
    #expect((15..<1_000).contains(call))
  }

  // MARK: - Damage

  private func isRefused(_ fixture: BackupFixture) -> Bool {
    do {
      let manifest = try fixture.manifest()
      return try fixture.read(manifest).contents != manifest.slots
    } catch {
      return error is BackupFault
    }
  }

  @Test(arguments: ["MANIFEST", "shard-0000.pass", "shard-0000.log"])
  func aFileThatIsDamagedCutOrMissingIsRefused(name: String) throws {
    let fixture = BackupFixture(seed: 3)
    for _ in 0..<150 { fixture.call() }
    try fixture.backUp(callsBetween: 8)
    let path = fixture.path(name)
    let whole = try #require(fixture.disk.contents(of: path))
    #expect(!isRefused(fixture))
    let step = max(1, whole.count / 150)
    for place in stride(from: 0, to: whole.count, by: step) {
      var bytes = whole
      bytes[place] ^= UInt8(1 << fixture.below(8))
      fixture.disk.setContents(of: path, to: bytes)
      #expect(isRefused(fixture), "byte \(place)")
      fixture.disk.setContents(of: path, to: Array(whole[..<place]))
      #expect(isRefused(fixture), "cut at \(place)")
    }
    fixture.disk.setContents(of: path, to: whole + [0])
    #expect(isRefused(fixture), "one byte more")
    fixture.disk.setContents(of: path, to: whole)
    #expect(!isRefused(fixture))
    try fixture.disk.remove(path)
    #expect(isRefused(fixture), "missing")
  }

  @Test func damageIsReportedWithTheFile() throws {
    let fixture = BackupFixture(seed: 3)
    for _ in 0..<150 { fixture.call() }
    let manifest = try fixture.backUp()
    let path = fixture.path("shard-0000.pass")
    let whole = try #require(fixture.disk.contents(of: path))
    fixture.disk.setContents(of: path, to: Array(whole.dropLast()))
    let size = UInt64(whole.count)
    #expect(throws: BackupFault(path, .otherSize(found: size - 1, wanted: size))) {
      try fixture.read(manifest)
    }
    try fixture.disk.remove(fixture.path("MANIFEST"))
    #expect(throws: BackupFault(fixture.path("MANIFEST"), .noManifest)) {
      try fixture.manifest()
    }
  }

  // MARK: - Power

  @Test func aDirectoryWithAManifestIsWholeWheneverThePowerGoes() throws {
    var (published, calls) = (0, 1)
    var wasCut = true
    while wasCut {
      let fixture = BackupFixture(seed: UInt64(calls))
      for _ in 0..<40 { fixture.call() }
      fixture.disk.setFault(.powerLoss, atCall: calls)
      let manifest = try? fixture.backUp(callsBetween: 1, pieceBytes: 50_000)
      wasCut = fixture.disk.isOff
      fixture.disk.restart()
      if let found = try? fixture.manifest() {
        published += 1
        #expect(try fixture.read(found).contents == found.slots, "call \(calls)")
      } else {
        #expect(manifest == nil, "call \(calls)")
      }
      calls += 1
    }
    #expect(published > 0 && calls > 10)
  }
}
