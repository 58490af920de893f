// What a shard does for GetDel, GetEx, GetRange, SetRange, and IncrBy with a time to live.

import Commands
import Foundation
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Store
import SwiftProtobuf
import Testing

@testable import ShardNode

@Suite struct StringCommandTests {
  private let shard = ShardFixture()

  private func getEx(
    _ key: String, _ change: (inout Ringstore_V1_GetExRequest) -> Void
  ) throws -> Ringstore_V1_Value {
    try shard.call(
      Command.getEx.id,
      Ringstore_V1_GetExRequest.with {
        $0.key = Data(key.utf8)
        change(&$0)
      })
  }

  private static func range(_ start: Int64, _ stop: Int64) -> Ringstore_V1_GetRangeRequest {
    .with { ($0.key, $0.start, $0.stop) = (Data("k".utf8), start, stop) }
  }

  private static func write(_ value: String, at offset: UInt64) -> Ringstore_V1_SetRangeRequest {
    .with { ($0.key, $0.offset, $0.value) = (Data("k".utf8), offset, Data(value.utf8)) }
  }

  private func all(_ source: any ReplySource) throws -> ByteBuffer {
    var response = ByteBuffer()
    var isLast = false
    while !isLast {
      isLast = try source.plan(upTo: 50_000).isLast
      source.write(into: &response)
    }
    #expect(response.readableBytes == source.byteCount)
    return response
  }

  // MARK: - GetDel and GetEx

  @Test(arguments: ConditionTests.values)
  func aValueIsReturnedAndItsKeyGone(_ value: String) throws {
    let version = try shard.set("k", value).version
    let taken: Ringstore_V1_Value = try shard.call(Command.getDel.id, Requests.key("k"))
    #expect(taken.found && taken.value == Data(value.utf8) && taken.version == version + 1)
    #expect(!taken.hasTtlMillis && shard.core.keyCount == 0)
    let none: Ringstore_V1_Value = try shard.call(Command.getDel.id, Requests.key("k"))
    #expect(none == Ringstore_V1_Value())
  }

  @Test(arguments: ConditionTests.values)
  func aValueIsReturnedAndItsKeyExpiresAtAnotherTime(_ value: String) throws {
    let version = try shard.set("k", value).version
    func check(_ found: Ringstore_V1_Value, _ changes: UInt64, ttl: Int64?) {
      #expect(found.found && found.value == Data(value.utf8))
      #expect(found.version == version + changes)
      #expect((found.hasTtlMillis ? found.ttlMillis : nil) == ttl)
    }
    check(try getEx("k") { _ in }, 0, ttl: nil)
    check(try getEx("k") { $0.persist = true }, 0, ttl: nil)
    check(try getEx("k") { $0.ttlMillis = 500 }, 1, ttl: 500)
    check(try getEx("k") { $0.ttlMillis = 500 }, 1, ttl: 500)
    check(try getEx("k") { $0.persist = false }, 1, ttl: 500)
    check(try getEx("k") { $0.expireAtUnixMillis = shard.clock.wallMillis + 7 }, 2, ttl: 7)
    check(try shard.get("k"), 2, ttl: 7)
    check(try getEx("k") { $0.persist = true }, 3, ttl: nil)
    check(try getEx("k") { $0.expireAtUnixMillis = 1 }, 4, ttl: nil)
    #expect(shard.core.keyCount == 0)
    #expect(try getEx("k") { $0.ttlMillis = 5 } == Ringstore_V1_Value())
  }

  @Test func largeValuesComeInPieces() throws {
    let value = String(repeating: "large", count: 40_000)
    let version = try shard.set("k", value).version
    let longer = Ringstore_V1_GetExRequest.with {
      $0.key = Data("k".utf8)
      $0.ttlMillis = 9
    }
    var source = try #require(try shard.source(Command.getEx.id, longer))
    var reply = try Ringstore_V1_Value(serializedBytes: Array(try all(source).readableBytesView))
    #expect(reply.value == Data(value.utf8) && reply.ttlMillis == 9)
    #expect(reply.version == version + 1)
    source = try #require(try shard.source(Command.getRange.id, Self.range(-100_000, -11)))
    reply = try Ringstore_V1_Value(serializedBytes: Array(try all(source).readableBytesView))
    #expect(reply.value == Data(value.utf8).suffix(100_000).dropLast(10))
    source = try #require(try shard.source(Command.getDel.id, Requests.key("k")))
    reply = try Ringstore_V1_Value(serializedBytes: Array(try all(source).readableBytesView))
    #expect(reply.value == Data(value.utf8) && reply.version == version + 2)
    #expect(shard.core.keyCount == 0)
  }

