// From settings to the configurations of nodes. Everything is checked here, before anything starts.

import LogFiles
import Placement
import RingstoreAPI
import RouterNode
import ShardNode

extension SettingSources {
  /// The default ports of routers and shards.
  package static let routerPort = 50_051
  package static let shardPort = 50_061
  /// The port of the line protocol, on nodes of any kind.
  package static let linePort = 9_999
  private static let ports = 0...65_535
  static let threadCounts = 1...64

  package func shardConfiguration() throws(ConfigurationError) -> ShardConfiguration {
    guard let id = try name(.id) else {
      throw ConfigurationError(
        "a shard needs an id: --id NAME, \(Setting.id.environmentName), or id in the file.")
    }
    try ShardList.checkIsFree(id)
    var shard = ShardConfiguration(id: id)
    shard.cluster = try cluster(default: shard.cluster)
    shard.host = try host()
    shard.port = try callPort()
    shard.linePort = try linePort(beside: shard.port)
    shard.limits = try limits()
    shard.memory = try memoryLimit()
    shard.storage = try storage()
    shard.server = try serverConfiguration()
    shard.lines = try lineConfiguration()
    shard.tls = try serverTLS()
    try checkAddress(shard.host, isEncrypted: shard.tls != nil, hasUsers: try hasUsers())
    shard.drainSeconds = try drainSeconds()
    shard.slowLog = try slowLog()
    return shard
  }

  package func routerConfiguration() throws(ConfigurationError) -> RouterConfiguration {
    guard let list = try list(.shards), !list.value.isEmpty else {
      throw ConfigurationError(
        "a router needs its shards: --shard ID=HOST:PORT for each, "
          + "\(Setting.shards.environmentName), or shards in the file.")
    }
    return try router(shards: try ShardList.parse(list.value, origin: list.origin))
  }

  /// The list of shards, from the file as it is now.
  ///
  /// - Throws: if the list is not in a file, too.
  package func shardsOfFile() async throws(ConfigurationError) -> [ShardDescription] {
    let sources = try await reread()
    if let list = try sources.list(.shards), !sources.isInFile(.shards) {
      throw ConfigurationError(
        "the list of shards comes from \(list.origin), which a running router can't read again; put "
          + "it into the file that --config names")
    }
    return try sources.routerConfiguration().shards
  }

  /// A router whose shards run in the same process: its own settings, without the list.
  package func localRouterConfiguration() throws(ConfigurationError) -> RouterConfiguration {
    try router(shards: [])
  }

  private func router(
    shards: [ShardDescription]
  ) throws(ConfigurationError) -> RouterConfiguration {
    var router = RouterConfiguration(shards: shards)
    router.cluster = try cluster(default: router.cluster)
    router.host = try host()
    router.port = try callPort()
    router.linePort = try linePort(beside: router.port)
    router.threads = try integer(.threads, Self.threadCounts, default: router.threads)
    router.limits = try limits()
    router.server = try serverConfiguration()
    router.lines = try lineConfiguration()
    router.tls = try serverTLS()
    router.linkTLS = try linkTLS()
    try checkAddress(
      router.host, isEncrypted: router.tls != nil, hasUsers: try hasUsers())
    router.linkLimits = try linkLimits()
    router.drainSeconds = try drainSeconds()
    router.slowLog = try slowLog()
    return router
  }

  /// The shards that `local` starts: the requested number, on ports that the system selects.
  package func localShardConfigurations() throws(ConfigurationError) -> [ShardConfiguration] {
    let router = try localRouterConfiguration()
    let count = try integer(.shards, 1...64, default: 3)
    let memory = try memoryLimit()
    let storage = try storage()
    return (1...count).map { number in
      var shard = ShardConfiguration(id: "s\(number)")
      shard.storage = storage
      shard.storage?.directory += "/\(shard.id)"
      shard.cluster = router.cluster
      shard.port = 0
      shard.limits = router.limits
      shard.memory = memory
      shard.server = router.server
      shard.connectionLimits = DescriptorPlan.ofLocalShard(routerThreads: router.threads)
      shard.drainSeconds = router.drainSeconds
      shard.slowLog = router.slowLog
      return shard
    }
  }

  /// The settings of the data directory; nil: in memory only.
  private func storage() throws(ConfigurationError) -> StorageConfiguration? {
    var policy = FsyncPolicy.everysec
    ledger.note(.fsync, default: .text(policy.rawValue))
    if let found = try text(.fsync) {
      guard let named = FsyncPolicy(rawValue: found.value) else {
        let policies = FsyncPolicy.allCases.map(\.rawValue).joined(separator: ", ")
        throw ConfigurationError(
          "\(found.origin) must be one of \(policies), not '\(found.value)'.")
      }
      policy = named
    }
    guard let directory = try text(.dataDir), !directory.value.isEmpty else {
      // With the default nothing was promised.
      guard policy == .everysec else {
        throw ConfigurationError("fsync is \(policy.rawValue), but data_dir names no directory.")
      }
      return nil
    }
    return StorageConfiguration(directory: directory.value, policy: policy)
  }

  /// The port for gRPC.
  func callPort() throws(ConfigurationError) -> Int {
    try integer(
      .port, Self.ports, default: kind == .shard ? Self.shardPort : Self.routerPort)
  }

  /// Nil if the line protocol is off.
  ///
  /// - Parameter callPort: the one for gRPC, which must be another; 0 is no port yet.
  func linePort(beside callPort: Int) throws(ConfigurationError) -> Int? {
    let port = try givenLinePort()
    if let port, port == callPort, port != 0 {
      throw ConfigurationError(
        "the line protocol and gRPC can't share port \(port); --line-port names another.")
    }
    return port
  }

  private func givenLinePort() throws(ConfigurationError) -> Int? {
    guard let found = try text(.linePort) else {
      ledger.note(.linePort, default: .number(Int64(Self.linePort)))
      return Self.linePort
    }
    if found.value == "off" { return nil }
    guard let port = Int(found.value), Self.ports.contains(port) else {
      throw ConfigurationError(
        "\(found.origin) must be a whole number from \(Self.ports.lowerBound) to "
          + "\(Self.ports.upperBound), or off, not '\(found.value)'.")
    }
    ledger.take(.linePort, .number(Int64(port)))
    return port
  }

  private func cluster(default name: String) throws(ConfigurationError) -> String {
    guard let given = try self.name(.cluster) else {
      ledger.note(.cluster, default: .text(name))
      return name
    }
    return given
  }

  private func drainSeconds() throws(ConfigurationError) -> Int {
    try integer(.drainSeconds, 0...3_600, default: 10)
  }
}
