// What a shard does with keys that expire: Set with a time, Expire, Persist, Ttl, and Get's
// ttl_millis. The clocks are the test's.

import Commands
import Foundation
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Store
import Testing

@testable import ShardNode

@Suite struct ExpiryCommandTests {
  private let shard = ShardFixture()
  private var clock: ManualClock { shard.clock }

  // MARK: - Calls

  @discardableResult
  private func set(
    _ key: String, _ value: String = "v", _ change: (inout Ringstore_V1_KeyValue) -> Void
  ) throws -> Ringstore_V1_Status {
    var request = Requests.set(key, value)
    change(&request)
    return try shard.call(.set, request)
  }

  private func refusal(_ change: (inout Ringstore_V1_KeyValue) -> Void) -> ErrorReason? {
    var request = Requests.set("k", "refused")
    change(&request)
    return shard.failure(.set, request)?.reason
  }

  @discardableResult
  private func expire(
    _ key: String, _ condition: Ringstore_V1_ExpireCondition = .always, in millis: Int64
  ) throws -> Ringstore_V1_Status {
    try shard.call(
      Command.expire.id,
      Ringstore_V1_ExpireRequest.with {
        $0.key = Data(key.utf8)
        $0.ttlMillis = millis
        $0.condition = condition
      })
  }

  private func ttl(_ key: String) throws -> Ringstore_V1_TtlResponse {
    try shard.call(Command.ttl.id, Requests.key(key))
  }

  private func persist(_ key: String) throws -> Ringstore_V1_Status {
    try shard.call(Command.persist.id, Requests.key(key))
  }

  // MARK: - Tests

  @Test func aKeyIsThereUntilItsTimeAndNotAfter() throws {
    let version = try set("k") { $0.ttlMillis = 1_000 }.version
    clock.advance(millis: 400)
    let found = try shard.get("k")
    #expect(found.found && found.ttlMillis == 600 && found.version == version)
    let time = try ttl("k")
    #expect(time.found && time.ttlMillis == 600 && time.version == version)
    #expect(time.expireAtUnixMillis == clock.wallMillis + 600)
    clock.advance(millis: 599)
    #expect(try shard.get("k").ttlMillis == 1)
    clock.advance(millis: 1)
    #expect(try !shard.get("k").found)
    #expect(try !ttl("k").found)
    #expect(shard.core.keyCount == 0, "who met it deleted it")
  }

  @Test func aKeyWithoutATimeHasNoTtl() throws {
    try shard.set("k", "v")
    #expect(try !shard.get("k").hasTtlMillis)
    let time = try ttl("k")
    #expect(time.found && !time.hasTtlMillis && !time.hasExpireAtUnixMillis)
  }

  @Test func aSetClearsKeepsOrChangesTheTime() throws {
    try set("k") { $0.ttlMillis = 1_000 }
    try set("k", "kept") { $0.keepTtl = true }
    #expect(try ttl("k").ttlMillis == 1_000)
    try set("k") { $0.keepTtl = false }
    #expect(try !ttl("k").hasTtlMillis)
    let at = clock.wallMillis + 77
    try set("k", "12") { $0.expireAtUnixMillis = at }
    #expect(try ttl("k").expireAtUnixMillis == at)
    let _: Ringstore_V1_IncrByResponse = try shard.call(.incrBy, Requests.increment("k", by: 1))
    #expect(try ttl("k").expireAtUnixMillis == at, "an increment keeps it")
    try shard.set("k", "v")
    #expect(try !ttl("k").hasTtlMillis)
    try set("new") { $0.keepTtl = true }
    #expect(try !ttl("new").hasTtlMillis)
  }

