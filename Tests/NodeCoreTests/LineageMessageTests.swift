// What is on record of shards' data, in the slot map's document and in lists.

import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct LineageMessageTests {
  private let map: SlotMap
  private var records = LineageRecords()

  init() throws {
    map = try SlotMap.initial(
      ["a", "b", "c"].map { ShardDescription(id: $0, address: "h:1", weight: 1) })
    records["a"] = LineageRecord(.known(DataLineage(high: .max, low: 7)))
    records["b"] = LineageRecord(.disputed, acceptedLosses: 3)
  }

  @Test func theDocumentOfAMapHasThem() throws {
    let (map, read) = try SlotMapMessage.decode(SlotMapMessage.encode(self.map, records))
    #expect(map == self.map)
    #expect(read == records)
  }

  @Test func aDocumentOfAnEarlierVersionHasNone() throws {
    let encoded = SlotMapMessage.encode(map, LineageRecords())
    #expect(try Ringstore_V1_SlotMap(serializedBytes: encoded).shards.allSatisfy { !$0.hasLineage })
    let (map, read) = try SlotMapMessage.decode(encoded)
    #expect(map == self.map)
    #expect(read.isEmpty)
  }

  @Test func whatIsOnRecordOfOtherShardsIsNoPartOfTheDocument() throws {
    var more = records
    more["gone"] = LineageRecord(.disputed)
    #expect(try SlotMapMessage.decode(SlotMapMessage.encode(map, more)).1 == records)
  }

  @Test func aListNamesTheShards() throws {
    var buffer = ByteBuffer()
    records.write(as: LinkV1.HelloReply.Field.lineages, into: &buffer)
    let read = try buffer.withUnsafeReadableBytes {
      try LineageRecords(try LinkV1.HelloReply($0).lineages)
    }
    #expect(read == records)
  }

  @Test(arguments: [1, 15, 17, 200])
  func aLineageOfAnotherLengthIsRefused(count: Int) throws {
    let list = Ringstore_Internal_V1_HelloReply.with { reply in
      reply.lineages = [
        .with {
          $0.shard = "a"
          $0.lineage.id = .init(repeating: 1, count: count)
        }
      ]
    }
    let encoded: [UInt8] = try list.serializedBytes()
    #expect(throws: PlacementError.badLineage(id: "a")) {
      try encoded.withUnsafeBytes {
        try LineageRecords(try LinkV1.HelloReply($0).lineages)
      }
    }
    var message = try Ringstore_V1_SlotMap(serializedBytes: SlotMapMessage.encode(map, records))
    message.shards[0].lineage.id = .init(repeating: 1, count: count)
    let document: [UInt8] = try message.serializedBytes()
    #expect(throws: PlacementError.badLineage(id: "a")) { try SlotMapMessage.decode(document) }
  }
}
