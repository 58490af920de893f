// The barrier between a router loop's connections: once a newer one has sent its Hello, calls of an
// older one are no longer executed.

package struct LinkGenerations {
  /// The maximum number of remembered router loops; the one with the oldest Hello is removed first.
  /// Removing one would accept a stale connection of that loop, so the limit is far above any real
  /// cluster.
  package static let routersMax = 4_096

  private var newest: [String: (generation: UInt64, order: UInt64)] = [:]
  private var order: UInt64 = 0

  package init() {}

  /// Records a Hello. Returns false if a newer connection has sent one before.
  package mutating func introduce(_ router: String, _ generation: UInt64) -> Bool {
    if let known = newest[router], known.generation > generation { return false }
    order += 1
    newest[router] = (generation, order)
    if newest.count > Self.routersMax,
      let oldest = newest.min(by: { $0.value.order < $1.value.order })
    {
      newest[oldest.key] = nil
    }
    return true
  }
}
