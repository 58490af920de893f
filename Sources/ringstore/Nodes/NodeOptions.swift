// The flags that all nodes have. They are taken as text and checked together with the file and the
// environment, so that a wrong value gets the same sentence wherever it was written.

import ArgumentParser
import Glibc

struct NodeOptions: ParsableArguments {
  @Option(help: "A YAML file with settings; samples are in config/. [RINGSTORE_CONFIG]")
  var config: String?

  @Option(help: "The name or address to listen on. (default: 127.0.0.1) [RINGSTORE_HOST]")
  var host: String?

  @Option(help: "The port to listen on; 0 picks a free one. [RINGSTORE_PORT]")
  var port: String?

  @Option(help: "The cluster's name; nodes of other names are refused. [RINGSTORE_CLUSTER]")
  var cluster: String?

  @Option(
    help: "The least severe events to log: trace, debug, info, ... (default: info).")
  var logLevel: String?

  @Option(help: "Seconds that calls under way get to finish after SIGTERM. (default: 10)")
  var drainSeconds: String?

  @Option(help: "How many databases there are, numbered from 0. (default: 16)")
  var databases: String?

  @Option(help: "The longest key in bytes. (default: 65536)")
  var maxKeyBytes: String?

  @Option(help: "The longest message in bytes. (default: 4194304)")
  var maxMessageBytes: String?

  @Option(help: "The most items of one call. (default: 10000)")
  var maxItems: String?

  /// All sources of settings for a node of this kind.
  ///
  /// - Parameter flags: what the node's own flags say.
  func sources(
    _ kind: NodeKind, flags own: [Setting: [String]]
  ) async throws(ConfigurationError) -> SettingSources {
    let common: [Setting: String?] = [
      .host: host, .port: port, .cluster: cluster, .logLevel: logLevel,
      .drainSeconds: drainSeconds, .databases: databases, .maxKeyBytes: maxKeyBytes,
      .maxMessageBytes: maxMessageBytes, .maxItems: maxItems,
    ]
    let given = own.filter { !$0.value.isEmpty }.merging(
      common.compactMapValues { $0.map { [$0] } }
    ) { $1 }
    let environment = ProcessState.environment()
    var file: ConfigFile?
    if let path = config ?? environment[SettingSources.configVariable] {
      file = try await ConfigFile.load(path, for: kind)
    }
    return try SettingSources(kind, flags: given, environment: environment, file: file)
  }
}
