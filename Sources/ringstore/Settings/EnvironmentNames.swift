// The meaning of a process's variables for a node. Settings are used; names of the project's own
// scripts and tests are accepted; variables that an orchestrator sets for a service named ringstore
// are recognised; any other is logged, because it may be a typing error. None of them stops a node:
// an environment is often made for other programs too. Pure, any thread.

package enum EnvironmentNames {
  /// Names of the program that are no settings, of deploy/ and of the tests.
  private static let others = [
    "CONFIG", "HISTORY", "SERVER", "TOKEN", "IMAGE", "PUBLISH", "SHARD_PORT", "BINARY", "FUZZ",
    "CLIENT_TLS", "CLIENT_TLS_CA", "CLIENT_TLS_CERTIFICATE", "CLIENT_TLS_KEY",
    "CLIENT_TLS_SERVER_NAME",
  ]
  private static let otherBeginnings = ["TEST_", "BENCH_"]
  /// Of these a person may have meant one.
  private static let offered =
    Setting.allCases.map(\.environmentName)
    + ["CONFIG", "HISTORY", "SERVER", "TOKEN"].map { Setting.environmentPrefix + $0 }

  /// The variables that a node may read, and a sentence for each of ours that it passes over.
  package static func sorted(
    _ environment: [String: String]
  ) -> (taken: [String: String], remarks: [String]) {
    var taken = environment
    var remarks: [String] = []
    for (name, value) in environment.sorted(by: { $0.key < $1.key })
    where name.hasPrefix(Setting.environmentPrefix) {
      let isSetting = Setting.allCases.contains { $0.environmentName == name }
      if isOfService(name, value) {
        taken[name] = nil
        guard isSetting else { continue }
        remarks.append(
          "\(name) is '\(value)', as orchestrators set it for a service of that name; "
            + "it is ignored, since it is not a port to listen on")
      } else if !isSetting, !isKnown(name) {
        taken[name] = nil
        let meant = nearest(name, of: offered).map { "; did you mean \($0)?" } ?? ""
        remarks.append("the environment variable \(name) is not a setting of Ringstore\(meant)")
      }
    }
    return (taken, remarks)
  }

  private static func isKnown(_ name: String) -> Bool {
    let rest = name.dropFirst(Setting.environmentPrefix.count)
    return others.contains(String(rest)) || otherBeginnings.contains { rest.hasPrefix($0) }
  }

  /// Whether Kubernetes, or Docker's links, set this for a service: RINGSTORE_SERVICE_HOST,
  /// RINGSTORE_SERVICE_PORT_GRPC, RINGSTORE_PORT=tcp://10.0.0.1:50051,
  /// RINGSTORE_PORT_50051_TCP_ADDR; and the same of services whose names only begin with ringstore.
  package static func isOfService(_ name: String, _ value: String) -> Bool {
    let words = name.split(separator: "_", omittingEmptySubsequences: false)
    let transports = ["TCP", "UDP", "SCTP"]
    if words.last == "PORT",
      transports.contains(where: { value.hasPrefix($0.lowercased() + "://") })
    {
      return true
    }
    return words.indices.contains { place in
      let behind = words[(place + 1)...]
      switch words[place] {
      case "SERVICE": return behind.first == "HOST" && behind.count == 1 || behind.first == "PORT"
      case "PORT":
        return behind.count >= 2 && Int(behind[place + 1]) != nil
          && transports.contains(String(behind[place + 2]))
      default: return false
      }
    }
  }

  /// The name that differs by a letter or two, and not by more than half of its letters.
  static func nearest(_ name: String, of names: [String]) -> String? {
    let distances = names.map { (name: $0, distance: distance(name, $0)) }
    guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= 2 && best.distance * 2 <= name.utf8.count ? best.name : nil
  }

  /// Levenshtein's: insertions, deletions and replacements. O(product of the lengths).
  private static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one.utf8.prefix(64)), Array(other.utf8))
    var row = Array(0...other.count)
    for (place, letter) in one.enumerated() {
      var before = row[0]
      row[0] = place + 1
      for column in other.indices {
        let replaced = before + (letter == other[column] ? 0 : 1)
        before = row[column + 1]
        row[column + 1] = min(replaced, before + 1, row[column] + 1)
      }
    }
    return row[other.count]
  }
}
