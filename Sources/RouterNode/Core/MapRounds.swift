// How a router's loop finds out that all shards of a map hold it at one moment.
//
// It is not enough that each of them has adopted it at some time: a shard that was restarted since
// has lost it, and may have adopted an older map from a router that doesn't have this one. So when
// all have adopted it, all are queried again. If each confirms over the same link that it still
// holds the map, all held it when the round began.
//
//   shards adopt it --all hold it, or one serves by it--> queried
//        ^                                                  |  |
//        +----------a link is lost, a shard joins-----------+  |
//                                                              |
//   in force, reported <--all confirm, or one serves by it-----+
//
// If a shard serves with the map, it reports that: then the map is already in force. A restarted
// shard is informed of that only after a round that began after it adopted the map: earlier replies
// of others could be from before its restart, and a newer map could be in force since.
//
// Pure; part of a router's core.

import Placement

struct MapRounds {
  /// Of the latest query, or of the first offer of the map.
  private(set) var number: UInt64 = 1
  /// Of the first offer of the map.
  private(set) var first: UInt64 = 1
  /// The shards that hold the map, over links that have not been lost since they confirmed it.
  private(set) var holders: Set<String> = []
  /// Those of them that serve with it: they have reported it, or were informed.
  private(set) var serving: Set<String> = []
  private var queried: Set<String> = []
  private var confirmed: Set<String> = []
  /// Whether one of them has reported that the map is in force.
  private(set) var isConfirmed = false
  /// Whether a round may end differently from the previous one.
  private var hasNews = false

  /// Another map is offered.
  mutating func restart() {
    self = MapRounds(after: number)
  }

  init() {}

  private init(after number: UInt64) {
    self.number = number + 1
    first = number + 1
  }

  mutating func holds(_ shard: String, isServing: Bool) {
    if isServing { hasNews = serving.insert(shard).inserted || hasNews }
    hasNews = holders.insert(shard).inserted || hasNews
  }

  mutating func lost(_ shard: String) {
    holders.remove(shard)
    serving.remove(shard)
    queried.remove(shard)
    confirmed.remove(shard)
    endIfConfirmed()
  }

  mutating func confirmed(_ shard: String, _ round: UInt64, isInForce: Bool) {
    guard round == number, queried.contains(shard) else { return }
    confirmed.insert(shard)
    if isInForce { isConfirmed = true }
  }

  /// Whether all shards of the map held it when the round began.
  func isHeldByAll(of map: SlotMap) -> Bool {
    map.shards.allSatisfy { confirmed.contains($0.id) }
  }

  /// The map is in force. Returns the shards that must be informed.
  mutating func end() -> Set<String> {
    let informed = queried.subtracting(serving)
    serving.formUnion(informed)
    close()
    return informed
  }

  /// Begins a round, if it can show more than the last. Returns the shards to query.
  ///
  /// - Parameter trustsReports: whether it is enough that one shard serves by the map.
  mutating func next(of map: SlotMap, isInForce: Bool, trustsReports: Bool) -> Set<String> {
    endIfConfirmed()
    guard queried.isEmpty, hasNews, !isInForce || holders != serving,
      trustsReports && !serving.isEmpty || map.shards.allSatisfy({ holders.contains($0.id) })
    else { return [] }
    hasNews = false
    number += 1
    queried = holders
    return queried
  }

  private mutating func endIfConfirmed() {
    if queried == confirmed { close() }
  }

  private mutating func close() {
    queried = []
    confirmed = []
    isConfirmed = false
  }
}
