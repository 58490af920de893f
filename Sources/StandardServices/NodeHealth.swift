// What a node serves, for grpc.health.v1. A value; any thread.

package struct NodeHealth: Sendable {
  /// Why the node serves no call on any key; nil: it does.
  package private(set) var notReadyReason: String?
  /// The shards in the node's map, or itself if it is one, and whether it serves calls on their
  /// keys.
  package private(set) var shards: [(id: String, isServing: Bool)]

  package init(notReadyReason: String?, shards: [(id: String, isServing: Bool)]) {
    self.notReadyReason = notReadyReason
    self.shards = shards
  }

  /// What two event loops of a node serve both. While a slot map spreads, one of them may have a
  /// shard that the other doesn't have yet, or any more. O(shards of both).
  package func and(_ other: NodeHealth) -> NodeHealth {
    let ofOther = Dictionary(other.shards.map { ($0.id, $0.isServing) }) { $0 && $1 }
    let known = Set(shards.map(\.id))
    let ofBoth = shards.map { ($0.id, $0.isServing && ofOther[$0.id] == true) }
    let ofOtherAlone = other.shards.filter { !known.contains($0.id) }.map { ($0.id, false) }
    return NodeHealth(
      notReadyReason: notReadyReason ?? other.notReadyReason, shards: ofBoth + ofOtherAlone)
  }
}
