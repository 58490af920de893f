// A walk over the keys of the cluster, in the order of their positions: the common part of Keys and
// Scan. Slots before its position are done; it queries the owners of later ones for their keys. So
// when a newer slot map comes into force it restarts at its position with the new owners, as with a
// token in another process: no key is repeated, and no key that stays is missed.
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
  /// How often the walk has restarted with other owners: replies of earlier rounds are ignored.
  private var round = 0
  /// Unreachable shards that were not reported to the caller yet.
  private var unreachable: [CallError] = []

  /// In tags, above the number of a shard.
  private static let roundBits = 16

  /// - Parameter windowSlots: how far a shard may be ahead of the slowest one.
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
  /// - Throws: INTERNAL if it is inconsistent.
  mutating func received(_ tag: Int, _ response: UnsafeRawBufferPointer) throws(CallError) {
    // A shard that has replied by the map before may not have had all keys of its slots.
    if isOutdated { return begin(at: merger.position) }
    if let shard = shard(of: tag) { try merger.add(response, shard: shard) }
  }

  /// - Throws: the error, if the walk can't continue without the shard.
  mutating func failed(_ tag: Int, _ error: CallError) throws(CallError) {
    guard !isOutdated, let shard = shard(of: tag) else { return }
    guard allowsPartial, error.code == .unavailable else { throw error }
    merger.markMissing(shard)
    unreachable.append(error)
  }

  private func shard(of tag: Int) -> Int? {
    tag >> Self.roundBits == round ? tag & (1 << Self.roundBits - 1) : nil
  }

  /// The slices to request now. O(shards).
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

  /// Takes the next key in order; nil if a shard has to reply first, or there are no more.
  mutating func draw() -> KeyMerger.Key? { merger.draw() }

  /// All keys before this position have been drawn, and none from it on. It may be sent to the
  /// caller; if the caller may see only some keys, it can stay the same for many slices.
  var position: ScanPosition { query.hidesKeys ? merger.positionOfSeen : merger.position }
  func token(of position: ScanPosition) -> [UInt8] { query.token(of: position) }
  var isDone: Bool { merger.isDone }
  var heldBytes: Int { merger.heldBytes }

  /// The shards that became unreachable since the last call of this.
  mutating func takeUnreachable() -> [CallError] {
    defer { unreachable = [] }
    return unreachable
  }
}
