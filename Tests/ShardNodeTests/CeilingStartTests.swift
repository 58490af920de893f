// No version is given twice, though a machine lost the last writes and its clock went back: a start
// counts on from the ceiling in the log, which is durable before the first version is given.

import Commands
import LogFiles
import NodeCore
import SimulatedDisk
import Store
import Testing

@testable import ShardNode

@Suite struct CeilingStartTests {
  private static let yearMillis: Int64 = 31_536_000_000

  /// Writes, each of which must get a version above the one before it.
  private struct Writer {
    private(set) var newest: UInt64 = 0

    mutating func write(
      _ stored: StoredShard, _ count: Int = 5, _ comment: Comment? = nil
    ) throws {
      for number in 0..<count {
        let (version, before) = (try stored.shard.set("k", "\(number)").version, newest)
        #expect(version > before, comment)
        newest = max(version, before)
      }
    }
  }

  /// The machine crashes, and comes back with another time.
  private func crash(_ stored: StoredShard, _ loss: PowerLoss) {
    stored.losePower(loss)
    stored.clock.jump(to: stored.clock.wallMillis - Self.yearMillis)
  }

  @Test(arguments: FsyncPolicy.allCases, PowerLoss.allCases)
  func versionsContinueAboveThoseThatWereReported(policy: FsyncPolicy, loss: PowerLoss) throws {
    let stored = try StoredShard(policy)
    var writer = Writer()
    for start in 1...4 {
      try stored.startWhole()
      try writer.write(stored, 20, "start \(start)")
      // What the loop and the lanes have in hand is lost too.
      crash(stored, loss)
    }
  }

  @Test func whatTheLogLosesUnderNeverIsNotCountedAgain() throws {
    let stored = try StoredShard(.never)
    var writer = Writer()
    try stored.startWhole()
    try writer.write(stored)
    stored.settle()
    crash(stored, .nothingUnsynced)
    try stored.startWhole()
    // So nothing but the ceiling could say which versions there were.
    #expect(stored.store.totalKeyCount == 0)
    try writer.write(stored)
  }

  @Test func aCeilingThatWasRaisedIsTheNextStartsBeginning() throws {
    let stored = try StoredShard(.always)
    var writer = Writer()
    try stored.startWhole()
    let first = try #require(stored.core.log).versionsBelow
    stored.store.raiseVersions(to: first - 10)
    try writer.write(stored)
    stored.settle()
    #expect(try #require(stored.core.log).versionsBelow > first + 1_000)
    // Past the first ceiling, in a write that is lost.
    stored.store.raiseVersions(to: first + 1_000)
    try writer.write(stored, 1)
    crash(stored, .nothingUnsynced)
    try stored.startWhole()
    try writer.write(stored)
  }

  /// The power goes at each call of a start in turn, the last one being behind its end.
  @Test(arguments: FsyncPolicy.allCases)
  func wherePowerIsLostInAStartTheNextOneCountsOn(policy: FsyncPolicy) throws {
    var (call, servedBefore) = (1, 0)
    var isCutOff = true
    while isCutOff, call < 1_000 {
      let stored = try StoredShard(policy, seed: UInt64(call))
      var writer = Writer()
      try stored.startWhole()
      try writer.write(stored)
      crash(stored, .nothingUnsynced)
      stored.disk.setFault(.powerLoss, atCall: stored.disk.calls + call)
      try? stored.start()
      while !stored.disk.isOff, !stored.isServing, stored.step() {}
      if stored.isServing {
        // With the first call that is served, and no step of the disk after it.
        try writer.write(stored, 1, "call \(call), at once")
        servedBefore += 1
        while !stored.disk.isOff, stored.step() {}
      }
      isCutOff = stored.disk.isOff
      crash(stored, isCutOff ? .anySubset : .nothingUnsynced)
      try stored.startWhole()
      try writer.write(stored, 5, "call \(call)")
      call += 1
    }
    #expect(!isCutOff && call > 15 && servedBefore > 1)
  }
}
