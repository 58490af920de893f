// The subcommands that run nodes: read the settings, check all of them, then start.

import ArgumentParser
import Logging
import RouterNode
import ShardNode

struct ShardCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shard", abstract: "Runs a shard, which owns a part of the keys.",
    discussion: NodeOptions.discussion(needed: .id, .shard))

  @Option(help: "The shard's name in the cluster, the same after restarts. (required)")
  var id: String?

  @Option(
    parsing: .unconditional, help: "The port to listen on; 0 picks a free one. (default: 50061)")
  var port: String?

  @OptionGroup var options: NodeOptions
  @OptionGroup var connections: ConnectionOptions
  @OptionGroup var tls: TLSServerOptions
  @OptionGroup var users: UserOptions
  @OptionGroup var admin: AdminOptions
  @OptionGroup var traces: TraceOptions
  @OptionGroup var data: DataOptions

  func run() async throws {
    let sources = try await options.sources(
      .shard,
      flags: [
        [.id: given(id), .port: given(port)], data.flags, connections.flags, tls.flags,
        users.flags, admin.flags, traces.flags,
      ])
    let shard = try sources.shardConfiguration()
    let adminPort = try sources.adminConfiguration()
    let traces = try sources.traceConfiguration()
    let asked = try sources.connectionsAsked()
    let logs = NodeLogs(level: try sources.logLevel())
    let access = try NodeAccess(try sources.accessSettings(), logs)
    try await NodeProcess.run(logs, remarks: sources.remarks, access) { onShutdown in
      var shard = shard
      let shares = ProcessState.descriptorShares(outgoing: 0, asked, logs)
      shard.connectionLimits = shares.clients
      access.configure(&shard)
      let tracing = NodeTracing(traces, logs)
      shard.traces = tracing.traces
      return try await RunningNode(shard, logs, sources.ledger, onShutdown: onShutdown)
        .with(tracing).withAdmin(adminPort, shares, access, sources, tracing, logs)
    }
  }
}

struct RouterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "router", abstract: "Runs a router, which clients connect to.",
    discussion: NodeOptions.discussion(needed: .shards, .router))

  @Option(
    name: .customLong("shard"),
    help: "A shard of the cluster: ID=HOST:PORT[,weight=W]. Once for each. (required)")
  var shards: [String] = []

  @Option(
    parsing: .unconditional, help: "The port to listen on; 0 picks a free one. (default: 50051)")
  var port: String?

  @Option(parsing: .unconditional, help: "Event loops, one core each. (default: 1)")
  var threads: String?

  @Option(help: "A file with the router's token, for shards that have users.")
  var shardTokenFile: String?

  @OptionGroup var options: NodeOptions
  @OptionGroup var connections: ConnectionOptions
  @OptionGroup var tls: TLSServerOptions
  @OptionGroup var users: UserOptions
  @OptionGroup var admin: AdminOptions
  @OptionGroup var traces: TraceOptions
  @OptionGroup var links: LinkOptions
  @OptionGroup var linkTLS: TLSLinkOptions

  func run() async throws {
    let sources = try await options.sources(
      .router,
      flags: [
        [
          .shards: shards, .port: given(port), .threads: given(threads),
          .shardTokenFile: given(shardTokenFile),
        ], links.flags, connections.flags, tls.flags, linkTLS.flags, users.flags, admin.flags,
        traces.flags,
      ])
    let router = try sources.routerConfiguration()
    let adminPort = try sources.adminConfiguration()
    let traces = try sources.traceConfiguration()
    let asked = try sources.connectionsAsked()
    let logs = NodeLogs(level: try sources.logLevel())
    let access = try NodeAccess(try sources.accessSettings(), logs)
    try await NodeProcess.run(logs, remarks: sources.remarks, access) { onShutdown in
      var router = router
      let shares = ProcessState.descriptorShares(outgoing: router.linkConnections, asked, logs)
      router.connectionLimits = shares.clients
      access.configure(&router)
      router.readShards = { try await sources.shardsOfFile() }
      let tracing = NodeTracing(traces, logs)
      router.traces = tracing.traces
      return try await RunningNode(router, logs, sources.ledger, onShutdown: onShutdown)
        .with(tracing).withAdmin(adminPort, shares, access, sources, tracing, logs)
    }
  }
}

struct LocalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "local", abstract: "Runs a router and its shards in one process, to try things.",
    discussion: NodeOptions.discussion(needed: nil, .local))

  @Option(parsing: .unconditional, help: "How many shards. (default: 3)")
  var shards: String?

  @Option(
    parsing: .unconditional,
    help: "The router's port; 0 picks a free one. (default: 50051)")
  var port: String?

  @Option(parsing: .unconditional, help: "The router's event loops. (default: 1)")
  var threads: String?

  @OptionGroup var options: NodeOptions
  @OptionGroup var connections: ConnectionOptions
  @OptionGroup var tls: TLSServerOptions
  @OptionGroup var users: UserOptions
  @OptionGroup var admin: AdminOptions
  @OptionGroup var traces: TraceOptions
  @OptionGroup var data: DataOptions
  @OptionGroup var links: LinkOptions

  func run() async throws {
    let sources = try await options.sources(
      .local,
      flags: [
        [.shards: given(shards), .port: given(port), .threads: given(threads)],
        data.flags, links.flags, connections.flags, tls.flags, users.flags, admin.flags,
        traces.flags,
      ])
    let router = try sources.localRouterConfiguration()
    let adminPort = try sources.adminConfiguration()
    let traces = try sources.traceConfiguration()
    var shards = try sources.localShardConfigurations()
    let asked = try sources.connectionsAsked()
    let logs = NodeLogs(level: try sources.logLevel())
    let access = try NodeAccess(try sources.accessSettings(), logs, isOneProcess: true)
    for place in shards.indices { access.configure(&shards[place]) }
    let ownShards = shards
    try await NodeProcess.run(logs, remarks: sources.remarks, access) { onShutdown in
      var router = router
      access.configure(&router)
      // Both ends of the links are in this process.
      let links = 2 * router.threads * 2 * shards.count
      let shares = ProcessState.descriptorShares(outgoing: links, asked, logs)
      router.connectionLimits = shares.clients
      let tracing = NodeTracing(traces, logs)
      router.traces = tracing.traces
      var shards = ownShards
      for place in shards.indices { shards[place].traces = tracing.traces }
      return try await RunningNode(
        router, withShards: shards, logs, sources.ledger, onShutdown: onShutdown
      )
      .with(tracing).withAdmin(adminPort, shares, access, sources, tracing, logs)
    }
  }
}
