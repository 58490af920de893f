// The links of a router's loop to all shards that ever existed, each at a fixed place, and the
// slots of each. Pure; part of a router's core.

import Placement

struct LinkTable: RandomAccessCollection, MutableCollection {
  private var links: [RouterLink]
  /// The place of each slot's owner.
  private var owners: ContiguousArray<UInt16>
  private var epoch: UInt64
  /// The places of the shards of the map in force, in the map's order.
  private(set) var members: [Int]
  /// The addresses of the router's list; for other shards the map has the address.
  private(set) var listedAddresses: [String: String] = [:]
  private let limits: LinkLimits
  private let firstGeneration: UInt64
  private let seed: UInt64

  /// - Parameters:
  ///   - firstGeneration: a number no earlier run of this router's loop has reached.
  ///   - seed: for the jitter of reconnects.
  init(_ map: SlotMap, _ limits: LinkLimits, firstGeneration: UInt64, seed: UInt64) {
    self.limits = limits
    self.firstGeneration = firstGeneration
    self.seed = seed
    links = []
    members = Array(map.shards.indices)
    owners = map.owners
    epoch = map.epoch
    for shard in map.shards {
      listedAddresses[shard.id] = shard.address
      append(shard.id, shard.address)
    }
  }

  var startIndex: Int { 0 }
  var endIndex: Int { links.count }

  /// Reads copy nothing when optimised. With `_read` an unoptimised build took fields of fields
  /// from the coroutine's memory after its end, which AddressSanitizer reports.
  subscript(place: Int) -> RouterLink {
    @inline(__always) get { links[place] }
    @inline(__always) _modify { yield &links[place] }
  }

  /// The place of a slot's owner. O(1).
  @inline(__always)
  func owner(ofSlot slot: Int) -> Int { Int(owners[slot]) }

  func place(of id: String) -> Int? { links.firstIndex { $0.shardID == id } }

  /// The place of the link to a shard, which is added if it is missing.
  mutating func join(_ shard: ShardDescription) -> Int {
    let address = listedAddresses[shard.id] ?? shard.address
    let place = place(of: shard.id) ?? append(shard.id, address)
    if !links[place].isMember {
      links[place].join()
      links[place].readdress(to: address)
      // Calls wait until the link is made, or can't be.
      if !links[place].state.isReady { links[place].wait(untilNanos: .max) }
    }
    return place
  }

  @discardableResult
  private mutating func append(_ id: String, _ address: String) -> Int {
    let place = links.count
    links.append(
      RouterLink(
        shardID: id, address: address,
        state: LinkState(firstGeneration: firstGeneration, seed: seed &+ UInt64(place)), limits))
    if !members.contains(place) { links[place].leave() }
    return place
  }

  mutating func list(_ shard: ShardDescription) {
    listedAddresses[shard.id] = shard.address
  }

  /// Another map is in force: its shards are the members, and have its slots. Links of others are
  /// closed when no calls are in progress on them. Returns whether the epoch has changed.
  @discardableResult
  mutating func adopt(_ map: SlotMap) -> Bool {
    defer { epoch = map.epoch }
    let old = members
    members = map.shards.map { join($0) }
    let places = members.map { UInt16($0) }
    owners = ContiguousArray(map.owners.map { places[Int($0)] })
    for place in old where !members.contains(place) { links[place].leave() }
    return epoch != map.epoch
  }
}
