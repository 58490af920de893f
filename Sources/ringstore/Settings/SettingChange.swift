// What it takes until a node uses a changed setting. The page OPERATIONS.md has a column with it,
// which a test compares with this. Pure; any thread.

package enum SettingChange: String, Sendable, CaseIterable {
  /// Settings are read at the start.
  case restart
  /// SIGHUP or `ringstore admin reload` reads it again, from the file that --config names.
  case reload
  /// It names files. A restart for other names; what is in the files is read again within seconds
  /// (NodeAccess, TLSContexts), or when the next connection is made.
  case contents
}

extension Setting {
  package func change(_ kind: NodeKind) -> SettingChange {
    switch self {
    case .shards: kind == .router ? .reload : .restart
    case .users, .shardTokenFile, .tlsCertificate, .tlsKey, .tlsClientCA, .shardTLSCA,
      .shardTLSCertificate, .shardTLSKey, .traceCA, .traceHeadersFile:
      .contents
    default: .restart
    }
  }
}
