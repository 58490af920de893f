// The flags that all nodes have. They are read as text and checked together with the file and the
// environment, so that a wrong value gets the same message in every place.

import ArgumentParser
import Glibc

struct NodeOptions: ParsableArguments {
  /// The help on the flags that every node has.
  ///
  /// - Parameter needed: the setting that has no default; nil: all have one.
  static func discussion(needed: Setting?, _ kind: NodeKind) -> String {
    let need = needed.map {
      " Required: \($0.flag(kind)), as a flag, as \($0.environmentName), or as \($0.rawValue)."
    }
    return """
      Each setting can be set in three ways. A flag (--line-port) overrides an environment \
      variable (RINGSTORE_LINE_PORT), which overrides a key in the file (line_port).\(need ?? "")
      """
  }

  @Option(help: "A YAML file with settings; samples are in config/.")
  var config: String?

  @Option(help: "The name or address to listen on. (default: 127.0.0.1)")
  var host: String?

  @Option(
    parsing: .unconditional,
    help: "The port of the line protocol; 0 picks a free one, off turns it off. (default: 9999)")
  var linePort: String?

  @Option(help: "The cluster's name; nodes with another name are refused. (default: ringstore)")
  var cluster: String?

  @Option(
    help: "The least severe events to log: trace, debug, info, ... (default: info)")
  var logLevel: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds for calls in progress to finish after SIGTERM. (default: 10)")
  var drainSeconds: String?

  @Option(
    parsing: .unconditional, help: "How many databases there are, numbered from 0. (default: 16)")
  var databases: String?

  @Option(parsing: .unconditional, help: "The longest key in bytes. (default: 65536)")
  var maxKeyBytes: String?

  @Option(parsing: .unconditional, help: "The longest message in bytes. (default: 4194304)")
  var maxMessageBytes: String?

  @Option(parsing: .unconditional, help: "The most items of one call. (default: 10000)")
  var maxItems: String?

  @Option(
    parsing: .unconditional,
    help: "Bytes for replies to calls on many keys. (default: 67108864)")
  var replyMemoryBytes: String?

  @Option(
    parsing: .unconditional,
    help: "Bytes that the node may hold for clients. (default: 536870912)")
  var clientMemoryBytes: String?

  @Option(
    help:
      "The seed for hashing keys, as file:PATH of 32 hexadecimal digits. (default: public)")
  var hashSeed: String?

  /// All sources of settings for a node of this kind.
  ///
  /// - Parameter flags: the help on the other flags, group by group.
  func sources(
    _ kind: NodeKind, flags own: [[Setting: [String]]]
  ) async throws(ConfigurationError) -> SettingSources {
    var flags: [Setting: [String]] = [
      .host: given(host), .linePort: given(linePort),
      .cluster: given(cluster), .logLevel: given(logLevel),
      .drainSeconds: given(drainSeconds), .databases: given(databases),
      .maxKeyBytes: given(maxKeyBytes),
      .maxMessageBytes: given(maxMessageBytes), .maxItems: given(maxItems),
      .replyMemoryBytes: given(replyMemoryBytes), .clientMemoryBytes: given(clientMemoryBytes),
      .hashSeed: given(hashSeed),
    ]
    for group in own { flags.merge(group) { $1 } }
    flags = flags.filter { !$0.value.isEmpty }
    let environment = ProcessState.environment()
    var file: ConfigFile?
    if let path = config ?? environment[SettingSources.configVariable] {
      file = try await ConfigFile.load(path, for: kind)
    }
    return SettingSources(kind, flags: flags, environment: environment, file: file)
  }
}

/// The flags about clients' connections.
struct ConnectionOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "Connections that clients may have. (default: as descriptors allow, at most 65536)")
  var maxConnections: String?

  @Option(
    parsing: .unconditional,
    help: "Connections that one address may have; 0: no limit. (default: 0)")
  var maxConnectionsPerAddress: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds of silence until a client gets a PING; 0: never. (default: 60)")
  var keepaliveSeconds: String?

  @Option(parsing: .unconditional, help: "Seconds to wait for its reply. (default: 20)")
  var keepaliveTimeoutSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds that a gRPC connection may be without a call; 0: no limit. (default: 3600)")
  var idleSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds that a line connection may be idle; 0: no limit. (default: 0)")
  var lineIdleSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Minimum seconds between a client's PINGs with an open call. (default: 300)")
  var minPingSeconds: String?

  @Option(
    parsing: .unconditional, help: "Minimum seconds between them without a call. (default: 7200)")
  var minIdlePingSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds until a gRPC connection is drained, within a tenth; 0: never. (default: 0)"
  )
  var maxConnectionAgeSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds for its calls in progress to finish then. (default: 60)")
  var maxConnectionAgeGraceSeconds: String?

  @Option(
    parsing: .unconditional, help: "Open calls on one gRPC connection. (default: 1024)")
  var maxStreamsPerConnection: String?

  @Option(
    parsing: .unconditional,
    help: "Bytes that the node may hold for one gRPC connection; 0: a share. (default: 0)")
  var connectionMemoryBytes: String?

  var flags: [Setting: [String]] {
    [
      .maxConnections: given(maxConnections),
      .maxConnectionsPerAddress: given(maxConnectionsPerAddress),
      .keepaliveSeconds: given(keepaliveSeconds),
      .keepaliveTimeoutSeconds: given(keepaliveTimeoutSeconds),
      .idleSeconds: given(idleSeconds), .lineIdleSeconds: given(lineIdleSeconds),
      .minPingSeconds: given(minPingSeconds), .minIdlePingSeconds: given(minIdlePingSeconds),
      .maxConnectionAgeSeconds: given(maxConnectionAgeSeconds),
      .maxConnectionAgeGraceSeconds: given(maxConnectionAgeGraceSeconds),
      .maxStreamsPerConnection: given(maxStreamsPerConnection),
      .connectionMemoryBytes: given(connectionMemoryBytes),
    ]
  }
}

