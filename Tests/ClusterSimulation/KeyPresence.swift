// Which keys were there all the time while a walk continued: the shards' stores are looked at after
// each of their events, as long as it is needed.
//
// Owns the moments at which keys were seen absent. One thread.

final class KeyPresence {
  private unowned let cluster: SimulatedCluster
  private var walks = 0
  private var looks: UInt64 = 0
  /// The last look at which a key was absent.
  private var absentAt: [[UInt8]: UInt64] = [:]
  /// The last look at which it was there.
  private var presentAt: [[UInt8]: UInt64] = [:]
  /// The keys of each shard.
  private let keys: [[[UInt8]]]

  init(_ cluster: SimulatedCluster) {
    self.cluster = cluster
    var keys: [[[UInt8]]] = cluster.shards.map { _ in [] }
    for key in cluster.generator.keys {
      if cluster.context.configuration.changesMap {
        for shard in keys.indices { keys[shard].append(key.name) }
      } else {
        keys[cluster.owner(of: key.name)].append(key.name)
      }
    }
    self.keys = keys
  }

  /// A walk begins. Returns the moment, for `stayed`.
  func begin() -> UInt64 {
    walks += 1
    for shard in cluster.shards { note(shard) }
    return looks
  }

  func end() {
    walks -= 1
  }

  /// A shard's store may have changed.
  func look(at shard: SimulatedShard) {
    if walks > 0 { note(shard) }
  }

  private func note(_ shard: SimulatedShard) {
    looks += 1
    guard shard.showsKeys else { return }
    for key in keys[shard.number] {
      let isThere = holds(key, shard)
      // A key whose slot isn't served may be shown, and need not be: it counts as both.
      if isThere || mayBeShown(key, shard) { presentAt[key] = looks }
      if !isThere { absentAt[key] = looks }
    }
  }

  /// Where keys may come to other shards, no shard may have it.
  private func holds(_ key: [UInt8], _ shard: SimulatedShard) -> Bool {
    shard.holds(key)
      || cluster.context.configuration.changesMap && cluster.shards.contains { $0.holds(key) }
  }

  private func mayBeShown(_ key: [UInt8], _ shard: SimulatedShard) -> Bool {
    let places = cluster.context.configuration.changesMap ? cluster.shards : [shard]
    return places.contains { $0.showsKeys && $0.core.unserved(key) != nil }
  }

  /// Whether a key was there at some look since a walk began.
  func wasThere(_ key: [UInt8], since begin: UInt64) -> Bool {
    presentAt[key].map { $0 + UInt64(cluster.shards.count) > begin } ?? false
  }

  /// Whether a key was there at each look since a walk began.
  func stayed(_ key: [UInt8], since begin: UInt64) -> Bool {
    guard let absent = absentAt[key] else { return true }
    // The looks of the beginning itself come right before the moment, and count.
    return absent + UInt64(cluster.shards.count) <= begin
  }
}
