// The commands on lists at a shard: what is refused, and what stays as it was then.

import Commands
import Foundation
import NIOCore
import ProtobufMessages
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct ListCommandTests {
  private let shard = ShardFixture()

  private func index(_ key: String, _ index: Int64) -> Ringstore_V1_ListIndexRequest {
    .with { ($0.key, $0.index) = (Data(key.utf8), index) }
  }

  private func set(_ key: String, _ index: Int64, _ value: String) -> Ringstore_V1_ListSetRequest {
    .with { ($0.key, $0.index, $0.value) = (Data(key.utf8), index, Data(value.utf8)) }
  }

  private func take(_ key: String, _ count: UInt32) -> Ringstore_V1_PopManyRequest {
    .with { ($0.key, $0.count) = (Data(key.utf8), count) }
  }

  @Test func anElementIsReadAndReplacedFromBothEnds() throws {
    try shard.push("l", ["a", "b", "c"])
    let before: Ringstore_V1_Value = try shard.call(.lIndex, index("l", -3))
    #expect(before.found && before.value == Data("a".utf8) && before.version == 1)
    let status: Ringstore_V1_Status = try shard.call(.lSet, set("l", -1, "C"))
    #expect(status.ok && status.count == 3 && status.version == 2)
    #expect(try shard.list("l") == ["a", "b", "C"])
    let missing: Ringstore_V1_Value = try shard.call(.lIndex, index("x", 0))
    #expect(!missing.found)
    try shard.set("s", "text")
    #expect(shard.failure(.lIndex, index("s", 0))?.reason == .wrongType)
    #expect(shard.failure(.lSet, set("s", 0, "x"))?.reason == .wrongType)
  }

  @Test(arguments: [Int64.min, .min + 1, -4, 3, .max - 1, .max])
  func anIndexThatIsNotThereIsRefused(_ at: Int64) throws {
    try shard.push("l", ["a", "b", "c"])
    let found: Ringstore_V1_Value = try shard.call(.lIndex, index("l", at))
    #expect(!found.found)
    let failure = try #require(shard.failure(.lSet, set("l", at, "x")))
    #expect(failure.reason == .indexOutOfRange && failure.code == .outOfRange)
    #expect(failure.message.contains("\(at)"))
    let missing = try #require(shard.failure(.lSet, set("x", at, "x")))
    #expect(missing.reason == .noSuchKey && missing.code == .notFound)
    #expect(try shard.list("l") == ["a", "b", "c"])
  }

  @Test func aTrimSaysWhatIsLeft() throws {
    try shard.push("l", ["a", "b", "c", "d"])
    func trim(_ start: Int64, _ stop: Int64) throws -> Ringstore_V1_Status {
      try shard.call(.lTrim, Requests.range("l", start, stop))
    }
    #expect(try trim(.min, .max).count == 4)
    #expect(try trim(1, -2).count == 2)
    #expect(try shard.list("l") == ["b", "c"])
    let gone = try trim(5, 9)
    #expect(gone.ok && gone.count == 0 && gone.version == 3)
    #expect(try trim(0, 1).version == 0)
  }

  @Test(arguments: [CommandID.lPush, .rPush])
  func aPushThatNeedsAListMakesNone(_ command: CommandID) throws {
    var request = Requests.push("l", ["a"])
    request.onlyIfPresent = true
    let refused: Ringstore_V1_Status = try shard.call(command, request)
    #expect(!refused.ok && refused.count == 0)
    #expect(try shard.list("l") == [])
    try shard.push("l", ["b"])
    let done: Ringstore_V1_Status = try shard.call(command, request)
    #expect(done.ok && done.count == 2)
    try shard.set("s", "text")
    request.key = Data("s".utf8)
    #expect(shard.failure(command, request)?.reason == .wrongType)
  }

  @Test func manyArePoppedInTheirOrder() throws {
    try shard.push("l", ["a", "b", "c", "d", "e"])
    let head: Ringstore_V1_ListValues = try shard.call(.lPopMany, take("l", 2))
    #expect(head.found && head.values == ["a", "b"].map { Data($0.utf8) })
    #expect(head.length == 5 && head.firstIndex == 0)
    let tail: Ringstore_V1_ListValues = try shard.call(.rPopMany, take("l", 2))
    #expect(tail.values == ["e", "d"].map { Data($0.utf8) })
    #expect(tail.length == 3 && tail.firstIndex == 2)
    let none: Ringstore_V1_ListValues = try shard.call(.rPopMany, take("l", 0))
    #expect(none.found && none.values.isEmpty && none.length == 1)
    let rest: Ringstore_V1_ListValues = try shard.call(.lPopMany, take("l", .max))
    #expect(rest.values == [Data("c".utf8)])
    let missing: Ringstore_V1_ListValues = try shard.call(.lPopMany, take("l", 1))
    #expect(!missing.found)
  }

  /// Within bounds as a whole, at a bound that has to be measured, and far beyond it.
  @Test(arguments: [CommandID.lPopMany, .rPopMany])
  func whatNoReplyCanCarryIsNotPopped(_ command: CommandID) throws {
    var limits = Limits()
    limits.maxMessageBytes = 4_096
    let small = ShardFixture(limits: limits)
    let values = (0..<50).map { String(repeating: "x", count: 100 + $0) }
    let _: Ringstore_V1_Status = try small.call(.rPush, Requests.push("l", values))
    let all = command == .lPopMany ? values : values.reversed()
    var fits = 0
    for count in 1...50 {
      let bytes = all.prefix(count).reduce(8) { $0 + $1.count + ($1.count > 127 ? 3 : 2) }
      if bytes <= 4_090 { fits = count }
    }
    #expect(fits > 20 && fits < 50)
    for count in [50, UInt32.max, UInt32(fits + 1)] {
      #expect(small.failure(command, take("l", count))?.reason == .responseTooLarge)
    }
    let length: Ringstore_V1_Status = try small.call(.lLen, Requests.key("l"))
    #expect(length.count == 50)
    let taken: Ringstore_V1_ListValues = try small.call(command, take("l", UInt32(fits)))
    #expect(taken.values.map { String(decoding: $0, as: UTF8.self) } == Array(all.prefix(fits)))
  }

  @Test func poppedValuesThatAreManyComeLater() throws {
    let link = try Link(to: shard)
    let values = (0..<40_000).map { "value \($0)" }
    for start in stride(from: 0, to: 40_000, by: 10_000) {
      try shard.push("l", Array(values[start..<start + 10_000]))
    }
    #expect(link.call(1, .lPopMany, take("l", 39_999)).isEmpty, "it is measured in turns")
    #expect(try shard.list("l") == ["value 39999"])
    shard.runTurns()
    #expect(link.calls.take().first?.noticedBytes != nil)
    link.grant(1, 1 << 30)
    shard.runTurns()
    let pieces = link.bulk.take()
    let list = try Ringstore_V1_ListValues(
      serializedBytes: pieces.map(\.response).reduce(Data(), +))
    #expect(list.values.map { String(decoding: $0, as: UTF8.self) } == Array(values.dropLast()))
    #expect(shard.core.store.pinnedBytes == 0)
  }

  @Test func aNumberThatNoCallHasIsRefused() throws {
    var response = ByteBuffer()
    for method: UInt32 in [21, 27, 40, 63] where CommandTable.keyFields(ofMethod: method) == nil {
      #expect(throws: CallError.self) {
        try shard.execute(method, Requests.key("k"), into: &response)
      }
    }
  }
}
