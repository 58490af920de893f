// Everything that can be configured, under one name in three places: a key in the file
// (drain_seconds), a variable (RINGSTORE_DRAIN_SECONDS) and a flag (--drain-seconds).

/// The kinds of nodes that take settings.
package enum NodeKind: String, Sendable, CaseIterable {
  case router, shard, local

  package var settings: [Setting] {
    let common: [Setting] = [
      .host, .port, .linePort, .cluster, .logLevel, .drainSeconds, .databases, .maxKeyBytes,
      .maxMessageBytes, .maxItems, .replyMemoryBytes, .clientMemoryBytes, .hashSeed,
      .maxConnections,
      .maxConnectionsPerAddress,
      .keepaliveSeconds, .keepaliveTimeoutSeconds, .idleSeconds, .lineIdleSeconds, .minPingSeconds,
      .minIdlePingSeconds, .maxConnectionAgeSeconds, .maxConnectionAgeGraceSeconds,
      .maxStreamsPerConnection, .connectionMemoryBytes,
      .tlsCertificate, .tlsKey, .tlsClientCA, .tlsClientCertificates, .maxHandshakes, .insecure,
      .users, .audit, .adminPort, .adminAddress, .slowlogMillis, .slowlogBytes, .slowlogKeys,
      .traceEndpoint, .traceCA, .traceHeadersFile, .traceSampleRatio, .traceSpansPerSecond,
      .traceKeys,
    ]
    let data: [Setting] = [
      .dataDir, .fsync, .maxMemory, .evictionPolicy, .maxPinnedBytes, .maxPinnedSeconds,
      .maxParkedCalls,
    ]
    let links: [Setting] = [
      .linkTimeoutSeconds, .overloadWaitSeconds, .maxCallsPerShard, .maxBytesPerShard,
      .largeReplyMemoryBytes,
    ]
    let linkTLS: [Setting] = [
      .shardTLSCA, .shardTLSCertificate, .shardTLSKey, .shardTLSServerName,
    ]
    switch self {
    case .router: return [.shards, .threads, .shardTokenFile] + common + links + linkTLS
    case .shard: return [.id] + common + data
    case .local: return [.shards, .threads] + common + data + links
    }
  }
}

/// One setting; the raw value is its key in a file.
package enum Setting: String, Sendable, CaseIterable {
  case id, host, port, cluster, shards, threads, databases
  case linePort = "line_port"
  case logLevel = "log_level"
  case drainSeconds = "drain_seconds"
  case maxKeyBytes = "max_key_bytes"
  case maxMessageBytes = "max_message_bytes"
  case maxItems = "max_items"
  case replyMemoryBytes = "reply_memory_bytes"
  case clientMemoryBytes = "client_memory_bytes"
  case maxConnections = "max_connections"
  case maxConnectionsPerAddress = "max_connections_per_address"
  case keepaliveSeconds = "keepalive_seconds"
  case keepaliveTimeoutSeconds = "keepalive_timeout_seconds"
  case idleSeconds = "idle_seconds"
  case lineIdleSeconds = "line_idle_seconds"
  case minPingSeconds = "min_ping_seconds"
  case minIdlePingSeconds = "min_idle_ping_seconds"
  case maxConnectionAgeSeconds = "max_connection_age_seconds"
  case maxConnectionAgeGraceSeconds = "max_connection_age_grace_seconds"
  case maxStreamsPerConnection = "max_streams_per_connection"
  case connectionMemoryBytes = "connection_memory_bytes"
  case dataDir = "data_dir"
  case fsync
  case maxMemory = "max_memory"
  case evictionPolicy = "eviction_policy"
  case maxPinnedBytes = "max_pinned_bytes"
  case maxPinnedSeconds = "max_pinned_seconds"
  case maxParkedCalls = "max_parked_calls"
  case linkTimeoutSeconds = "link_timeout_seconds"
  case overloadWaitSeconds = "overload_wait_seconds"
  case maxCallsPerShard = "max_calls_per_shard"
  case maxBytesPerShard = "max_bytes_per_shard"
  case largeReplyMemoryBytes = "large_reply_memory_bytes"
  case hashSeed = "hash_seed"
  case tlsCertificate = "tls_certificate"
  case tlsKey = "tls_key"
  case tlsClientCA = "tls_client_ca"
  case tlsClientCertificates = "tls_client_certificates"
  case maxHandshakes = "max_handshakes"
  case insecure
  case shardTLSCA = "shard_tls_ca"
  case shardTLSCertificate = "shard_tls_certificate"
  case shardTLSKey = "shard_tls_key"
  case shardTLSServerName = "shard_tls_server_name"
  case users, audit
  case shardTokenFile = "shard_token_file"
  case adminPort = "admin_port"
  case adminAddress = "admin_address"
  case slowlogMillis = "slowlog_millis"
  case slowlogBytes = "slowlog_bytes"
  case slowlogKeys = "slowlog_keys"
  case traceEndpoint = "trace_endpoint"
  case traceCA = "trace_ca"
  case traceHeadersFile = "trace_headers_file"
  case traceSampleRatio = "trace_sample_ratio"
  case traceSpansPerSecond = "trace_spans_per_second"
  case traceKeys = "trace_keys"

  package static let environmentPrefix = "RINGSTORE_"

  package var environmentName: String { Self.environmentPrefix + rawValue.uppercased() }

  /// The flag's name for a node; a router's list is given as one flag for each shard.
  package func flag(_ kind: NodeKind) -> String {
    if self == .shards, kind == .router { return "--shard" }
    return "--" + String(rawValue.map { $0 == "_" ? "-" : $0 })
  }
}

/// Why a configuration can't be used: one sentence for its author.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  package let sentence: String

  package var description: String { sentence }

  package init(_ sentence: String) {
    self.sentence = sentence
  }
}
