// `ringstore admin` about one node: what it does, who is connected, what it logs and has kept of
// slow calls, its settings, its end.

import RingstoreClient
import TextForms

extension AdminCommand {
  func lookIntoNode(_ client: RingstoreClient, _ options: RingstoreCallOptions) async throws {
    switch action {
    case .top:
      try await ClusterTop(client: client, options: options, node: node, json: json)
        .run(interval: .seconds(interval), looks: count)
    case .clients:
      let report = try await client.connections(
        ofNode: node, count: count ?? 100, options: options)
      try show(NodeText.text(report), NodeText.json(report), missing: [])
    case .kill: try await kill(subject ?? "", client, options)
    case .loglevel:
      let level = try await client.logLevel(subject, ofNode: node, options: options)
      try show(NodeText.text(level), NodeText.json(level), missing: [])
    case .slowlog:
      let log = try await client.slowLog(
        ofNode: node, count: count ?? 10, isReset: reset, options: options)
      try show(SlowLogText.text(log), SlowLogText.json(log), missing: [])
    case .config:
      let settings = try await client.settings(ofNode: node, options: options)
      try show(SettingsText.text(settings), SettingsText.json(settings), missing: [])
    case .drain:
      try await client.shutdown(node: node, options: options)
      let name = node.isEmpty ? "The node at --server" : node
      try show(
        "\(name) drains, and its process exits.", .object([.init("drains", .bool(true))]),
        missing: [])
    default: break
    }
  }

  private func kill(
    _ text: String, _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    guard let id = UInt64(text) else {
      throw ConfigurationError(
        "kill needs the id of a connection, a number; `ringstore admin clients` lists them.")
    }
    guard try await client.endConnection(id, ofNode: node, options: options) else {
      throw Unhealthy("the node has no connection \(id)")
    }
    try show(
      "connection \(id) was ended", .object([.init("ended", .bool(true))]), missing: [])
  }
}
