// A walk over the keys of the cluster, in the order of their positions: what Keys and Scan have in
// common. It knows the slots before its position as done, and asks the owners of those behind it
// for their keys. So when a newer slot map comes into force it starts again at its position with
// the new owners, as it would with a token in another process: nothing is repeated, and nothing
// that stays is missed.
//
// A state machine without input or output of its own, owned by one operation.

import NIOCore
import RingstoreAPI

struct KeyWalk {
  private let query: KeyQuery
  private let allowsPartial: Bool
  private let windowSlots: UInt32
  /// Where the walk begins.
  private let from: ScanPosition
  private var merger: KeyMerger
  /// Slot maps and their owners are the node's.
  private unowned var cluster: (any FanoutCluster)?
  private var mapEpoch: UInt64 = 0
  /// How often the walk has begun with other owners: answers of earlier rounds are passed over.
  private var round = 0
  /// Shards that could not be asked, and that the caller has not been told of yet.
  private var unreachable: [CallError] = []

  /// In tags, above the number of a shard.
  private static let roundBits = 16

  /// - Parameter windowSlots: how far a shard may be ahead of the one most behind.
  init(
    _ query: KeyQuery, from position: ScanPosition, allowsPartial: Bool,
    windowSlots: UInt32 = KeyMerger.windowSlots
  ) {
    self.query = query
    self.allowsPartial = allowsPartial
    self.windowSlots = windowSlots
    from = position
    merger = KeyMerger(shards: 0, from: position, windowSlots: windowSlots)
  }

  mutating func start(on cluster: any FanoutCluster) {
    self.cluster = cluster
    begin(at: from)
  }

  private var isOutdated: Bool { cluster.map { $0.mapEpoch != mapEpoch } ?? false }

  private mutating func begin(at position: ScanPosition) {
    guard let cluster else { return }
    mapEpoch = cluster.mapEpoch
    round += 1
    merger = KeyMerger(
      shards: cluster.shardIDs.count, from: position, windowSlots: windowSlots)
  }

  // MARK: - Slices

  /// Takes a slice's reply. O(keys).
  ///
  /// - Throws: INTERNAL where it doesn't hold together.
  mutating func answered(_ tag: Int, _ response: UnsafeRawBufferPointer) throws(CallError) {
    // A shard that has replied by the map before may not have had all keys of its slots.
    if isOutdated { return begin(at: merger.position) }
    if let shard = shard(of: tag) { try merger.add(response, shard: shard) }
  }

  /// - Throws: the error, where the walk can't continue without the shard.
  mutating func failed(_ tag: Int, _ error: CallError) throws(CallError) {
    guard !isOutdated, let shard = shard(of: tag) else { return }
    guard allowsPartial, error.code == .unavailable else { throw error }
    merger.markMissing(shard)
    unreachable.append(error)
  }

  private func shard(of tag: Int) -> Int? {
    tag >> Self.roundBits == round ? tag & (1 << Self.roundBits - 1) : nil
  }

  /// The slices to ask for now. O(shards).
  ///
  /// - Parameter maxKeys: the most keys that are of use to the caller.
  mutating func nextSlices(maxKeys: UInt32 = .max) -> [FanoutAction] {
    if isOutdated { begin(at: merger.position) }
    return merger.nextSlices(query, maxKeys: maxKeys).map { shard, request in
      .send(
        SubRequest(
          tag: round << Self.roundBits | shard, .keysPart, shard: shard, lane: .bulk,
          request: request))
    }
  }

  // MARK: - Keys

  /// Takes the next key in order; nil where a shard has to answer first, or there are no more.
  mutating func draw() -> KeyMerger.Key? { merger.draw() }

  /// Everything before this position has been drawn, and nothing from it on. It may be told to the
  /// caller; where he may see only some keys, it can stay where it is for many slices.
  var position: ScanPosition { query.hidesKeys ? merger.positionOfSeen : merger.position }
  func token(of position: ScanPosition) -> [UInt8] { query.token(of: position) }
  var isDone: Bool { merger.isDone }
  var heldBytes: Int { merger.heldBytes }

  /// The shards that could not be asked since the last call of this.
  mutating func takeUnreachable() -> [CallError] {
    defer { unreachable = [] }
    return unreachable
  }
}
