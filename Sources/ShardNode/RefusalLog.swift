// Which refusals of routers the shard's log has told. A router continues asking, with every loop
// and lane, some times a second; one line says it all until the router is accepted. One event loop.

final class RefusalLog {
  /// Remembered at most; past it all are forgotten, and told once more.
  static let toldMax = 1_024

  private var told: Set<String> = []

  /// Whether a refusal is to be told.
  ///
  /// - Parameter router: as its Hello says: the router's name, a slash and the number of its loop.
  func isNews(router: String, reason: String) -> Bool {
    if told.count >= Self.toldMax { told = [] }
    return told.insert(Self.key(router, reason)).inserted
  }

  /// A router was accepted: what is refused of it from now on is news.
  func accepted(router: String) {
    guard !told.isEmpty else { return }
    let prefix = Self.key(router, "")
    told = told.filter { !$0.hasPrefix(prefix) }
  }

  private static func key(_ router: String, _ reason: String) -> String {
    router.prefix { $0 != "/" } + "\n" + reason
  }
}
