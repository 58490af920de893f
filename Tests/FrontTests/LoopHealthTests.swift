// The health of a router with several event loops is that of all of them.

import GRPC
import Logging
import NIOCore
import NIOPosix
import NodeCore
import Placement
import RingstoreAPI
import Testing

@testable import RouterNode
@testable import ShardNode
@testable import StandardServices

@Suite(.timeLimit(.minutes(15)))
struct LoopHealthTests {
  @Test func twoLoopsServeWhatBothServe() {
    let first = NodeHealth(
      notReadyReason: nil, shards: [("a", true), ("b", true), ("c", false), ("d", true)])
    let second = NodeHealth(
      notReadyReason: "no link", shards: [("b", false), ("a", true), ("c", true), ("e", true)])
    for both in [first.and(second), second.and(first)] {
      #expect(both.notReadyReason == "no link")
      // A shard that only one of them knows isn't served by the other.
      #expect(Set(both.shards.map(\.id)) == ["a", "b", "c", "d", "e"])
      #expect(both.shards.filter(\.isServing).map(\.id) == ["a"])
    }
    #expect(first.and(first).notReadyReason == nil)
    #expect(first.and(first).shards.filter(\.isServing).count == 3)
  }

  /// A router of one loop, with a second one that reaches no shard.
  @Test func aRouterServesWhenEveryLoopReachesItsShards() async throws {
    let shard = try await Self.shard()
    let router = try await Self.router(shardPort: shard.port)
    let lost = try await Self.shard()
    let lostPort = lost.port
    await lost.drain()
    let other = try await Self.router(shardPort: lostPort)
    let loops = try await Self.loops(of: router)
    let client = Health(port: router.port)
    while await client.check("shard/a") != Health.serving {
      try await Task.sleep(for: .milliseconds(5))
    }
    loops.set(router.services + other.services)
    for service in ["", V1.KeyStore.name, "shard/a"] {
      #expect(await client.check(service) == Health.notServing, "\(service)")
    }
    // It responds, and that is all that this service needs.
    #expect(await client.check(V1.Cluster.name) == Health.serving)
    let watch = client.watch("shard/a")
    var statuses = watch.messages.makeAsyncIterator()
    #expect(Health.bytes(try await statuses.next()) == Health.notServing)
    loops.set(router.services)
    #expect(Health.bytes(try await statuses.next()) == Health.serving)
    #expect(await client.check("") == Health.serving)
    watch.cancel()
    client.close()
    await router.drain()
    await other.drain()
    await shard.drain()
  }

  private static func shard() async throws -> ShardServer {
    var configuration = ShardConfiguration(id: "a")
    (configuration.port, configuration.drainSeconds) = (0, 1)
    return try await ShardServer.start(configuration, version: "1", logger: silent)
  }

  private static func router(shardPort: Int) async throws -> RouterServer {
    var configuration = RouterConfiguration(
      shards: [ShardDescription(id: "a", address: "127.0.0.1:\(shardPort)", weight: 1)])
    (configuration.port, configuration.drainSeconds) = (0, 1)
    configuration.linkLimits.silenceNanosMax = 600 * 1_000_000_000
    return try await RouterServer.start(configuration, version: "1", logger: silent)
  }

  private static func loops(of router: RouterServer) async throws -> RouterLoops {
    let service = try #require(router.services.first)
    return try await service.eventLoop.submit { service.value.loops }.get()
  }
}

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A client of grpc.health.v1.
private struct Health {
  static let serving: [UInt8] = [8, 1]
  static let notServing: [UInt8] = [8, 2]

  private let channel: ClientChannel

  init(port: Int) {
    var configuration = ClientChannelConfiguration()
    configuration.connection.connectTimeout = .minutes(10)
    channel = ClientChannel(
      host: "127.0.0.1", port: port, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
      configuration: configuration)
  }

  func close() { channel.close() }

  private static func request(_ service: String) -> ByteBuffer {
    var request = ByteBuffer()
    request.write(GRPCHealth.HealthCheckRequest.Field.service, service)
    return request
  }

  /// The encoded response; nil: an error.
  func check(_ service: String) async -> [UInt8]? {
    Self.bytes(
      try? await channel.unary(path: GRPCHealth.Health.check) {
        $0.writeImmutableBuffer(Self.request(service))
      })
  }

  func watch(_ service: String) -> ClientStream {
    let stream = channel.stream(path: GRPCHealth.Health.watch)
    Task {
      try await stream.send { $0.writeImmutableBuffer(Self.request(service)) }
      stream.halfClose()
    }
    return stream
  }

  static func bytes(_ message: ByteBuffer?) -> [UInt8]? {
    message.map { Array($0.readableBytesView) }
  }
}
