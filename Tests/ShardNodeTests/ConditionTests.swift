// Set and Delete under conditions, and the value before. What is refused changes nothing.

import Commands
import Foundation
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ConditionTests {
  private let shard = ShardFixture()

  @discardableResult
  private func set(
    _ key: String, _ value: String, _ change: (inout Ringstore_V1_KeyValue) -> Void
  ) throws -> Ringstore_V1_Status {
    var request = Requests.set(key, value)
    change(&request)
    return try shard.call(.set, request)
  }

  private func delete(
    _ key: String, _ change: (inout Ringstore_V1_DeleteRequest) -> Void
  ) throws -> Ringstore_V1_Status {
    try shard.call(
      .delete,
      Ringstore_V1_DeleteRequest.with {
        $0.key = Data(key.utf8)
        change(&$0)
      })
  }

  private func holds(_ key: String, _ value: String?) throws -> Bool {
    let found = try shard.get(key)
    return found.found == (value != nil) && found.value == Data((value ?? "").utf8)
  }

  // MARK: - Set

  @Test func ofAKeyThatIsntThere() throws {
    let refused = try set("k", "1") { $0.condition = .ifPresent }
    #expect(refused == Ringstore_V1_Status())
    #expect(try set("k", "1") { ($0.condition, $0.ifVersion) = (.ifVersion, 7) }.ok == false)
    #expect(try holds("k", nil))
    #expect(try set("k", "1") { $0.condition = .ifAbsent }.ok)
    #expect(try set("l", "1") { $0.condition = .ifVersion }.ok, "version 0: it isn't there")
    #expect(try holds("k", "1") && holds("l", "1"))
  }

  @Test func ofAKeyThatIsThere() throws {
    let version = try shard.set("k", "old").version
    for condition in [Ringstore_V1_SetCondition.ifAbsent, .ifVersion] {
      let refused = try set("k", "new") { $0.condition = condition }
      #expect(!refused.ok && refused.version == version && !refused.hasPrevious)
    }
    #expect(try holds("k", "old") && shard.get("k").version == version)
    let first = try set("k", "one") { ($0.condition, $0.ifVersion) = (.ifVersion, version) }
    #expect(first.ok && first.version > version)
    #expect(try !set("k", "two") { ($0.condition, $0.ifVersion) = (.ifVersion, version) }.ok)
    #expect(try set("k", "two") { $0.condition = .ifPresent }.ok)
    #expect(try holds("k", "two"))
  }

  @Test func aConditionIsOfAKeyOfAnyType() throws {
    let pushed: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a"]))
    #expect(try !set("l", "v") { $0.condition = .ifAbsent }.ok)
    let status = try set("l", "v") {
      ($0.condition, $0.ifVersion) = (.ifVersion, pushed.version)
    }
    #expect(status.ok)
    #expect(try holds("l", "v"))
  }

  @Test func aConditionIsJudgedBeforeATimeThatHasPassed() throws {
    try shard.set("k", "v")
    let refused = try set("k", "new") { ($0.condition, $0.expireAtUnixMillis) = (.ifAbsent, 1) }
    #expect(!refused.ok)
    #expect(try holds("k", "v"))
    let gone = try set("k", "new") { ($0.condition, $0.expireAtUnixMillis) = (.ifPresent, 1) }
    #expect(gone.ok)
    #expect(try holds("k", nil))
  }

  @Test func anExpiredKeyIsAbsent() throws {
    try set("k", "v") { $0.ttlMillis = 5 }
    shard.clock.advance(millis: 5)
    #expect(try set("k", "new") { $0.condition = .ifAbsent }.ok)
  }

  @Test func whatCanNotBeMeantIsRefused() throws {
    try shard.set("k", "v")
    for condition in [Ringstore_V1_SetCondition.always, .ifPresent] {
      var request = Requests.set("k", "new")
      (request.condition, request.ifVersion) = (condition, 3)
      #expect(shard.failure(.set, request)?.reason == .invalidCondition)
    }
    var unknown = Requests.set("k", "new")
    unknown.condition = .UNRECOGNIZED(9)
    #expect(shard.failure(.set, unknown)?.reason == .unknownField)
    #expect(try holds("k", "v"))
  }

  // MARK: - The value before

  /// Values in each form that the store has for one.
  static let values = [
    "", "text", "-12", String(repeating: "x", count: 2_048),
    String(repeating: "y", count: 2_049), String(repeating: "z", count: 60_000),
  ]

  @Test(arguments: values)
  func theReplyHasTheValueBefore(_ value: String) throws {
    let none = try set("k", value) { $0.returnPrevious = true }
    #expect(none.ok && none.hasPrevious && !none.previous.found)
    let version = none.version
    for new in Self.values {
      try set("k", value) { $0.ttlMillis = 1_000 }
      let before = try shard.get("k")
      let replaced = try set("k", new) { $0.returnPrevious = true }
      #expect(replaced.ok && replaced.version == before.version + 1)
      #expect(replaced.previous == before && before.ttlMillis == 1_000)
      #expect(try holds("k", new))
    }
    let now = try shard.get("k")
    let refused = try set("k", "never") { ($0.returnPrevious, $0.condition) = (true, .ifAbsent) }
    #expect(!refused.ok && refused.previous == now && refused.version == now.version)
    #expect(now.version > version)
    let gone = try set("k", "never") { ($0.returnPrevious, $0.expireAtUnixMillis) = (true, 1) }
    #expect(gone.ok && gone.previous == now)
    #expect(try holds("k", nil))
  }

  @Test func aLargeValueBeforeComesInPieces() throws {
    let value = String(repeating: "large", count: 40_000)
    for condition in [Ringstore_V1_SetCondition.ifPresent, .ifAbsent] {
      try set("k", value) { $0.ttlMillis = 1_000 }
      let before = try shard.get("k")
      var request = Requests.set("k", "new")
      (request.returnPrevious, request.condition) = (true, condition)
      let source = try #require(try shard.source(.set, request))
      #expect(try holds("k", condition == .ifPresent ? "new" : value))
      var response = ByteBuffer()
      var isLast = false
      while !isLast {
        isLast = try source.plan(upTo: 30_000).isLast
        source.write(into: &response)
      }
      #expect(response.readableBytes == source.byteCount)
      let status = try Ringstore_V1_Status(serializedBytes: Array(response.readableBytesView))
      #expect(status.ok == (condition == .ifPresent) && status.previous == before)
      #expect(status.version == before.version + (status.ok ? 1 : 0))
    }
  }

  @Test func aValueThatCanNotBeReturnedIsNotReplaced() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a"]))
    var request = Requests.set("l", "v")
    request.returnPrevious = true
    #expect(shard.failure(.set, request)?.reason == .wrongType)
    let length: Ringstore_V1_Status = try shard.call(.lLen, Requests.key("l"))
    #expect(length.count == 1)
    let longest = String(repeating: "x", count: shard.core.limits.maxMessageBytes - 20)
    try shard.set("k", longest)
    request = Requests.set("k", "v")
    request.returnPrevious = true
    #expect(shard.failure(.set, request)?.reason == .responseTooLarge)
    let bytes: Ringstore_V1_Status = try shard.call(Command.strLen.id, Requests.key("k"))
    #expect(bytes.count == longest.utf8.count)
  }

  // MARK: - Delete

  @Test func aDeletionDependsOnTheVersion() throws {
    let version = try shard.set("k", "v").version
    let refused = try delete("k") { $0.ifVersion = version + 1 }
    #expect(!refused.ok && refused.count == 0 && refused.version == version)
    #expect(try holds("k", "v"))
    let done = try delete("k") { $0.ifVersion = version }
    #expect(done.ok && done.count == 1 && done.version > version)
    #expect(try delete("k") { $0.ifVersion = version } == Ringstore_V1_Status())
    #expect(try delete("k") { $0.ifVersion = 0 } == .with { $0.ok = true })
  }

  @Test func aDeletionDependsOnTheValue() throws {
    for value in Self.values {
      try shard.set("k", value)
      #expect(try !delete("k") { $0.ifValue = Data((value + "!").utf8) }.ok)
      #expect(try holds("k", value))
      #expect(try delete("k") { $0.ifValue = Data(value.utf8) }.count == 1)
      #expect(try !delete("k") { $0.ifValue = Data(value.utf8) }.ok)
    }
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a"]))
    let request = Ringstore_V1_DeleteRequest.with {
      $0.key = Data("l".utf8)
      $0.ifValue = Data("a".utf8)
    }
    #expect(shard.failure(.delete, request)?.reason == .wrongType)
  }

  @Test func aChangeOfExpiryChangesTheVersionThatAWriteDependsOn() throws {
    let token = try set("lock", "me") { ($0.condition, $0.ttlMillis) = (.ifAbsent, 50) }.version
    let longer = Ringstore_V1_ExpireRequest.with {
      $0.key = Data("lock".utf8)
      $0.ttlMillis = 100
    }
    let _: Ringstore_V1_Status = try shard.call(Command.expire.id, longer)
    #expect(try !delete("lock") { $0.ifVersion = token }.ok)
    #expect(try delete("lock") { $0.ifValue = Data("me".utf8) }.ok)
  }
}
