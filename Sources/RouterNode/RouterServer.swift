// A router, started by a process or a test: event loops that share only the port, each with its own
// links to every shard.

import Front
import GRPC
import LineProtocol
import Logging
import NIOCore
import NIOPosix
import NodeCore
import Placement
import RingstoreAPI
import Tracing
import Users

package typealias ReadShards = @Sendable () async throws -> [ShardDescription]

/// How a router is set up.
package struct RouterConfiguration: Sendable {
  package var cluster = "ringstore"
  package var host = "127.0.0.1"
  /// 0: any free port.
  package var port = 50_051
  /// Where the line protocol is spoken, 0: any free port; nil: nowhere.
  package var linePort: Int?
  /// Event loops, each on its own thread.
  package var threads = 1
  /// The cluster's shards; every router of a cluster needs the same list, in any order.
  package var shards: [ShardDescription]
  package var limits = Limits()
  /// The limits of connections, and the servers' other limits and timeouts.
  package var connectionLimits = ConnectionLimits()
  package var server = ServerConfiguration()
  package var lines = LineConfiguration()
  /// How the ports are encrypted, and the links; nil: not at all.
  package var tls: ServerTLS?
  package var linkTLS: LinkTLS?
  /// The limits between an event loop and a shard.
  package var linkLimits = LinkLimits()
  /// How long calls in progress may take when the router stops.
  package var drainSeconds = 10
  /// The users; nil: none, no restrictions.
  package var users: UserDirectory?
  /// The router's current token for shards that have users; nil: none.
  package var linkToken: (@Sendable () -> String?)?
  /// The audit log; nil: none.
  package var audit: AuditLog?
  /// The administration of the process; nil: none.
  package var surroundings: (any NodeSurroundings)?
  /// The settings of the slow log.
  package var slowLog = SlowLogSettings()
  /// Traces calls; nil: none is traced.
  package var traces: ProcessTraces?
  /// Reads the list of shards again, if that is possible. Throws an error whose description is a
  /// sentence.
  package var readShards: ReadShards?
  /// Called once, on any thread, when a client has requested the node to stop. It must drain the
  /// router.
  package var onShutdown: (@Sendable () -> Void)?

  package init(shards: [ShardDescription]) {
    self.shards = shards
  }

  /// Connections that the router makes: two lanes from each of its loops to each shard.
  package var linkConnections: Int { 2 * threads * shards.count }
}

