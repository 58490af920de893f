// What each call does to a shard's keys, and what it refuses.

import Commands
import Foundation
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct ShardCoreTests {
  let shard = ShardFixture()

  @Test func aMissIsDistinguishedFromAnEmptyValue() throws {
    try shard.set("empty", "")
    #expect(try shard.get("empty").found)
    #expect(try shard.get("empty").value.isEmpty)
    #expect(try !shard.get("missing").found)
  }

  @Test func everyWriteHasAGreaterVersionOfItsSlot() throws {
    let first = try shard.set("{s}k", "1")
    let second = try shard.set("{s}other", "2")
    let third: Ringstore_V1_Status = try shard.call(.delete, Requests.key("{s}k"))
    #expect(first.version < second.version)
    #expect(second.version < third.version)
    #expect(third.count == 1)
  }

  @Test func deletingAMissingKeyRemovesNothing() throws {
    let status: Ringstore_V1_Status = try shard.call(.delete, Requests.key("missing"))
    #expect(status.ok)
    #expect(status.count == 0)
  }

  @Test func theLengthOfAStringIsThatOfItsBytes() throws {
    func length(_ key: String) throws -> Int64 {
      let status: Ringstore_V1_Status = try shard.call(Command.strLen.id, Requests.key(key))
      #expect(status.ok && status.version == 0)
      return status.count
    }
    for value in ["", "x", "-907", String(repeating: "y", count: 100_000)] {
      _ = try shard.set("k", value)
      #expect(try length("k") == Int64(value.utf8.count))
    }
    #expect(try length("missing") == 0)
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a"]))
    #expect(shard.failure(Command.strLen.id, Requests.key("l"))?.reason == .wrongType)
  }

  @Test func whatIsAppendedStandsBehindTheValue() throws {
    func append(_ value: String, to key: String) throws -> Ringstore_V1_Status {
      var request = Ringstore_V1_AppendRequest()
      request.key = Data(key.utf8)
      request.value = Data(value.utf8)
      return try shard.call(Command.append.id, request)
    }
    var whole = ""
    var version: UInt64 = 0
    let parts = ["", "1", "2", "", "x", String(repeating: "y", count: 3_000), "", "z"]
    for part in parts {
      let changes = whole.isEmpty && version == 0 || !part.isEmpty
      whole += part
      let status = try append(part, to: "k")
      #expect(status.ok && status.count == whole.utf8.count)
      #expect(changes ? status.version > version : status.version == version)
      version = status.version
      let found: Ringstore_V1_Value = try shard.call(.get, Requests.key("k"))
      #expect(found.value == Data(whole.utf8) && found.version == version)
    }
    _ = try append("4", to: "n")
    _ = try append("1", to: "n")
    let sum: Ringstore_V1_IncrByResponse = try shard.call(.incrBy, Requests.increment("n", by: 1))
    #expect(sum.value == 42)
  }

  @Test func whatNoReplyCanCarryIsNotAppended() throws {
    let limit = Limits().maxMessageBytes
    _ = try shard.set("k", String(repeating: "x", count: limit - 100))
    var request = Ringstore_V1_AppendRequest()
    request.key = Data("k".utf8)
    request.value = Data(repeating: 0x79, count: 100)
    #expect(shard.failure(Command.append.id, request)?.reason == .responseTooLarge)
    let length: Ringstore_V1_Status = try shard.call(Command.strLen.id, Requests.key("k"))
    #expect(length.count == limit - 100)
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a"]))
    request.key = Data("l".utf8)
    #expect(shard.failure(Command.append.id, request)?.reason == .wrongType)
  }

  @Test func pushesAndPopsWorkOnBothEnds() throws {
    let _: Ringstore_V1_Status = try shard.call(.lPush, Requests.push("l", ["1", "2", "3"]))
    let pushed: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["4"]))
    #expect(pushed.count == 4)
    let all: Ringstore_V1_ListValues = try shard.call(.lRange, Requests.range("l", 0, -1))
    #expect(all.values.map { String(decoding: $0, as: UTF8.self) } == ["3", "2", "1", "4"])
    #expect(all.found && all.length == 4)
    let head: Ringstore_V1_Value = try shard.call(.lPop, Requests.key("l"))
    let tail: Ringstore_V1_Value = try shard.call(.rPop, Requests.key("l"))
    #expect(head.value == .init("3".utf8))
    #expect(tail.value == .init("4".utf8))
    let length: Ringstore_V1_Status = try shard.call(.lLen, Requests.key("l"))
    #expect(length.count == 2)
  }

  @Test func aRangeSaysWhereItBegins() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["a", "b", "c", "d"]))
    let part: Ringstore_V1_ListValues = try shard.call(.lRange, Requests.range("l", -2, 100))
    #expect(part.values.count == 2)
    #expect(part.firstIndex == 2)
    #expect(part.length == 4)
    let missing: Ringstore_V1_ListValues = try shard.call(.lRange, Requests.range("x", 0, -1))
    #expect(!missing.found)
  }

  @Test func incrementsCountFromZeroAndStopAtTheEdge() throws {
    let one: Ringstore_V1_IncrByResponse = try shard.call(.incrBy, Requests.increment("n", by: 1))
    #expect(one.value == 1)
    try shard.set("n", String(Int64.max))
    #expect(
      shard.failure(.incrBy, Requests.increment("n", by: 1))?.reason == .integerOverflow)
    #expect(try shard.get("n").value == .init(String(Int64.max).utf8))
    try shard.set("n", "x")
    #expect(shard.failure(.incrBy, Requests.increment("n", by: 1))?.reason == .notAnInteger)
  }

  @Test func typesAreDistinguished() throws {
    try shard.set("s", "1")
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["1"]))
    func type(_ key: String) throws -> Ringstore_V1_ValueType {
      let response: Ringstore_V1_TypeResponse = try shard.call(.type, Requests.key(key))
      return response.type
    }
    #expect(try type("s") == .string)
    #expect(try type("l") == .list)
    #expect(try type("missing") == .none)
    #expect(shard.failure(.get, Requests.key("l"))?.reason == .wrongType)
    #expect(shard.failure(.lPush, Requests.push("s", ["1"]))?.reason == .wrongType)
  }

  @Test func databasesAreSeparate() throws {
    try shard.set("k", "zero")
    try shard.set("k", "five", database: 5)
    #expect(try shard.get("k").value == .init("zero".utf8))
    #expect(try shard.get("k", database: 5).value == .init("five".utf8))
    #expect(
      shard.failure(.get, Requests.key("k", database: 16))?.reason == .noSuchDatabase)
  }

  @Test func badKeysAreRefused() {
    #expect(shard.failure(.get, Requests.key(""))?.reason == .invalidKey)
    let long = String(repeating: "k", count: 64 * 1024 + 1)
    #expect(shard.failure(.set, Requests.set(long, "v"))?.reason == .invalidKey)
    #expect(shard.failure(.set, Requests.set(String(long.dropLast()), "v")) == nil)
  }

  @Test func aWriteWithAnUnservedFieldChangesNothing() throws {
    var request = Requests.set("k", "v")
    try request.merge(serializedBytes: [0x98, 0x06, 0x01])
    #expect(shard.failure(.set, request)?.reason == .unknownField)
    var conditional = Requests.set("k", "v")
    conditional.condition = .UNRECOGNIZED(4)
    #expect(shard.failure(.set, conditional)?.code == .unimplemented)
    #expect(try !shard.get("k").found)
  }

  @Test func aFailedCallLeavesTheResponseAsItWas() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", ["1"]))
    var response = ByteBuffer(string: "before")
    #expect(throws: CallError.self) {
      try shard.execute(UInt32(CommandID.get.rawValue), Requests.key("l"), into: &response)
    }
    #expect(String(buffer: response) == "before")
  }

  @Test func aRangeBeyondTheMessageLimitIsRefused() throws {
    var limits = Limits()
    limits.maxMessageBytes = 1_000
    let small = ShardFixture(limits: limits)
    let _: Ringstore_V1_Status = try small.call(
      .rPush, Requests.push("l", [String(repeating: "x", count: 600)]))
    let _: Ringstore_V1_Status = try small.call(
      .rPush, Requests.push("l", [String(repeating: "y", count: 600)]))
    #expect(small.failure(.lRange, Requests.range("l", 0, -1))?.reason == .responseTooLarge)
    #expect(small.failure(.lRange, Requests.range("l", 0, 0)) == nil)
  }

  /// The shard that had the slot before may have given them versions up to now.
  @Test func keysOfASlotThatCameHaveVersionsFromTheClockOn() throws {
    let before = try shard.set("k", "v").version
    #expect(before == 1)
    shard.clock.advance(millis: 2_000)
    _ = try Link(to: shard)
    let after = try shard.set("k", "w").version
    let ahead = shard.clock.wallMillis + VersionCeiling.newOwnerLeadMillis
    #expect(after == Store.versionsBegin(unixMillis: ahead) + 1)
    // It has the slot already.
    shard.clock.advance(millis: 2_000)
    _ = try Link(to: shard, generation: 2)
    #expect(try shard.set("k", "x").version == after + 1)
  }

  @Test func keysOfOtherShardsAreRefusedNamingTheOwner() throws {
    let map = try Maps.of(["a", "b"])
    _ = try shard.core.keyspace.ownership.adopt(map, keyCount: { _ in 0 })
    _ = shard.core.keyspace.ownership.comeIntoForce(map)
    var owned = 0
    for number in 0..<100 {
      guard let error = shard.failure(.set, Requests.set("k\(number)", "v")) else {
        owned += 1
        continue
      }
      #expect(error.reason == .wrongShard)
      #expect(error.shard == "b")
    }
    #expect((20...80).contains(owned))
  }
}
