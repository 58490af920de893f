// What can be wrong with a list of shards or a slot map's document. Each case has a sentence an
// operator can act on.
//
// Owns nothing. A value; any thread.

package enum PlacementError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The list of shards is empty.
  case noShards
  /// More than `SlotMap.shardCountMax` shards.
  case tooManyShards(count: Int)
  /// The shard at this place (from 0) has an empty id.
  case emptyID(position: Int)
  /// A shard has the id that is reserved for the router.
  case reservedID(String)
  /// Two shards have this id.
  case duplicateID(String)
  /// This shard's weight is not a finite number above zero.
  case badWeight(id: String, weight: Double)
  /// The ranges of a document don't cover every slot once, in order, with known shards.
  case badRanges(String)
  /// What is on record of this shard's data has a lineage of another length.
  case badLineage(id: String)
  /// The epoch has no successor.
  case epochExhausted

  package var description: String {
    switch self {
    case .noShards:
      "the list of shards is empty; a cluster needs at least one"
    case .tooManyShards(let count):
      "\(count) shards are listed; at most \(SlotMap.shardCountMax) are supported"
    case .emptyID(let position):
      "shard number \(position + 1) of the list has an empty id"
    case .reservedID(let id):
      "a shard can't have the id '\(id)': in calls about a node it stands for the router"
    case .duplicateID(let id):
      "the shard id '\(id)' is listed more than once"
    case .badWeight(let id, let weight):
      "shard '\(id)' has the weight \(weight); a weight must be a finite number above 0"
    case .badRanges(let reason):
      "the slot ranges are not valid: \(reason)"
    case .badLineage(let id):
      "the lineage of shard '\(id)' doesn't have \(DataLineage.byteCount) bytes"
    case .epochExhausted:
      "the slot map's epoch is the largest possible; it can't be changed any more"
    }
  }
}
