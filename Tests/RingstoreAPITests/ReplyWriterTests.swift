// What the reply and request writers write, SwiftProtobuf reads; what SwiftProtobuf writes, the
// reply views read.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct ReplyWriterTests {
  private var random = SplitMix64(seed: testSeed)

  private mutating func rounds(_ body: (inout SplitMix64) throws -> Void) rethrows {
    for _ in 0..<200 { try body(&random) }
  }

  @Test mutating func `Value, both ways`() throws {
    try rounds { random in
      let (value, version) = (random.bytes(upTo: 300), random.number())
      let bytes = written { buffer in
        value.withUnsafeBytes { buffer.writeValue($0, version: version) }
      }
      #expect(bytes.count == WireSize.value(count: value.count, version: version))
      let message = try Ringstore_V1_Value(serializedBytes: bytes)
      #expect(Array(message.value) == value && message.found && message.version == version)
      try Array(message.serializedData()).withUnsafeBytes { encoded in
        let view = try ValueReplyView(encoded)
        #expect(view.value.array == value && view.found && view.version == version)
      }
    }
    #expect(try !Ringstore_V1_Value(serializedBytes: written { $0.writeMissingValue() }).found)
  }

  @Test mutating func `Status, both ways`() throws {
    try rounds { random in
      let (ok, version) = (Bool.random(using: &random), random.number())
      let count = Int64(bitPattern: random.number())
      let message = try Ringstore_V1_Status(
        serializedBytes: written { $0.writeStatus(ok: ok, count: count, version: version) })
      #expect(message.ok == ok && message.count == count && message.version == version)
      try Array(message.serializedData()).withUnsafeBytes { encoded in
        let view = try StatusReplyView(encoded)
        #expect(view.ok == ok && view.count == count && view.version == version)
      }
    }
  }

  @Test mutating func `ListValues, both ways`() throws {
    try rounds { random in
      let values = (0..<Int.random(in: 0...5, using: &random)).map { _ in random.bytes(upTo: 200) }
      let (length, first) = (Int64(bitPattern: random.number()), Int64(bitPattern: random.number()))
      let bytes = written { buffer in
        for value in values { value.withUnsafeBytes { buffer.writeListValue($0) } }
        buffer.writeListValuesEnd(found: true, length: length, firstIndex: first)
      }
      let message = try Ringstore_V1_ListValues(serializedBytes: bytes)
      #expect(message.values.map { Array($0) } == values && message.found)
      #expect(message.length == length && message.firstIndex == first)
      try Array(message.serializedData()).withUnsafeBytes { encoded in
        let view = try ListValuesReplyView(encoded)
        #expect(view.values.map(\.array) == values && view.count == values.count && view.found)
        #expect(view.length == length && view.firstIndex == first)
      }
    }
  }

  @Test mutating func `IncrBy and the replies that are one number, both ways`() throws {
    try rounds { random in
      let (value, version) = (Int64(bitPattern: random.next()), random.number())
      let incr = try Ringstore_V1_IncrByResponse(
        serializedBytes: written { $0.writeIncrByResponse(value: value, version: version) })
      #expect(incr.value == value && incr.version == version)
      try Array(incr.serializedData()).withUnsafeBytes { encoded in
        let view = try IncrByReplyView(encoded)
        #expect(view.value == value && view.version == version)
      }
      let reset = written { $0.writeResetResponse(keysRemoved: value) }
      #expect(try Ringstore_V1_ResetResponse(serializedBytes: reset).keysRemoved == value)
      #expect(try reset.withUnsafeBytes { try NumberReplyView($0).number } == value)
    }
    for type in ValueType.allCases {
      let bytes = written { $0.writeTypeResponse(type) }
      let message = try Ringstore_V1_TypeResponse(serializedBytes: bytes)
      #expect(message.type.rawValue == Int(type.rawValue))
      #expect("\(message.type)" == "\(type)")
    }
  }

  @Test func `Keys and DbSize name their keys, their token and the shards not reached`() throws {
    let away = CallError.shardUnavailable("s2", "connection refused")
    let keys = try Ringstore_V1_KeysResponse(
      serializedBytes: written { buffer in
        for key in ["a", ""] { Array(key.utf8).withUnsafeBytes { buffer.writeKeysKey($0) } }
        Array("next".utf8).withUnsafeBytes {
          buffer.writeKeysEnd(nextPageToken: $0, unreachable: [away])
        }
      })
    #expect(keys.keys == [Data("a".utf8), Data()] && keys.nextPageToken == Data("next".utf8))
    let size = try Ringstore_V1_DbSizeResponse(
      serializedBytes: written { $0.writeDbSizeResponse(keys: 12, unreachable: [away, away]) })
    #expect(size.keys == 12 && size.unreachable == keys.unreachable + keys.unreachable)
    let error = try #require(keys.unreachable.first)
    #expect(error.code == away.code.rawValue && error.message == away.message)
    #expect(error.reason == "SHARD_UNAVAILABLE" && error.shard == "s2")
  }

  @Test func `a page of Scan names its keys, its token, how far it is and the shards not reached`()
    throws
  {
    let away = CallError.shardUnavailable("s2", "connection refused")
    let page = try Ringstore_V1_ScanPage(
      serializedBytes: written { buffer in
        for key in ["a", ""] { Array(key.utf8).withUnsafeBytes { buffer.writeScanKey($0) } }
        Array("next".utf8).withUnsafeBytes {
          buffer.writeScanPageEnd(resumeToken: $0, slotsDone: 16_384, unreachable: [away])
        }
      })
    #expect(page.keys == [Data("a".utf8), Data()] && page.resumeToken == Data("next".utf8))
    #expect(page.slotsDone == 16_384 && page.unreachable.map(\.shard) == ["s2"])
  }

  @Test mutating func `Stats is a map of counters, both ways`() throws {
    try rounds { random in
      let value = Int64(bitPattern: random.number())
      let message = try Ringstore_V1_StatsResponse(
        serializedBytes: written { buffer in
          buffer.writeStatsCounter("calls", value)
          buffer.writeStatsCounter("none", 0)
        })
      #expect(message.counters == ["calls": value, "none": 0])
      try Array(message.serializedData()).withUnsafeBytes { encoded in
        let view = try StatsReplyView(encoded)
        #expect(view.counters == message.counters)
      }
    }
  }

  @Test func `items carry an outcome, an error, or nothing found, in request order`() throws {
    let large = Array(repeating: UInt8(1), count: 500)
    let bytes = written { buffer in
      for hint in [0, 503] {
        let mark = buffer.beginItem(sizeHint: hint)
        large.withUnsafeBytes { buffer.writeValue($0, version: 3) }
        buffer.endItem(mark)
      }
      buffer.endItem(buffer.beginItem())
      let failing = buffer.beginItem()
      large.withUnsafeBytes { buffer.writeValue($0, version: 4) }
      buffer.abandonItem(failing)
      buffer.writeItem(error: .wrongType(holds: "a list", wanted: "a string"))
      written { $0.writeStatus(ok: true) }.withUnsafeBytes { buffer.writeItem(outcome: $0) }
    }
    let message = try Ringstore_V1_MGetResponse(serializedBytes: bytes)
    #expect(message.items.count == 5)
    #expect(message.items.prefix(2).allSatisfy { Array($0.value.value) == large })
    #expect(message.items[2].outcome == .value(Ringstore_V1_Value()))
    #expect(message.items[3].error.reason == "WRONG_TYPE")
    #expect(try Ringstore_V1_MSetResponse(serializedBytes: bytes).items[4].status.ok)

    // A router puts the items of several shards back into request order, untouched.
    try bytes.withUnsafeBytes { encoded in
      let view = try ItemsReplyView(encoded)
      let copied = written { buffer in
        for item in view.encodedItems { buffer.writeEncodedItem(item) }
      }
      #expect(try Ringstore_V1_MGetResponse(serializedBytes: copied) == message)
      let outcomes = try view.encodedItems.map { try ItemReplyView($0).outcome }
      guard case .failed(let failure) = outcomes[3] else {
        Issue.record("the fourth item did not fail")
        return
      }
      #expect(
        try CallError(item: failure) == .wrongType(holds: "a list", wanted: "a string"))
    }
  }
}