  @Test func aTimeThatCanNotBeIsRefused() throws {
    try set("k", "stays") { $0.ttlMillis = 1_000 }
    let now = clock.wallMillis
    for millis in [Int64.min, -1, 0, .max, .max - now] {
      #expect(refusal { $0.ttlMillis = millis } == .invalidExpiry, "\(millis)")
    }
    for millis in [Int64.min, -1, 0, .max] {
      #expect(refusal { $0.expireAtUnixMillis = millis } == .invalidExpiry, "\(millis)")
    }
    var late = Ringstore_V1_ExpireRequest()
    late.key = Data("k".utf8)
    #expect(shard.failure(Command.expire.id, late)?.reason == .invalidExpiry, "no time")
    late.ttlMillis = .max
    #expect(shard.failure(Command.expire.id, late)?.reason == .invalidExpiry)
    late.expireAtUnixMillis = .max
    #expect(shard.failure(Command.expire.id, late)?.reason == .invalidExpiry)
    #expect(try shard.get("k").value == Data("stays".utf8))
    #expect(try ttl("k").ttlMillis == 1_000)
    try set("k") { $0.ttlMillis = .max - 1 - now }
    #expect(try ttl("k").expireAtUnixMillis == .max - 1)
    try set("k") { $0.expireAtUnixMillis = .max - 1 }
    #expect(try ttl("k").ttlMillis == .max - 1 - now)
  }

  @Test func aTimeThatHasPassedRemovesTheKeyAtOnce() throws {
    let old = try shard.set("k", "v").version
    let gone = try set("k") { $0.expireAtUnixMillis = 1 }
    #expect(gone.ok && gone.version > old && shard.core.keyCount == 0)
    #expect(try set("k") { $0.expireAtUnixMillis = clock.wallMillis }.version == 0)
    #expect(shard.core.keyCount == 0)
    for millis in [Int64.min, -1, 0] {
      try shard.set("k", "v")
      let status = try expire("k", in: millis)
      #expect(status.ok && status.count == 1 && shard.core.keyCount == 0)
    }
    try shard.set("k", "v")
    let at = Ringstore_V1_ExpireRequest.with {
      $0.key = Data("k".utf8)
      $0.expireAtUnixMillis = -5
    }
    let status: Ringstore_V1_Status = try shard.call(Command.expire.id, at)
    #expect(status.count == 1 && shard.core.keyCount == 0)
  }

