// How a router's loop finds out that all shards of a map hold it at one moment.
//
// That each of them has adopted it at some time is not enough: a shard that was restarted since has
// forgotten it, and may have adopted an older map from a router that has not heard of this one. So
// when all have adopted it, all are asked again. Where each says over the same link that it holds
// it still, all held it when they were asked.
//
//   shards adopt it --all hold it, or one serves by it--> asked --all say so, or one serves by
//   it--> told
//        ^                                                  |
//        +----------a link is lost, a shard joins-----------+
//
// A shard that serves by it says so: then the map has come into force before. A shard that was
// restarted is told so too only after a round that has begun since it adopted the map: what others
// said before could be about the time before its restart, and a newer map in force since.
//
// Pure; part of a router's core.

import Placement

struct MapRounds {
  /// Of the latest question, or of the first offer of the map.
  private(set) var number: UInt64 = 1
  /// Of the first offer of the map.
  private(set) var first: UInt64 = 1
  /// The shards that hold the map, over links that have not been lost since they said so.
  private(set) var holders: Set<String> = []
  /// Those of them that serve by it: they have said so, or were told to.
  private(set) var serving: Set<String> = []
  private var asked: Set<String> = []
  private var answered: Set<String> = []
  /// Whether one of them has answered that the map is in force.
  private(set) var isConfirmed = false
  /// Whether a round may come to another end than the one before.
  private var hasNews = false

  /// Another map is offered.
  mutating func beginAnew() {
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
    asked.remove(shard)
    answered.remove(shard)
    endIfAnswered()
  }

  mutating func answered(_ shard: String, _ round: UInt64, isInForce: Bool) {
    guard round == number, asked.contains(shard) else { return }
    answered.insert(shard)
    if isInForce { isConfirmed = true }
  }

  /// Whether all shards of the map have held it when they were asked.
  func isHeldByAll(of map: SlotMap) -> Bool {
    map.shards.allSatisfy { answered.contains($0.id) }
  }

  /// The map is in force. Returns who is to be told.
  mutating func end() -> Set<String> {
    let told = asked.subtracting(serving)
    serving.formUnion(told)
    close()
    return told
  }

  /// Begins a round, where one can say more than the last. Returns who is to be asked.
  ///
  /// - Parameter takesWord: whether it is enough that one shard serves by the map.
  mutating func next(of map: SlotMap, isInForce: Bool, takesWord: Bool) -> Set<String> {
    endIfAnswered()
    guard asked.isEmpty, hasNews, !isInForce || holders != serving,
      takesWord && !serving.isEmpty || map.shards.allSatisfy({ holders.contains($0.id) })
    else { return [] }
    hasNews = false
    number += 1
    asked = holders
    return asked
  }

  private mutating func endIfAnswered() {
    if asked == answered { close() }
  }

  private mutating func close() {
    asked = []
    answered = []
    isConfirmed = false
  }
}
