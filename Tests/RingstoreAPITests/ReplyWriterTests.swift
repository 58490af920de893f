// Replies that are written field by field are what SwiftProtobuf reads. Those that are written as a
// whole are compared in CodecAgreementTests.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct ReplyWriterTests {
  @Test func elementsOneAtATimeThenTheEnd() throws {
    let bytes = written { buffer in
      for value in ["a", "", "b"] {
        Array(value.utf8).withUnsafeBytes { buffer.append(V1.ListValues.Field.values, $0) }
      }
      V1.ListValues(found: true, length: 9, firstIndex: -1).write(into: &buffer)
    }
    let message = try Ringstore_V1_ListValues(serializedBytes: bytes)
    #expect(message.values == [Data("a".utf8), Data(), Data("b".utf8)] && message.found)
    #expect(message.length == 9 && message.firstIndex == -1)
  }

  @Test func numbersOfEveryKindFieldByField() throws {
    let node = try Ringstore_V1_Node(
      serializedBytes: written { buffer in
        var node = NodeDescription(id: "s1", role: .shard)
        (node.address, node.state, node.version) = ("a:1", .unreachable, "0.1")
        (node.uptimeMillis, node.keys, node.memoryBytes) = (1, -2, .max)
        (node.detail, node.incarnation) = ("away", .max)
        (node.memoryLimitBytes, node.errors, node.durations) = (7, .max, [0, 3, .max, 0, 0])
        node.write(into: &buffer)
      })
    #expect(node.id == "s1" && node.role == .shard && node.address == "a:1")
    #expect(node.state == .unreachable && node.version == "0.1" && node.detail == "away")
    #expect(node.uptimeMillis == 1 && node.keys == -2 && node.memoryBytes == .max)
    #expect(node.incarnation == .max)
    #expect(node.memoryLimitBytes == 7 && node.errors == .max)
    #expect(node.durations == [0, 3, .max], "empty buckets at the end are left out")
    let bytes = try node.serializedBytes() as [UInt8]
    let read = try bytes.withUnsafeBytes { NodeDescription(try V1.Node($0)) }
    #expect(read.durations == [0, 3, .max] && read.errors == .max && read.memoryLimitBytes == 7)
  }

  @Test func keysNamesItsKeysItsTokenAndTheShardsNotReached() throws {
    let away = CallError.shardUnavailable("s2", "connection refused")
    let keys = try Ringstore_V1_KeysResponse(
      serializedBytes: written { buffer in
        for key in ["a", ""] {
          Array(key.utf8).withUnsafeBytes { buffer.append(V1.KeysResponse.Field.keys, $0) }
        }
        Array("next".utf8).withUnsafeBytes {
          buffer.write(V1.KeysResponse.Field.nextPageToken, $0)
        }
        buffer.append(V1.KeysResponse.Field.unreachable, away)
      })
    #expect(keys.keys == [Data("a".utf8), Data()] && keys.nextPageToken == Data("next".utf8))
    let error = try #require(keys.unreachable.first)
    #expect(error.code == away.code.rawValue && error.message == away.message)
    #expect(error.reason == "SHARD_UNAVAILABLE" && error.shard == "s2")
    let bytes = try error.serializedBytes() as [UInt8]
    let item = try bytes.withUnsafeBytes { CallError(try V1.Error($0)) }
    #expect(item.message == away.message && item.shard == "s2" && item.reason == away.reason)
  }

  @Test func statsIsAMapOfCountersOfWhichTheLastEntryOfANameWins() throws {
    let bytes = written { buffer in
      buffer.writeCounter("calls", 3)
      buffer.writeCounter("none", 0)
      buffer.writeCounter("calls", -4)
    }
    let message = try Ringstore_V1_StatsResponse(serializedBytes: bytes)
    #expect(message.counters == ["calls": -4, "none": 0])
    #expect(try bytes.withUnsafeBytes { try V1.StatsResponse($0).byName } == message.counters)
  }
}