/// The flags on users and permissions.
struct UserOptions: ParsableArguments {
  @Option(help: "A file with the users and their permissions. (default: none, no restrictions)")
  var users: String?

  @Option(help: "Calls in the audit log: admin, or writes too. (default: admin)")
  var audit: String?

  var flags: [Setting: [String]] { [.users: given(users), .audit: given(audit)] }
}

/// The flags of the admin port and the slow log.
struct AdminOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "The HTTP port for metrics and probes; 0 picks a free one. (default: off)")
  var adminPort: String?

  @Option(help: "The name or address that it listens on. (default: 127.0.0.1)")
  var adminAddress: String?

  @Option(
    parsing: .unconditional,
    help: "Calls of this many milliseconds or more are in the slow log; 0: none. (default: 10)")
  var slowlogMillis: String?

  @Option(
    parsing: .unconditional,
    help: "Calls of this many bytes or more are in it; 0: none. (default: 1048576)")
  var slowlogBytes: String?

  @Option(help: "How it shows keys: digest, key or none. (default: digest)")
  var slowlogKeys: String?

  var flags: [Setting: [String]] {
    [
      .adminPort: given(adminPort), .adminAddress: given(adminAddress),
      .slowlogMillis: given(slowlogMillis), .slowlogBytes: given(slowlogBytes),
      .slowlogKeys: given(slowlogKeys),
    ]
  }
}

/// The flags of nodes that hold data.
struct DataOptions: ParsableArguments {
  @Option(help: "The directory where a shard keeps its data. (default: none, in memory only)")
  var dataDir: String?

  @Option(
    help: "When changes are synced to the disk: always, everysec or never. (default: everysec)")
  var fsync: String?

  @Option(
    parsing: .unconditional,
    help: "Memory for the keys and values of a shard, 4GiB for example; 0: no limit. (default: 0)")
  var maxMemory: String?

  @Option(
    parsing: .unconditional,
    help: "Policy at that limit: noeviction, allkeys-lru or volatile-lru. (default: noeviction)")
  var evictionPolicy: String?

  @Option(
    parsing: .unconditional,
    help: "Bytes of replaced data that may be kept for readers. (default: 268435456)")
  var maxPinnedBytes: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds that a reader may take to read one state of a list. (default: 60)")
  var maxPinnedSeconds: String?

  @Option(
    parsing: .unconditional, help: "Calls that may wait for a value on a shard. (default: 65536)")
  var maxParkedCalls: String?

  var flags: [Setting: [String]] {
    [
      .dataDir: given(dataDir), .fsync: given(fsync),
      .maxMemory: given(maxMemory), .evictionPolicy: given(evictionPolicy),
      .maxPinnedBytes: given(maxPinnedBytes), .maxPinnedSeconds: given(maxPinnedSeconds),
      .maxParkedCalls: given(maxParkedCalls),
    ]
  }
}

/// The flags of nodes that have links to shards.
struct LinkOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "Seconds without a reply after which a silent shard counts as lost. (default: 2)")
  var linkTimeoutSeconds: String?

  @Option(
    parsing: .unconditional, help: "Seconds that a call may wait for space on a link. (default: 5)")
  var overloadWaitSeconds: String?

  @Option(
    parsing: .unconditional,
    help: "Calls in flight between a thread of the router and a shard. (default: 16384)")
  var maxCallsPerShard: String?

  @Option(parsing: .unconditional, help: "Bytes of their requests. (default: 67108864)")
  var maxBytesPerShard: String?

  @Option(
    parsing: .unconditional,
    help: "Bytes of large replies that a thread of the router may hold. (default: 67108864)")
  var largeReplyMemoryBytes: String?

  var flags: [Setting: [String]] {
    [
      .linkTimeoutSeconds: given(linkTimeoutSeconds),
      .overloadWaitSeconds: given(overloadWaitSeconds), .maxCallsPerShard: given(maxCallsPerShard),
      .maxBytesPerShard: given(maxBytesPerShard),
      .largeReplyMemoryBytes: given(largeReplyMemoryBytes),
    ]
  }
}

/// A flag's values: the one that was given, or none.
func given(_ value: String?) -> [String] { value.map { [$0] } ?? [] }
