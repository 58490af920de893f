// Backups at a shard: a session, its pieces, and what ends it. What the pieces are made of is
// tested with StoreCopy.

import Commands
import Foundation
import Log
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct BackupTests {
  private let shard = ShardFixture(now: BackupTests.clock())

  /// Every look takes 10 us, so that slices end.
  private static func clock() -> () -> UInt64 {
    var now: UInt64 = 1_000
    return {
      now += 10_000
      return now
    }
  }

  private func part(
    _ backup: UInt64 = 0, of shard: ShardFixture? = nil
  ) throws -> Ringstore_Internal_V1_BackupPartReply {
    let shard = shard ?? self.shard
    var response = ByteBuffer()
    let request = Ringstore_Internal_V1_BackupPartRequest.with { $0.backup = backup }
    try shard.execute(InternalMethod.backupPart.rawValue, request, into: &response)
    return try .init(serializedBytes: Array(response.readableBytesView))
  }

  private func fill(_ count: Int = 2_000) throws {
    for number in 0..<count { try shard.set("k\(number)", String(repeating: "v", count: 500)) }
  }

  private func error(_ body: () throws -> Void) -> CallError? {
    do {
      try body()
      return nil
    } catch {
      return error as? CallError
    }
  }

  @Test func itComesInPiecesWhileCallsContinue() throws {
    try fill()
    var next = try part()
    let backup = next.backup
    var (pass, log, pieces) = (Data(), Data(), 0)
    while true {
      if next.piece.file == .pass { pass += next.piece.data }
      if next.piece.file == .log { log += next.piece.data }
      #expect(next.piece.shard == "a" && next.piece.data.count <= 256 << 10)
      if next.piece.complete { break }
      pieces += 1
      try shard.set("k\(pieces % 2_000)", "other \(pieces)")
      next = try part(backup)
    }
    #expect(pieces > 5 && pass.count > 1_000_000 && log.count > FileHeader.byteCount)
    #expect(next.piece.databases == 16 && next.piece.takenUnixMillis >= 1_700_000_000_000)
    let header = try pass.withUnsafeBytes { try FileHeader(decoding: $0) }
    #expect(header.shard == "a" && header.cluster == "test" && header.kind == .pass)
    #expect(shard.core.backups.count == 0 && shard.core.store.observer == nil)
    #expect(shard.core.backups.completedMillis >= next.piece.takenUnixMillis)
    #expect(error { _ = try part(backup) }?.reason == .viewExpired)
  }

  @Test func oneThatIsNotReadToItsEndIsNotCompleted() throws {
    try fill()
    _ = try part()
    #expect(shard.core.backups.count == 1 && shard.core.backups.completedMillis == 0)
  }

  @Test func theLogStillGetsEverything() throws {
    let logging = LoggingShard()
    for number in 0..<500 { try logging.shard.set("k\(number)", "v") }
    let first = try part(of: logging.shard)
    try logging.shard.set("meanwhile", "v")
    while try !part(first.backup, of: logging.shard).piece.complete {}
    try logging.shard.set("afterwards", "v")
    logging.commit()
    #expect(try logging.replayed().totalKeyCount == 502)
    #expect(logging.shard.core.store.observer === logging.log)
  }

  @Test func whatLeavesTheShardIsCommitted() throws {
    let logging = LoggingShard()
    let calls = Lane(.calls, logging.shard.core)
    _ = try calls.greet(try Link.hello())
    logging.commit()
    calls.saysInForce(try Maps.of(["a"]))
    let bulk = try Link.accepted(.bulk, logging.shard)
    try logging.shard.set("k", "v")
    bulk.give { $0.part(1, .backupPart, Ringstore_Internal_V1_BackupPartRequest()) }
    logging.shard.runTurns()
    #expect(bulk.take().isEmpty)
    logging.commit()
    #expect(bulk.take().map(\.id) == [1])
  }

  @Test func anAbandonedBackupIsEnded() throws {
    let shard = ShardFixture()
    for number in 0..<2_000 { try shard.set("k\(number)", String(repeating: "v", count: 500)) }
    let backup = try part(of: shard).backup
    #expect(shard.core.backups.count == 1 && shard.core.store.observer != nil)
    shard.clock.advance(millis: 59_000)
    shard.core.endExpired()
    _ = try part(backup, of: shard)
    shard.clock.advance(millis: 59_000)
    shard.core.endExpired()
    #expect(shard.core.backups.count == 1)
    shard.clock.advance(millis: 1_001)
    shard.core.endExpired()
    #expect(shard.core.backups.count == 0 && shard.core.store.observer == nil)
    #expect(error { _ = try part(backup, of: shard) }?.reason == .viewExpired)
  }

  @Test func twoGoSideBySideAndAThirdIsRefused() throws {
    try fill()
    let (one, other) = (try part().backup, try part().backup)
    #expect(one != other)
    #expect(error { _ = try part() }?.reason == .overloaded)
    for backup in [one, other] { while try !part(backup).piece.complete {} }
    #expect(try part().backup > other)
  }

  /// A reader that has missed the restart must not continue with another backup.
  @Test func aRestartedShardDoesNotKnowTheNumbersOfEarlierBackups() throws {
    let (before, restarted) = (ShardFixture(), ShardFixture(incarnation: 8))
    for shard in [before, restarted] {
      for number in 0..<2_000 { try shard.set("k\(number)", String(repeating: "v", count: 500)) }
    }
    let backup = try part(of: before).backup
    _ = try part(of: restarted)
    #expect(error { _ = try part(backup, of: restarted) }?.reason == .viewExpired)
  }

  @Test func oneThatStandsStillMakesRoomForANewOne() throws {
    let shard = ShardFixture()
    for number in 0..<2_000 { try shard.set("k\(number)", String(repeating: "v", count: 500)) }
    let (one, other) = (try part(of: shard).backup, try part(of: shard).backup)
    shard.clock.advance(millis: 4_999)
    #expect(error { _ = try part(of: shard) }?.reason == .overloaded)
    _ = try part(other, of: shard)
    shard.clock.advance(millis: 1)
    let new = try part(of: shard).backup
    #expect(shard.core.backups.count == 2)
    #expect(error { _ = try part(one, of: shard) }?.reason == .viewExpired)
    for backup in [other, new] { _ = try part(backup, of: shard) }
  }

  @Test func moreChangesThanMayWaitEndIt() throws {
    try fill()
    let backup = try part().backup
    for _ in 0..<5 { _ = try part(backup) }
    let value = String(repeating: "w", count: 3 << 20)
    for number in 0..<2_000 {
      try shard.set("k\(number)", "small")
      if number % 10 == 0 { try shard.set("k\(number)", value) }
    }
    #expect(error { _ = try part(backup) }?.reason == .viewExpired)
    #expect(shard.core.backups.count == 0 && shard.core.store.observer == nil)
  }
}
