// The parts of calls on many keys and of Resets that shards have received, and when these had done
// with them. Their ids are the router's own business: a part is known by what it asks for.
//
// Owns its records. One thread; part of the observer.

struct PartObserver {
  /// What a part asks for.
  enum Work: Hashable {
    case delete([UInt8])
    case reset
  }

  private struct Part {
    let router: Int
    let work: Work
    let connection: Int
    let from: UInt64
    var to: UInt64?
  }

  private var parts: [ExecutionObserver.LinkCallKey: Part] = [:]

  /// A shard has received a part.
  mutating func received(
    _ work: Work, _ key: ExecutionObserver.LinkCallKey, over connection: Int, _ moment: UInt64
  ) {
    guard parts[key] == nil else { return }
    parts[key] = Part(
      router: key.router, work: work, connection: connection, from: moment, to: nil)
  }

  /// A shard has replied to it.
  mutating func replied(_ key: ExecutionObserver.LinkCallKey, _ moment: UInt64) {
    if parts[key]?.to == nil { parts[key]?.to = moment }
  }

  /// A shard drops what came over a connection.
  mutating func left(_ connection: Int, _ moment: UInt64) {
    for (key, part) in parts where part.connection == connection && part.to == nil {
      parts[key]?.to = moment
    }
  }

  /// A shard is gone.
  mutating func crashed(_ run: ExecutionObserver.ShardRun, _ moment: UInt64) {
    for (key, part) in parts where part.to == nil {
      let isOver = key.shard == run.shard && key.incarnation == run.incarnation
      if isOver { parts[key]?.to = moment }
    }
  }

  /// Between which moments a part of a call that began then was executed, if it was; nil if no
  /// shard has received one.
  ///
  /// - Parameter shard: the one that it is for; nil: any.
  func window(
    of work: Work, router: Int, shard: Int?, since begin: UInt64
  ) -> (from: UInt64, to: UInt64?)? {
    let mine = parts.filter { key, part in
      part.router == router && part.work == work && part.from >= begin
        && shard ?? key.shard == key.shard
    }.values
    guard let from = mine.map(\.from).min() else { return nil }
    let ends = mine.map(\.to)
    return (from, ends.contains(nil) ? nil : ends.compactMap(\.self).max())
  }
}
