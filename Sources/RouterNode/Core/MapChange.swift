// A change of the list of shards that this router makes: the steps to the new map, and the shards
// that have not replied yet.
//
//   checking --no shard holds keys that would move--> dialing --newcomers are reached--> adopting
//      |                                                 |                                  |
//      +--refused, a shard is away-----------------------+------------> ended <--in force---+
//
// Nothing has changed until `adopting` begins. Pure; part of a router's core.

import Placement

/// The result of a change.
package struct MapChangeReport: Sendable, Hashable {
  /// Of the map in force at its end.
  package var epoch: UInt64
  package var added: [String] = []
  package var dropped: [String] = []
  package var readdressed: [String] = []
  package var moves: [SlotMove] = []
  /// Why a change that is only planned would be refused.
  package var obstacle = ""
}

/// Why a change was not made, in one sentence.
package struct MapChangeRefusal: Error, Sendable, Hashable {
  package let sentence: String
}

/// Called once with the result of a change.
package typealias MapChangeEnd = (Result<MapChangeReport, MapChangeRefusal>) -> Void

struct MapChange {
  enum Phase {
    /// Shards that have not reported yet whether they can give up their slots.
    case checking(Set<String>)
    /// New shards that have not been reached yet.
    case dialing(Set<String>)
    case adopting
  }

  let list: [ShardDescription]
  /// The maps that have not come into force yet.
  var steps: [SlotMap]
  let report: MapChangeReport
  let isPlan: Bool
  var phase: Phase
  let dueNanos: UInt64
  /// Why a shard didn't adopt a step.
  var refusal: String?
  let end: MapChangeEnd
}
