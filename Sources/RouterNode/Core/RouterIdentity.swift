// The name of a router's loop in its Hello to shards. A value; any thread.

package struct RouterIdentity: Sendable {
  package let cluster: String
  /// The router's id and the loop's number, unique among all loops that talk to the shards.
  package let router: String

  package init(cluster: String, router: String) {
    self.cluster = cluster
    self.router = router
  }
}
