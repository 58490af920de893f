// What a router does that a shard holds another slot map than its own: it serves nothing.
//
// Two routers with different maps that both found shards to obey them would put one key in two
// places. Each shard obeys one map, but a shard that has just started knows none and takes the first
// that comes. So a router that any shard refuses for its map lets go of all others, whatever they
// would take, and asks only those that refused it again. Once they accept it greets the others, and
// it serves again when all of them, at one time, have accepted: a shard that holds no keys and
// whose routers are gone takes any map, so the word of one is not enough.

import NodeCore
import RingstoreAPI

extension RouterCore {
  static var mapRefusals: [LinkRefusal] { [.mapConflict, .staleMap] }

  /// When to dial a shard; nil where nothing is due, or while another one holds another map.
  func attemptAtNanos(_ shard: Int) -> UInt64? {
    guard mapRefusers.isEmpty || mapRefusers.contains(shard) else { return nil }
    return links[shard].state.attemptAtNanos
  }

  /// Whether no call is served, because of the map.
  package var isMapRefused: Bool { isMapDoubted }

  /// Why no call is served; nil where the maps agree, as far as is known.
  var mapConflict: CallError? {
    guard isMapDoubted else { return nil }
    if let shard = mapRefusers.min() {
      return .mapConflict(
        "shard \(shardIDs[shard]) refuses this router's (\(links[shard].state.detail)), so the router "
          + "serves nothing. Give all routers the same shards, ids and weights.")
    }
    return .mapConflict(
      "a shard has refused this router's, so the router serves nothing until all shards have "
        + "accepted it.")
  }

  /// Why the router answers no call on any key; nil where it answers those of one shard at least.
  package var notServingReason: String? {
    if let mapConflict { return mapConflict.message }
    guard !links.contains(where: { $0.state.isReady }) else { return nil }
    let details = links.prefix(Self.detailsMax).map { "\($0.shardID): \($0.state.detail)" }
    return "no shard can be reached (\(details.joined(separator: "; ")))"
  }

  /// Shards that are named where none can be reached.
  private static var detailsMax: Int { 3 }

  /// A shard has refused the router's Hello.
  func mapRefused(_ shard: Int, _ reason: String) {
    guard Self.mapRefusals.contains(where: { $0.rawValue == reason }) else { return }
    mapRefusers.insert(shard)
    isMapDoubted = true
    for other in links.indices where !mapRefusers.contains(other) { letGo(other) }
  }

  /// A shard has accepted the router's map.
  func mapAccepted(_ shard: Int) {
    mapRefusers.remove(shard)
    if !mapRefusers.isEmpty {
      letGo(shard)
    } else if isMapDoubted, links.allSatisfy(\.state.isReady) {
      isMapDoubted = false
    }
  }

  private func letGo(_ shard: Int) {
    guard links[shard].state.attemptAtNanos == nil else { return }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    lose(shard, "another shard holds another slot map")
  }
}
