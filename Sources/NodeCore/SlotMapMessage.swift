// The slot map as it travels: Placement's document to and from its message.

import Placement
import RingstoreAPI

package enum SlotMapMessage {
  package static func encode(_ map: SlotMap) -> Ringstore_V1_SlotMap {
    var message = Ringstore_V1_SlotMap()
    message.epoch = map.epoch
    message.shards = map.shards.map { shard in
      var entry = Ringstore_V1_SlotMap.Shard()
      entry.id = shard.id
      entry.address = shard.address
      entry.weight = shard.weight
      return entry
    }
    message.ranges = map.ranges.map { range in
      var entry = Ringstore_V1_SlotMap.Range()
      entry.first = UInt32(range.first)
      entry.last = UInt32(range.last)
      entry.shard = UInt32(range.shard)
      return entry
    }
    return message
  }

  /// - Throws: `PlacementError` where the document doesn't hold together.
  package static func decode(_ message: Ringstore_V1_SlotMap) throws -> SlotMap {
    try SlotMap(
      epoch: message.epoch,
      shards: message.shards.map {
        ShardDescription(id: $0.id, address: $0.address, weight: $0.weight)
      },
      ranges: message.ranges.map {
        SlotRange(first: Int($0.first), last: Int($0.last), shard: Int($0.shard))
      })
  }
}
