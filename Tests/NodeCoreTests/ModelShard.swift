// Shards as a table: keys by slot and hash, walked in slices as a real shard walks them.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

struct ModelShard {
  struct Item: Hashable {
    let key: [UInt8]
    let slot: UInt32
    /// The key's place in its slot; above 0.
    let hash: UInt64
    let type: V1.ValueType
  }

  /// In the order of a walk.
  private(set) var items: [Item] = []
  /// How many items a slice looks at, at most.
  var visitsMax = 5
  /// So few places that several keys have the same one.
  var hashPlaces: UInt64 = .max

  mutating func insert(_ key: [UInt8], _ type: V1.ValueType = .string) {
    let slot = UInt32(key.withUnsafeBytes { Slots.slot(of: $0) })
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = hashPlaces == .max ? max(hash, 1) : 1 + hash % hashPlaces
    let item = Item(key: key, slot: slot, hash: hash, type: type)
    guard !items.contains(where: { $0.key == key }) else { return }
    let place = items.firstIndex { ($0.slot, $0.hash) > (slot, hash) } ?? items.count
    items.insert(item, at: place)
  }

  mutating func remove(_ key: [UInt8]) {
    items.removeAll { $0.key == key }
  }

  /// Replies to a KeysPartRequest; the pattern must be a glob that ends in `*`.
  func slice(_ request: LinkV1.KeysPartRequest) -> ByteBuffer {
    let prefix = KeyPattern(request.pattern).text.prefix { $0 != UInt8(ascii: "*") }
    let end = request.endSlot == 0 ? UInt32(Slots.count) : request.endSlot
    let rest = items.filter {
      ($0.slot, $0.hash) >= (request.startSlot, request.cursor) && $0.slot < end
    }
    var reply = ByteBuffer()
    var positions: [UInt64] = []
    var (count, bytes) = (0, 0)
    var next = (slot: end, cursor: UInt64(0))
    for (index, item) in rest.enumerated() {
      let isLastOfHash =
        index + 1 == rest.count || rest[index + 1].hash != item.hash
        || rest[index + 1].slot != item.slot
      let after = isLastOfHash ? item.hash &+ 1 : item.hash
      if item.key.starts(with: prefix), request.type == .none || request.type == item.type {
        item.key.withUnsafeBytes { reply.append(LinkV1.KeysPartReply.Field.keys, $0) }
        positions.append(after)
        count += 1
        bytes += item.key.count
      }
      let isFull =
        index + 1 >= visitsMax || bytes >= request.maxBytes
        || request.maxKeys > 0 && count >= request.maxKeys
      if isFull, isLastOfHash {
        next = after == 0 ? (item.slot + 1, 0) : (item.slot, after)
        break
      }
    }
    if !request.wantsPositions { positions = [] }
    positions.withUnsafeBufferPointer { positions in
      LinkV1.KeysPartReply(
        nextSlot: next.slot, nextCursor: next.cursor, done: next == (end, 0),
        positions: RepeatedNumbers(positions)
      ).write(into: &reply)
    }
    return reply
  }
}
