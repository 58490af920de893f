// A router whose slot map a shard refuses, because the shard has another one: it serves nothing.
//
// Two routers with different maps could otherwise put one key in two places: a shard that holds no
// keys and has been without a router drops its map. So a router whose map one shard refuses closes
// its links to all, and retries only those that refused it. Once they accept, it links with the
// others, and it serves again when all of them hold the map at one moment.
//
// What is left: see docs/CONSISTENCY.md.

import NodeCore
import RingstoreAPI

extension RouterCore {
  static var mapRefusals: [LinkRefusal] { [.mapConflict, .staleMap] }

  /// When to connect to a shard; nil if nothing is due, or while another shard holds a different
  /// map.
  func attemptAtNanos(_ shard: Int) -> UInt64? {
    guard links[shard].isMember,
      agreement.refusers.isEmpty || agreement.refusers.contains(links[shard].shardID)
    else { return nil }
    return links[shard].state.attemptAtNanos
  }

  /// Whether no call is served, because of the map.
  package var isMapRefused: Bool { agreement.isDoubted }

  /// Why no call is served; nil if the maps are known to agree.
  var mapConflict: CallError? {
    guard agreement.isDoubted else { return nil }
    if let link = links.first(where: { agreement.refusers.contains($0.shardID) }) {
      return .mapConflict(
        "shard \(link.shardID) refuses this router's (\(link.state.detail)), so the router serves "
          + "nothing. Give all routers the same shards, ids and weights.")
    }
    return .mapConflict(
      "a shard has refused this router's, so the router serves nothing until all shards have "
        + "accepted it.")
  }

  /// Why the router serves no calls on keys; nil if it serves those of at least one shard.
  package var notServingReason: String? {
    if let mapConflict { return mapConflict.message }
    guard !links.members.contains(where: { links[$0].state.isReady }) else {
      return notInForceReason
    }
    let details = links.members.prefix(Self.detailsMax).map {
      "\(links[$0].shardID): \(links[$0].state.detail)"
    }
    return "no shard can be reached (\(details.joined(separator: "; ")))"
  }

  /// The maximum number of shards named in the message if none can be reached.
  private static var detailsMax: Int { 3 }

  /// The map is refused: only the shards that refuse it are retried.
  func doubtMap() {
    care.begin()
    for other in links.indices where !agreement.refusers.contains(links[other].shardID) {
      release(other, Self.otherHoldsAnother)
    }
  }

  /// A shard has accepted the map that it, or another one, has refused. When none refuses it, the
  /// router links with the others, and the map is in force when all shards hold it at one moment.
  func endDoubt(_ shard: Int) {
    agreement.stopsRefusing(links[shard].shardID)
    if !agreement.refusers.isEmpty { release(shard, Self.otherHoldsAnother) }
  }

  private static var otherHoldsAnother: String { "another shard holds another slot map" }

  func release(_ shard: Int, _ reason: String, _ refusal: LinkRefusal? = nil) {
    guard links[shard].state.attemptAtNanos == nil else { return }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    lose(shard, reason, refusal)
  }
}
