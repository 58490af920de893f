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
  private enum Phase {
    /// Shards that have not reported yet whether they can give up their slots.
    case checking(Set<String>)
    /// New shards that have not been reached yet.
    case dialing(Set<String>)
    case adopting
  }

  let list: [ShardDescription]
  let report: MapChangeReport
  let isPlan: Bool
  let dueNanos: UInt64
  let end: MapChangeEnd
  /// The maps that have not come into force yet.
  private var steps: [SlotMap]
  private var phase = Phase.checking([])
  /// Why a shard didn't adopt a step.
  private(set) var refusal: String?

  init(
    to list: [ShardDescription], by steps: [SlotMap], _ report: MapChangeReport, isPlan: Bool,
    dueNanos: UInt64, end: @escaping MapChangeEnd
  ) {
    self.list = list
    self.steps = steps
    self.report = report
    self.isPlan = isPlan
    self.dueNanos = dueNanos
    self.end = end
  }

  /// The map that is to come into force next.
  var next: SlotMap? { steps.first }

  /// Whether shards may have taken over what it changes.
  var isAdopting: Bool { if case .adopting = phase { true } else { false } }

  // MARK: - Checking

  /// These shards are asked whether they could give away what the next map takes from them.
  mutating func ask(_ shards: Set<String>) { phase = .checking(shards) }

  /// Whether shards are being asked about a map of this epoch.
  func asks(about epoch: UInt64) -> Bool {
    if case .checking = phase { next?.epoch == epoch } else { false }
  }

  /// A shard that was asked could.
  mutating func agreed(_ shard: String) {
    guard case .checking(var missing) = phase else { return }
    missing.remove(shard)
    phase = .checking(missing)
  }

  /// Whether all shards that are asked have agreed.
  var isChecked: Bool { if case .checking(let missing) = phase { missing.isEmpty } else { false } }

  // MARK: - Newcomers

  /// These shards join, and are reached first.
  mutating func dial(_ newcomers: Set<String>) { phase = .dialing(newcomers) }

  /// The map that lists newcomers, while they are being reached.
  var dialedMap: SlotMap? { if case .dialing = phase { next } else { nil } }

  mutating func reached(_ shard: String) {
    guard case .dialing(var missing) = phase else { return }
    missing.remove(shard)
    phase = .dialing(missing)
  }

  /// Whether all newcomers have been reached.
  var hasReachedAll: Bool {
    if case .dialing(let missing) = phase { missing.isEmpty } else { false }
  }

  /// What is awaited of a shard.
  enum Awaited { case reply, link }

  func awaits(_ shard: String) -> Awaited? {
    switch phase {
    case .checking(let missing) where missing.contains(shard): .reply
    case .dialing(let missing) where missing.contains(shard): .link
    case .checking, .dialing, .adopting: nil
    }
  }

  // MARK: - Adopting

  /// The next map is sent to all shards. Returns it.
  mutating func adopt() -> SlotMap? {
    phase = .adopting
    return next
  }

  /// A shard has not taken over a map of this epoch, which others may have.
  mutating func refused(_ sentence: String, epoch: UInt64) {
    if isAdopting, next?.epoch == epoch { refusal = sentence }
  }

  /// What follows when a map has come into force.
  enum InForce {
    /// It has nothing to do with this change.
    case nothing
    /// It is another one than the change was about to bring.
    case overtaken
    /// The next step.
    case propose(SlotMap)
    case complete
  }

  mutating func cameIntoForce(_ map: SlotMap) -> InForce {
    guard isAdopting, let step = next else { return .nothing }
    guard map.sameContent(as: step), map.epoch == step.epoch else { return .overtaken }
    steps.removeFirst()
    return next.map { .propose($0) } ?? .complete
  }
}