  @Test func expireAndPersistTakeAVersionWhereTheyChangeAnything() throws {
    #expect(try expire("none", in: 5) == .with { $0.ok = true })
    #expect(try persist("none") == .with { $0.ok = true })
    let set = try shard.set("k", "v").version
    let first = try expire("k", in: 500)
    #expect(first.count == 1 && first.version == set + 1)
    let same = try expire("k", in: 500)
    #expect(same.count == 1 && same.version == first.version, "nothing has changed")
    let last = try persist("k")
    #expect(last.count == 1 && last.version == first.version + 1)
    let none = try persist("k")
    #expect(none.ok && none.count == 0 && none.version == last.version)
    #expect(try shard.get("k").value == Data("v".utf8))
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a", "b"]))
    #expect(try expire("l", in: 10).count == 1)
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["c"]))
    #expect(try ttl("l").ttlMillis == 10, "a push keeps it")
    clock.advance(millis: 10)
    let length: Ringstore_V1_Status = try shard.call(.lLen, Requests.key("l"))
    #expect(length.count == 0)
  }

  typealias Condition = Ringstore_V1_ExpireCondition

  /// The time to live before (nil: none), the condition, the new one, and whether it is met.
  static let conditions: [(before: Int64?, condition: Condition, after: Int64, isMet: Bool)] = [
    (nil, .ifNone, 5, true), (nil, .ifAny, 5, false), (nil, .ifLater, 5, false),
    (nil, .ifSooner, 5, true), (10, .ifNone, 5, false), (10, .ifAny, 5, true),
    (10, .ifLater, 5, false), (10, .ifLater, 10, false), (10, .ifLater, 11, true),
    (10, .ifSooner, 11, false), (10, .ifSooner, 10, false), (10, .ifSooner, 9, true),
    (10, .ifLater, -1, false), (nil, .ifSooner, -1, true), (10, .ifNone, -1, false),
  ]

  @Test(arguments: conditions.indices)
  func aConditionOfExpireIsAsRedisHasIt(_ index: Int) throws {
    let (before, condition, after, isMet) = Self.conditions[index]
    try set("k") { if let before { $0.ttlMillis = before } }
    let version = try shard.get("k").version
    let status = try expire("k", condition, in: after)
    #expect(status.ok == isMet && status.count == (isMet ? 1 : 0))
    #expect(isMet ? status.version > version : status.version == version)
    let now = try ttl("k")
    guard isMet, after <= 0 else {
      #expect(now.found)
      #expect((now.hasTtlMillis ? now.ttlMillis : nil) == (isMet ? after : before))
      return
    }
    #expect(!now.found)
  }

  @Test func aConditionThatIsNotKnownIsRefused() throws {
    try shard.set("k", "v")
    let request = Ringstore_V1_ExpireRequest.with {
      $0.key = Data("k".utf8)
      $0.ttlMillis = 5
      $0.condition = .UNRECOGNIZED(9)
    }
    #expect(shard.failure(Command.expire.id, request)?.reason == .unknownField)
    #expect(try !ttl("k").hasTtlMillis)
  }

  @Test func aLargeValueTellsWhatIsLeftAsWell() throws {
    let value = String(repeating: "x", count: 200_000)
    try set("k", value) { $0.ttlMillis = 1_000 }
    var request = ByteBuffer()
    Array("k".utf8).withUnsafeBytes { V1.Key(key: $0).write(into: &request) }
    var response = ByteBuffer()
    let source = try request.withUnsafeReadableBytes {
      try shard.core.execute(
        UInt32(CommandID.get.rawValue), $0, into: &response, largerThan: 65_536,
        shard.core.context(nowNanos: clock.nowNanos))
    }
    let large = try #require(source?.reply)
    var isLast = false
    while !isLast {
      isLast = try large.plan(upTo: 50_000).isLast
      large.write(into: &response)
    }
    #expect(response.readableBytes == large.byteCount)
    let reply = try Ringstore_V1_Value(serializedBytes: Array(response.readableBytesView))
    #expect(reply.ttlMillis == 1_000 && reply.value.count == value.utf8.count)
  }

  // MARK: - Clocks that jump

  private static let yearMillis: Int64 = 365 * 24 * 3_600_000

  /// A moment on the wall clock is what counts. A clock that is set forward brings it nearer.
  @Test func aClockThatIsSetForwardExpiresWhatIsDueThen() throws {
    try set("hour") { $0.ttlMillis = 3_600_000 }
    try set("decade") { $0.ttlMillis = 10 * Self.yearMillis }
    try shard.set("ever", "v")
    clock.jump(to: clock.wallMillis + Self.yearMillis)
    #expect(try !shard.get("hour").found)
    #expect(try shard.get("decade").ttlMillis == 9 * Self.yearMillis)
    #expect(try shard.get("ever").found)
    clock.jump(to: clock.wallMillis - Self.yearMillis)
    #expect(try !shard.get("hour").found, "what has expired doesn't come back")
    #expect(try shard.get("decade").ttlMillis == 10 * Self.yearMillis)
  }

  @Test func aClockThatIsSetBackLetsKeysLiveAsMuchLonger() throws {
    let start = clock.wallMillis
    try set("k") { $0.ttlMillis = 1_000 }
    clock.jump(to: start - Self.yearMillis)
    #expect(try shard.get("k").ttlMillis == Self.yearMillis + 1_000)
    let later = try set("new") { $0.ttlMillis = 1_000 }
    #expect(later.version > 0)
    clock.advance(millis: 1_000)
    #expect(try !shard.get("new").found, "a time to live counts from the clock as it is now")
    clock.jump(to: start + 999)
    #expect(try shard.get("k").found)
    clock.advance(millis: 1)
    #expect(try !shard.get("k").found)
  }

  /// The expirer judges by the same clock as calls do.
  @Test func theExpirerDeletesWhatNothingMeets() throws {
    for number in 0..<2_000 { try set("k\(number)") { $0.ttlMillis = 500 } }
    try set("later") { $0.ttlMillis = 900 }
    runRound()
    #expect(shard.core.keyCount == 2_001)
    clock.advance(millis: 500)
    runRound()
    #expect(shard.core.keyCount == 1)
    #expect(try ttl("later").found)
    clock.jump(to: clock.wallMillis + Self.yearMillis)
    runRound()
    #expect(shard.core.keyCount == 0)
  }

  private func runRound() {
    shard.core.endExpired()
    shard.runTurns()
  }
}
