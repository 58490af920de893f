// Large replies are cut into pieces that together are the very message.

import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import TestSeeds
import Testing

@testable import Commands
@testable import ShardNode

@Suite struct ReplySourceTests {
  let shard = ShardFixture(limits: .wide)

  @Test(arguments: [65_537, 131_072 - 9, 131_072, 200_001])
  func piecesOfAValueAreTheValue(bytes: Int) throws {
    try shard.set("k", pattern(bytes))
    let source = try #require(try shard.source(.get, Requests.key("k")))
    let message = try pieces(of: source)
    let value = try Ringstore_V1_Value(serializedBytes: message)
    #expect(value.value.holds(pattern(bytes)))
    #expect(value.found && value.version == 1)
  }

  /// Elements around each power of 128, and one that is cut several times.
  @Test func piecesOfAListAreTheList() throws {
    let sizes = [0, 1, 127, 128, 129, 16_383, 16_384, 65_530, 65_536, 200_000, 5, 0, 70_000]
    let values = sizes.enumerated().map { pattern($1, $0) }
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", values))
    let source = try #require(try shard.source(.lRange, Requests.range("l", 0, -1)))
    let list = try Ringstore_V1_ListValues(serializedBytes: try pieces(of: source))
    #expect(list.values.hold(values))
    #expect(list.found && list.length == 13 && list.firstIndex == 0)
  }

  @Test func piecesOfManySmallElementsAreTheList() throws {
    let values = (0..<50_000).map { "\($0)" }
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", values))
    let source = try #require(try shard.source(.lRange, Requests.range("l", 10, -1)))
    #expect(!source.measure(), "so many elements are not measured at once")
    let list = try Ringstore_V1_ListValues(serializedBytes: try pieces(of: source))
    #expect(list.values.hold(Array(values[10...])))
    #expect(list.firstIndex == 10 && list.length == 50_000)
  }

  @Test func partsOfAStreamAreMessagesOfAboutAPiece() throws {
    let values = (0..<30_000).map { "value \($0)" } + [pattern(150_000)] + ["last"]
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("l", values))
    let request: [UInt8] = try Requests.range("l", 5, -1).serializedBytes()
    let made = try request.withUnsafeBytes {
      try shard.core.listParts($0, shard.core.context(nowNanos: 0))
    }
    let source = try #require(made)
    var seen: [String] = []
    while true {
      let piece = try source.plan(upTo: Limits().pieceBytesMax)
      var message = ByteBuffer()
      source.write(into: &message)
      #expect(message.readableBytes == piece.byteCount)
      let list = try Ringstore_V1_ListValues(serializedBytes: Array(message.readableBytesView))
      #expect(list.found && list.length == 30_002)
      #expect(list.firstIndex == Int64(5 + seen.count))
      #expect(piece.byteCount <= Limits().pieceBytesMax || list.values.count == 1)
      seen += list.values.map { String(decoding: $0, as: UTF8.self) }
      if piece.isLast { break }
    }
    let isSame = seen == Array(values[5...])
    #expect(isSame)
  }

  @Test func theSizeOfAListIsBoundedWithoutALookAtItsElements() throws {
    var random = SeededRandom.forTest()
    for round in 0..<200 {
      let key = "l\(round)"
      let top = [2, 130, 20_000].randomElement(using: &random) ?? 2
      let values = (0..<Int.random(in: 1...40, using: &random)).map { _ in
        String(repeating: "x", count: Int.random(in: 0...top, using: &random))
      }
      let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push(key, values))
      var response = ByteBuffer()
      try shard.execute(
        UInt32(CommandID.lRange.rawValue), Requests.range(key, 0, -1), into: &response)
      let found = try Array(key.utf8).withUnsafeBytes { bytes in
        let keyspace = shard.core.keyspace
        let place = try keyspace.find(bytes, 0, shard.core.context(nowNanos: 0))
        return try keyspace.store.range(start: 0, stop: -1, at: place)
      }
      let view = try #require(found)
      let bounds = ListReplySize.bounds(view)
      #expect(bounds.contains(response.readableBytes), "\(values.map(\.count))")
      #expect(bounds.upperBound - bounds.lowerBound <= 2 * view.byteCount / 127 + 1)
    }
  }

  /// Draws the pieces of one message; all but the last are as long as may be.
  private func pieces(of source: any ReplySource) throws -> [UInt8] {
    while !source.measure() {}
    let total = try #require(source.byteCount)
    var message = ByteBuffer()
    while true {
      let before = message.readableBytes
      let piece = try source.plan(upTo: Limits().pieceBytesMax)
      source.write(into: &message)
      #expect(message.readableBytes - before == piece.byteCount)
      if piece.isLast { break }
      #expect(piece.byteCount == Limits().pieceBytesMax)
    }
    #expect(message.readableBytes == total)
    return Array(message.readableBytesView)
  }
}

extension Limits {
  /// Limits that large replies of these tests are within.
  static var wide: Limits {
    var limits = Limits()
    limits.maxItems = 1_000_000
    return limits
  }
}

extension ShardFixture {
  /// Executes a call as a lane with a bulk lane beside it does.
  func source(_ id: CommandID, _ request: some Message) throws -> (any ReplySource)? {
    let bytes: [UInt8] = try request.serializedBytes()
    var response = ByteBuffer()
    return try bytes.withUnsafeBytes {
      try core.execute(
        UInt32(id.rawValue), $0, into: &response, largerThan: Limits().bulkBytesMin,
        core.context(nowNanos: 0))?.reply
    }
  }
}

extension Remainder {
  /// Where the reply comes from; nil if the call is not at its end.
  var reply: (any ReplySource)? {
    if case .source(let source) = self { source } else { nil }
  }
}
