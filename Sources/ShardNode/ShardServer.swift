// A shard as a process or a test starts it: one event loop, one core, one gRPC server.

import Front
import GRPC
import LineProtocol
import Logging
import NIOCore
import NIOPosix
import NodeCore
import RingstoreAPI
import Store
import Tracing
import Users

/// How a shard is set up.
package struct ShardConfiguration: Sendable {
  /// The shard's name in the cluster's slot map.
  package var id: String
  /// Routers of another cluster are refused.
  package var cluster = "ringstore"
  package var host = "127.0.0.1"
  /// 0: any free port.
  package var port = 50_061
  /// Where the line protocol is spoken, 0: any free port; nil: nowhere.
  package var linePort: Int?
  package var limits = Limits()
  /// The memory limit of keys and values.
  package var memory = MemoryLimit()
  /// Where and how data is kept; nil: in memory only.
  package var storage: StorageConfiguration?
  /// The limits of connections, and the servers' other limits and timeouts.
  package var connectionLimits = ConnectionLimits()
  package var server = ServerConfiguration()
  package var lines = LineConfiguration()
  /// How the ports are encrypted; nil: not at all.
  package var tls: ServerTLS?
  /// The users; nil: none, no restrictions.
  package var users: UserDirectory?
  /// The audit log; nil: none.
  package var audit: AuditLog?
  /// The administration of the process; nil: none.
  package var surroundings: (any NodeSurroundings)?
  /// The settings of the slow log.
  package var slowLog = SlowLogSettings()
  /// How long calls in progress may take when the shard stops.
  package var drainSeconds = 10
  /// What replies wait for, made on the shard's event loop; nil: nothing, so the gate is always
  /// open.
  package var marks: (@Sendable (ReplyGate, any EventLoop) -> any MarkSource)?
  /// Traces calls; nil: none is traced.
  package var traces: ProcessTraces?
  /// Called once when the shard's data can't be read or written any more, with a sentence for the
  /// operator. The process must exit: its memory no longer matches the disk.
  package var onFailure: (@Sendable (String) -> Void)?
  /// Called once, on the shard's event loop, after a caller has requested the shard to stop and has
  /// its reply. The shard continues until `ShardServer.drain`.
  package var onShutdown: (@Sendable () -> Void)?

  package init(id: String) {
    self.id = id
  }
}