/// A running router.
package final class RouterServer: Sendable {
  /// How long a start waits for the shards at most.
  private static let firstAttemptTime = TimeAmount.seconds(2)

  /// The port it listens on.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let server: GRPCServer
  private let lineServer: LineServer?
  let services: [NIOLoopBound<RouterService>]
  private let loops: RouterLoops
  /// For those who ask from outside of the event loops.
  let nodeLoops = NodeLoops()
  private let drainSeconds: Int
  private let certificates: CertificateWatch
  let serverContexts: TLSContexts?
  let linkContexts: TLSContexts?
  let connections: NodeConnections
  let ledger: AccessLedger?
  package let users: LoopUsers?

  /// The port of the line protocol; nil: it is off.
  package var linePort: Int? { lineServer?.port }

  private init(
    group: MultiThreadedEventLoopGroup, server: GRPCServer, lineServer: LineServer?,
    services: [NIOLoopBound<RouterService>], loops: RouterLoops, drainSeconds: Int,
    contexts: (server: TLSContexts?, link: TLSContexts?), connections: NodeConnections,
    ledger: AccessLedger?, users: LoopUsers?, logger: Logger
  ) {
    serverContexts = contexts.server
    linkContexts = contexts.link
    certificates = CertificateWatch(
      [contexts.server, contexts.link].compactMap { $0 }, logger: logger)
    self.connections = connections
    self.ledger = ledger
    self.users = users
    self.loops = loops
    self.port = server.port
    self.group = group
    self.server = server
    self.lineServer = lineServer
    self.services = services
    self.drainSeconds = drainSeconds
  }

  /// Starts a router: connects to the shards, and accepts calls when this returns. A shard that
  /// can't be reached doesn't prevent the start.
  ///
  /// - Throws: `PlacementError` for an invalid list of shards; `TLSFileFailure` for invalid
  ///   certificates or keys; `LineServer.ListenFailure` if the line protocol's port can't be used;
  ///   other errors if the address can't be resolved or used.
  package static func start(
    _ configuration: RouterConfiguration, version: String, logger: Logger
  ) async throws -> RouterServer {
    let map = try SlotMap.initial(configuration.shards)
    let tls = try configuration.tls?.listeners()
    let linkTLS = try configuration.linkTLS?.client()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.threads)
    do {
      let node = RouterNodeLine(version: version)
      let connections = NodeConnections(limits: configuration.connectionLimits)
      let loops = RouterLoops(
        count: configuration.threads, readList: configuration.readShards,
        onShutdown: configuration.onShutdown)
      let users = try await LoopUsers.make(configuration.users, group)
      let services = try await makeServices(
        configuration, map, linkTLS, node, connections, loops, users, group, version, logger)
      let byLoop = Dictionary(uniqueKeysWithValues: services.map { ($0.loop, $0.service) })
      let serviceOf: @Sendable (any EventLoop) -> RouterService = { loop in
        guard let service = byLoop[ObjectIdentifier(loop)] else {
          preconditionFailure("the server uses a loop that is not of its group")
        }
        return service.value
      }
      var serverConfiguration = configuration.server
      serverConfiguration.maxMessageBytes = configuration.limits.maxMessageBytes
      serverConfiguration.clientMemoryBytes = configuration.limits.clientMemoryBytes
      serverConfiguration.tls = tls?.calls
      let server = try await GRPCServer.start(
        host: configuration.host, port: configuration.port, group: group,
        configuration: serverConfiguration, connections: connections, logger: logger
      ) { serviceOf($0).front }
      let lineServer = try await startLines(
        configuration, tls?.lines, connections, group, logger, serviceOf)
      node.setAddress("\(configuration.host):\(server.port)")
      for service in services.map(\.service) {
        service.eventLoop.execute {
          service.value.core.tracer?.serverAddress = (configuration.host, server.port)
        }
      }
      return RouterServer(
        group: group, server: server, lineServer: lineServer, services: services.map(\.service),
        loops: loops, drainSeconds: configuration.drainSeconds,
        contexts: (tls?.contexts, linkTLS?.contexts), connections: connections,
        ledger: configuration.users?.ledger, users: users, logger: logger)
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
  }

  private static func startLines(
    _ configuration: RouterConfiguration, _ tls: ListenerTLS?, _ connections: NodeConnections,
    _ group: MultiThreadedEventLoopGroup, _ logger: Logger,
    _ serviceOf: @escaping @Sendable (any EventLoop) -> RouterService
  ) async throws -> LineServer? {
    guard let port = configuration.linePort else { return nil }
    var lines = configuration.lines
    lines.tls = tls
    return try await LineServer.start(
      host: configuration.host, port: port, group: group, configuration: lines,
      connections: connections, logger: logger
    ) { loop in
      let service = serviceOf(loop)
      return LineNode(
        port: service.front, flusher: service.flusher, authorizer: service.front.authorizer)
    }
  }

  private static func makeServices(
    _ configuration: RouterConfiguration, _ map: SlotMap, _ linkTLS: ClientTLS?,
    _ node: RouterNodeLine, _ connections: NodeConnections, _ loops: RouterLoops,
    _ users: LoopUsers?, _ group: MultiThreadedEventLoopGroup, _ version: String, _ logger: Logger
  ) async throws -> [(loop: ObjectIdentifier, service: NIOLoopBound<RouterService>)] {
    // Unique at every start: a restarted router must not be mistaken for the older one.
    let name = "router-" + String(UInt64.random(in: .min ... .max), radix: 16)
    let resource = TraceResource(
      role: "router", cluster: configuration.cluster, id: name, version: version)
    var services: [(loop: ObjectIdentifier, service: NIOLoopBound<RouterService>)] = []
    for (number, loop) in group.makeIterator().enumerated() {
      let identity = RouterIdentity(cluster: configuration.cluster, router: "\(name)/\(number)")
      let tried = loop.makePromise(of: Void.self)
      let service = try await loop.submit {
        let service = RouterService(
          identity: identity, map: map, limits: configuration.limits,
          linkLimits: configuration.linkLimits, linkTLS: linkTLS, firstGeneration: 0,
          seed: UInt64.random(in: .min ... .max),
          slowLog: configuration.slowLog.log(wallMillis: WallTime.unixMillis), eventLoop: loop,
          loops: loops, logger: logger,
          authorizer: users?.authorizer(of: loop), audit: configuration.audit,
          tracer: configuration.traces?.tracer(resource),
          linkToken: configuration.linkToken, describeSelf: { node.describe() })
        // The loops' counters are added up, and these are the node's.
        if number == 0 {
          service.connections = connections
          service.accessLedger = configuration.users?.ledger
        }
        service.front.standard.connections = connections
        service.front.administration = NodeAdministration(
          connections, configuration.surroundings,
          slowCalls: { loops.slowCalls(isReset: $0, on: loop) }, eventLoop: loop)
        service.start(linksTried: { tried.succeed() })
        return NIOLoopBound(service, eventLoop: loop)
      }.get()
      let timeout = loop.scheduleTask(in: firstAttemptTime) { tried.succeed() }
      try await tried.futureResult.get()
      timeout.cancel()
      services.append((ObjectIdentifier(loop), service))
    }
    loops.set(services.map(\.service))
    return services
  }

  /// Reads the list of shards again, and changes the cluster to it. The failure's sentence says why
  /// the shards don't change.
  package func reload() async -> Result<MapChangeReport, MapChangeRefusal> {
    await loops.reload(isPlan: false)
  }

  /// Accepts nothing new, finishes the calls in progress, and stops. Returns when everything has
  /// ended.
  package func drain() async {
    certificates.stop()
    users?.stop()
    let grace = TimeAmount.seconds(Int64(drainSeconds))
    for service in services {
      try? await service.eventLoop.submit { service.value.beginDraining() }.get()
    }
    async let linesDrained: Void? = lineServer?.drain(gracePeriod: grace)
    await server.drain(gracePeriod: grace)
    _ = await linesDrained
    for service in services {
      try? await service.eventLoop.submit { service.value.stop() }.get()
    }
    nodeLoops.close()
    try? await group.shutdownGracefully()
  }
}
