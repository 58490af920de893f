// A running node of any kind: its port, and its end. Any thread.

import NodeCore
import Placement
import RouterNode
import ShardNode
import TextForms

package struct RunningNode: Sendable {
  /// Where clients find it.
  package let port: Int
  /// Where the line protocol is spoken; nil: nowhere.
  package let linePort: Int?
  /// Where metrics and probes are served by HTTP; nil: nowhere.
  package internal(set) var adminPort: Int?
  /// The nodes of the process, the router first.
  package let probes: [NodeProbe]
  /// Calls on the first of them.
  let calls: NodeCalls
  /// Reads the list of shards again and changes the cluster to it; nil if a node has no list.
  package let reload: (@Sendable () async -> Result<MapChangeReport, MapChangeRefusal>)?
  /// Takes no new calls, lets those in progress finish within the node's limit, and closes.
  package internal(set) var drain: @Sendable () async -> Void

  /// - Parameters:
  ///   - ledger: the settings that the node was started with; nil: there are none.
  ///   - onShutdown: called when a client has shut the node down; it has to drain the node.
  package init(
    _ configuration: ShardConfiguration, _ logs: NodeLogs,
    _ ledger: SettingLedger? = nil, onShutdown: (@Sendable () -> Void)? = nil
  ) async throws(StartFailure) {
    var configuration = configuration
    configuration.onShutdown = onShutdown
    let shard = try await Self.start(configuration, logs, ledger)
    port = shard.port
    linePort = shard.linePort
    probes = [shard.probe]
    calls = shard.calls
    reload = nil
    drain = { await shard.drain() }
  }

  package init(
    _ configuration: RouterConfiguration, _ logs: NodeLogs,
    _ ledger: SettingLedger? = nil, onShutdown: (@Sendable () -> Void)? = nil
  ) async throws(StartFailure) {
    var configuration = configuration
    configuration.onShutdown = onShutdown
    let router = try await Self.start(configuration, logs, ledger)
    port = router.port
    linePort = router.linePort
    probes = [router.probe]
    calls = router.calls
    reload = { await router.reload() }
    drain = { await router.drain() }
  }

  /// A router with shards of its own. The router ends first, so that no client gets an error about
  /// a missing shard meanwhile. They end together, even if the end of only one was requested.
  package init(
    _ configuration: RouterConfiguration, withShards shardConfigurations: [ShardConfiguration],
    _ logs: NodeLogs, _ ledger: SettingLedger? = nil, onShutdown: (@Sendable () -> Void)? = nil
  ) async throws(StartFailure) {
    var shards: [ShardServer] = []
    try await PortCheck.check(configuration)
    do throws(StartFailure) {
      var configuration = configuration
      configuration.onShutdown = onShutdown
      for var shardConfiguration in shardConfigurations {
        shardConfiguration.onShutdown = onShutdown
        let shard = try await Self.start(shardConfiguration, logs, ledger)
        shards.append(shard)
        let address = HostPort(host: shardConfiguration.host, port: shard.port)
        configuration.shards.append(
          ShardDescription(id: shardConfiguration.id, address: address.description))
      }
      let router = try await Self.start(configuration, logs, ledger)
      port = router.port
      linePort = router.linePort
      probes = [router.probe] + shards.map(\.probe)
      calls = router.calls
      reload = nil
      drain = { [shards] in
        await router.drain()
        await Self.drain(shards)
      }
    } catch {
      await Self.drain(shards)
      throw error
    }
  }

  private static func drain(_ shards: [ShardServer]) async {
    await withTaskGroup { group in
      for shard in shards { group.addTask { await shard.drain() } }
    }
  }

  private static func start(
    _ configuration: ShardConfiguration, _ logs: NodeLogs, _ ledger: SettingLedger?
  ) async throws(StartFailure) -> ShardServer {
    var configuration = configuration
    let logger = logs.logger("ringstore.shard", ["shard": "\(configuration.id)"])
    configuration.surroundings = ProcessSurroundings(logs, ledger)
    configuration.onFailure = { _ in ProcessState.end(after: .milliseconds(250), logs) }
    do {
      let shard = try await ShardServer.start(
        configuration, version: RingstoreVersion.current, logger: logger)
      if configuration.storage == nil {
        logger.info(
          "data is kept in memory only, and is lost when the process ends: data_dir is not set")
      }
      return shard
    } catch {
      throw StartFailure(error, host: configuration.host, port: configuration.port)
    }
  }

  private static func start(
    _ configuration: RouterConfiguration, _ logs: NodeLogs, _ ledger: SettingLedger?
  ) async throws(StartFailure) -> RouterServer {
    var configuration = configuration
    configuration.surroundings = ProcessSurroundings(logs, ledger)
    do {
      return try await RouterServer.start(
        configuration, version: RingstoreVersion.current, logger: logs.logger("ringstore.router"))
    } catch {
      throw StartFailure(error, host: configuration.host, port: configuration.port)
    }
  }
}
