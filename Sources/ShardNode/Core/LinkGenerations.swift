// The fence between a router loop's connections: once a newer one has introduced itself, what the
// older one still had in flight is not executed any more.

package struct LinkGenerations {
  /// Router loops remembered at most; the one whose Hello is oldest is forgotten first. Forgetting
  /// one lets a stale connection of that loop through, so the bound lies far above any real
  /// cluster.
  package static let routersMax = 4_096

  private var newest: [String: (generation: UInt64, order: UInt64)] = [:]
  private var order: UInt64 = 0

  package init() {}

  /// Notes a Hello. Returns false where a newer connection has introduced itself before.
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
