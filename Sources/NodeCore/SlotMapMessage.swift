// The slot map's message: Placement's document, with the records of its shards' data.

import NIOCore
import Placement
import RingstoreAPI

package enum SlotMapMessage {
  /// Appends the map as a field of a message.
  package static func write(
    _ map: SlotMap, _ lineages: LineageRecords, as field: BytesField, into buffer: inout ByteBuffer
  ) {
    let document = buffer.beginLengthDelimited(field, sizeHint: 64 * map.shards.count)
    writeFields(of: map, lineages, into: &buffer)
    buffer.endLengthDelimited(document)
  }

  /// The map as a separate message.
  package static func encode(_ map: SlotMap, _ lineages: LineageRecords) -> [UInt8] {
    var buffer = ByteBuffer()
    writeFields(of: map, lineages, into: &buffer)
    return Array(buffer.readableBytesView)
  }

  private static func writeFields(
    of map: SlotMap, _ lineages: LineageRecords, into buffer: inout ByteBuffer
  ) {
    typealias Field = V1.SlotMap.Field
    buffer.write(Field.epoch, map.epoch)
    for shard in map.shards {
      let entry = buffer.beginLengthDelimited(Field.shards)
      buffer.write(V1.SlotMap.Shard.Field.id, shard.id)
      buffer.write(V1.SlotMap.Shard.Field.address, shard.address)
      buffer.write(V1.SlotMap.Shard.Field.weight, shard.weight)
      lineages[shard.id].write(as: V1.SlotMap.Shard.Field.lineage, into: &buffer)
      buffer.endLengthDelimited(entry)
    }
    for range in map.ranges {
      buffer.append(
        Field.ranges,
        V1.SlotMap.Range(
          first: UInt32(range.first), last: UInt32(range.last), shard: UInt32(range.shard)))
    }
  }

  /// - Throws: if the bytes are not a map, or an inconsistent one.
  package static func decode(_ encoded: [UInt8]) throws -> (SlotMap, LineageRecords) {
    try encoded.withUnsafeBytes { try decode(try V1.SlotMap($0)) }
  }

  /// - Throws: `PlacementError` if the document is inconsistent.
  package static func decode(_ message: V1.SlotMap) throws -> (SlotMap, LineageRecords) {
    let map = try SlotMap(
      epoch: message.epoch,
      shards: message.shards.map {
        ShardDescription(
          id: String(decoding: $0.id, as: UTF8.self),
          address: String(decoding: $0.address, as: UTF8.self), weight: $0.weight)
      },
      ranges: message.ranges.map {
        SlotRange(first: Int($0.first), last: Int($0.last), shard: Int($0.shard))
      })
    var lineages = LineageRecords()
    for (shard, message) in zip(map.shards, message.shards) {
      lineages[shard.id] = try LineageRecord(message.lineage, of: shard.id)
    }
    return (map, lineages)
  }
}
