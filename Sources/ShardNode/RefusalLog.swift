// The refusals of routers that were logged. A router retries with every loop and lane, several
// times a second; one line is enough until the router is accepted. One event loop.

final class RefusalLog {
  /// The maximum number of remembered refusals; past it all are removed, and logged again.
  static let toldMax = 1_024

  private var told: Set<String> = []

  /// Whether a refusal must be logged.
  ///
  /// - Parameter router: as in its Hello: the router's name, a slash and the number of its loop.
  func isNews(router: String, reason: String) -> Bool {
    if told.count >= Self.toldMax { told = [] }
    return told.insert(Self.key(router, reason)).inserted
  }

  /// A router was accepted: later refusals of it are logged again.
  func accepted(router: String) {
    guard !told.isEmpty else { return }
    let prefix = Self.key(router, "")
    told = told.filter { !$0.hasPrefix(prefix) }
  }

  private static func key(_ router: String, _ reason: String) -> String {
    router.prefix { $0 != "/" } + "\n" + reason
  }
}