  @Test func whatCanNotBeIsRefused() throws {
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("k", ["a"]))
    #expect(shard.failure(Command.getDel.id, Requests.key("k"))?.reason == .wrongType)
    var ex = Ringstore_V1_GetExRequest.with { $0.key = Data("k".utf8) }
    #expect(shard.failure(Command.getEx.id, ex)?.reason == .wrongType)
    ex.ttlMillis = 5
    #expect(shard.failure(Command.getEx.id, ex)?.reason == .wrongType)
    ex.ttlMillis = 0
    #expect(shard.failure(Command.getEx.id, ex)?.reason == .invalidExpiry)
    #expect(shard.failure(Command.getRange.id, Self.range(0, 1))?.reason == .wrongType)
    #expect(shard.failure(Command.setRange.id, Self.write("x", at: 0))?.reason == .wrongType)
    let length: Ringstore_V1_Status = try shard.call(.lLen, Requests.key("k"))
    #expect(length.count == 1)
  }

  // MARK: - Ranges

  /// As Redis replies to them, of "hello".
  static let ranges: [(start: Int64, stop: Int64, part: String)] = [
    (0, -1, "hello"), (1, 3, "ell"), (-3, -2, "ll"), (3, 1, ""), (-2, -3, ""), (4, 100, "o"),
    (5, 9, ""), (0, -100, "h"), (-100, -100, "h"), (.min, .max, "hello"), (.max, .min, ""),
    (.min, .min, "h"), (.max, .max, ""),
  ]

  @Test(arguments: ranges.indices)
  func aRangeIsAsRedisHasIt(_ index: Int) throws {
    let (start, stop, part) = Self.ranges[index]
    let none: Ringstore_V1_Value = try shard.call(Command.getRange.id, Self.range(start, stop))
    #expect(none == Ringstore_V1_Value())
    let version = try shard.set("k", "hello").version
    let found: Ringstore_V1_Value = try shard.call(Command.getRange.id, Self.range(start, stop))
    #expect(found.found && found.value == Data(part.utf8) && found.version == version)
  }

  @Test func aPartIsWritten() throws {
    func write(_ value: String, at offset: UInt64) throws -> Ringstore_V1_Status {
      try shard.call(Command.setRange.id, Self.write(value, at: offset))
    }
    #expect(try write("", at: 5) == .with { $0.ok = true })
    #expect(shard.core.keyCount == 0)
    let first = try write("ab", at: 2)
    #expect(first.ok && first.count == 4 && first.version > 0)
    #expect(try shard.get("k").value == Data("\0\0ab".utf8))
    #expect(try write("XYZ", at: 0).count == 4)
    let nothing = try write("", at: 9)
    #expect(nothing.count == 4 && nothing.version == first.version + 1)
    #expect(try shard.get("k").value == Data("XYZb".utf8))
  }

  @Test func whatNoReplyCanCarryIsNotWritten() throws {
    try shard.set("k", "v")
    let limit = UInt64(shard.core.limits.maxMessageBytes)
    for offset in [limit - 10, limit, UInt64(Int64.max), .max] {
      let request = Self.write("0123456789", at: offset)
      #expect(shard.failure(Command.setRange.id, request)?.reason == .responseTooLarge)
    }
    #expect(try shard.get("k").value == Data("v".utf8))
  }

  // MARK: - IncrBy

  @Test func onlyAKeyThatAnIncrementMakesGetsItsTime() throws {
    func increment(_ key: String, _ ttlMillis: Int64) throws -> Int64 {
      var request = Requests.increment(key, by: 1)
      request.ttlMillis = ttlMillis
      return try shard.call(.incrBy, request, as: Ringstore_V1_IncrByResponse.self).value
    }
    #expect(try increment("k", 1_000) == 1)
    shard.clock.advance(millis: 400)
    #expect(try increment("k", 1_000) == 2 && shard.get("k").ttlMillis == 600)
    #expect(try increment("k", 0) == 3 && shard.get("k").ttlMillis == 600)
    shard.clock.advance(millis: 600)
    #expect(try increment("k", 1_000) == 1 && shard.get("k").ttlMillis == 1_000)
    #expect(try increment("lasting", 0) == 1)
    #expect(try increment("lasting", 1_000) == 2 && !shard.get("lasting").hasTtlMillis)
    for millis in [Int64.min, -1, .max] {
      var request = Requests.increment("lasting", by: 1)
      request.ttlMillis = millis
      #expect(shard.failure(.incrBy, request)?.reason == .invalidExpiry)
    }
  }
}