/// A running shard.
package final class ShardServer: Sendable {
  /// The port it listens on.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let server: GRPCServer
  private let lineServer: LineServer?
  let service: NIOLoopBound<ShardService>
  private let drainSeconds: Int
  private let certificates: CertificateWatch
  let contexts: TLSContexts?
  let connections: NodeConnections
  let ledger: AccessLedger?
  let id: String
  /// For those who ask from outside of the event loop.
  let loops = NodeLoops()
  /// Where the shard keeps its data; nil: in memory only.
  let dataDirectory: String?
  package let users: LoopUsers?

  /// The port of the line protocol; nil: it is off.
  package var linePort: Int? { lineServer?.port }

  private init(
    group: MultiThreadedEventLoopGroup, server: GRPCServer, lineServer: LineServer?,
    service: NIOLoopBound<ShardService>, contexts: TLSContexts?, connections: NodeConnections,
    configuration: ShardConfiguration, users: LoopUsers?, logger: Logger
  ) {
    self.contexts = contexts
    certificates = CertificateWatch([contexts].compactMap { $0 }, logger: logger)
    self.connections = connections
    ledger = configuration.users?.ledger
    id = configuration.id
    dataDirectory = configuration.storage?.directory
    self.users = users
    self.port = server.port
    self.group = group
    self.server = server
    self.lineServer = lineServer
    self.service = service
    drainSeconds = configuration.drainSeconds
  }

  /// Starts a shard. It accepts calls when this returns.
  ///
  /// A shard with a data directory accepts them too, but replies as loading until it has read its
  /// data.
  ///
  /// - Throws: `TLSFileFailure` for invalid certificates or keys; `LogRefusal` for an invalid data
  ///   directory; `LineServer.ListenFailure` if the line protocol's port can't be used; other
  ///   errors if the address can't be resolved or used.
  package static func start(
    _ configuration: ShardConfiguration, version: String, logger: Logger
  ) async throws -> ShardServer {
    let tls = try configuration.tls?.listeners()
    let directory = try configuration.storage.map {
      try ShardStorage.open(
        $0.directory, cluster: configuration.cluster, shard: configuration.id,
        seed: configuration.limits.hashSeed)
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let loop = group.next()
      let connections = NodeConnections(limits: configuration.connectionLimits)
      let users = try await LoopUsers.make(configuration.users, group)
      let service = try await loop.submit {
        let service = makeService(configuration, users, version: version, loop, logger)
        if let directory, let storage = configuration.storage {
          service.storage = ShardStorage(
            directory, core: service.core,
            .process(storage.policy, loop, wallMillis: WallTime.unixMillis, logger: logger))
          service.storage?.onFailure = { configuration.onFailure?($0) }
        }
        service.front.standard.connections = connections
        service.administration = NodeAdministration(
          connections, configuration.surroundings,
          slowCalls: { [unowned service] in
            loop.makeSucceededFuture(service.slowCalls(isReset: $0))
          }, eventLoop: loop)
        service.core.connectionCounters = {
          connections.entries(prefix: NodeCounters.shardPrefix).merging(
            configuration.users?.ledger.entries(prefix: NodeCounters.shardPrefix) ?? [:]
          ) { own, _ in own }
        }
        return NIOLoopBound(service, eventLoop: loop)
      }.get()
      var serverConfiguration = configuration.server
      serverConfiguration.maxMessageBytes = LinkProtocol.messageBytesMax(configuration.limits)
      serverConfiguration.clientMemoryBytes = configuration.limits.clientMemoryBytes
      serverConfiguration.tls = tls?.calls
      let server = try await GRPCServer.start(
        host: configuration.host, port: configuration.port, group: group,
        configuration: serverConfiguration, connections: connections, logger: logger
      ) { _ in service.value.front }
      var lineServer: LineServer?
      if let linePort = configuration.linePort {
        var lines = configuration.lines
        lines.tls = tls?.lines
        lineServer = try await LineServer.start(
          host: configuration.host, port: linePort, group: group,
          configuration: lines, connections: connections, logger: logger
        ) { _ in
          LineNode(
            port: service.value.front, flusher: service.value.flusher,
            authorizer: service.value.front.authorizer)
        }
      }
      let address = "\(configuration.host):\(server.port)"
      try await loop.submit {
        service.value.core.address = address
        service.value.core.tracer?.serverAddress = (configuration.host, server.port)
        service.value.storage?.begin()
      }.get()
      return ShardServer(
        group: group, server: server, lineServer: lineServer, service: service,
        contexts: tls?.contexts, connections: connections, configuration: configuration,
        users: users, logger: logger)
    } catch {
      try? await group.shutdownGracefully()
      directory?.close()
      throw error
    }
  }

  private static func makeService(
    _ configuration: ShardConfiguration, _ users: LoopUsers?, version: String,
    _ loop: any EventLoop, _ logger: Logger
  ) -> ShardService {
    let started = NIODeadline.now()
    let core = ShardCore(
      cluster: configuration.cluster, id: configuration.id,
      incarnation: UInt64.random(in: 1...UInt64.max), version: version,
      limits: configuration.limits,
      // For a shard with data on disk it is known once that is loaded.
      versionsBegin: configuration.storage == nil
        ? Store.versionsBegin(unixMillis: WallTime.unixMillis()) : 0,
      memory: configuration.memory,
      slowLog: configuration.slowLog.log(wallMillis: WallTime.unixMillis),
      clock: { NIODeadline.now().uptimeNanoseconds },
      wallMillis: WallTime.unixMillis,
      uptimeMillis: { (NIODeadline.now() - started).nanoseconds / 1_000_000 })
    core.marks = configuration.marks?(core.gate, loop)
    return ShardService(
      core: core, eventLoop: loop, logger: logger, authorizer: users?.authorizer(of: loop),
      audit: configuration.audit,
      tracer: configuration.traces?.tracer(
        TraceResource(
          role: "shard", cluster: configuration.cluster, id: configuration.id, version: version)),
      onShutdown: configuration.onShutdown)
  }

  /// Accepts nothing new, finishes the calls in progress, and stops. Returns when everything has
  /// ended.
  package func drain() async {
    certificates.stop()
    users?.stop()
    let service = self.service
    var grace = TimeAmount.seconds(Int64(drainSeconds))
    let giveUp = grace
    let mayHold = try? await group.any().submit {
      service.value.beginDraining(givingUpAfter: giveUp)
    }.get()
    if mayHold == true { grace = grace + Self.lastWordTime }
    async let linesDrained: Void? = lineServer?.drain(gracePeriod: grace)
    await server.drain(gracePeriod: grace)
    _ = await linesDrained
    let loop = group.any()
    try? await loop.flatSubmit {
      guard let storage = service.value.storage else { return loop.makeSucceededVoidFuture() }
      let closed = loop.makePromise(of: Void.self)
      storage.close { closed.succeed() }
      return closed.futureResult
    }.get()
    loops.close()
    try? await group.shutdownGracefully()
  }

  /// How long callers with held replies have to read their final reply.
  private static let lastWordTime = TimeAmount.milliseconds(250)
}
