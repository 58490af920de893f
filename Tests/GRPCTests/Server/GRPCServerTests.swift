// The listening side over real sockets: ports, and a drain from outside.

import Logging
import NIOCore
import NIOPosix
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(15))) struct GRPCServerTests {
  func start(port: Int = 0) async throws -> GRPCServer {
    try await GRPCServer.start(
      host: "127.0.0.1", port: port, group: MultiThreadedEventLoopGroup.singleton,
      configuration: ServerConfiguration(),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      service: { _ in ScriptedService() })
  }

  @Test func aTakenPortIsAnError() async throws {
    let first = try await start()
    #expect(first.port > 0)
    await #expect(throws: (any Error).self) {
      _ = try await start(port: first.port)
    }
    await first.drain(gracePeriod: .seconds(1))
  }

  @Test func aDrainedServerClosesItsConnectionsAndItsPort() async throws {
    let server = try await start()
    let port = server.port
    let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: port).get()
    await server.drain(gracePeriod: .milliseconds(50))
    try await client.closeFuture.get()
    let again = try await start(port: port)
    #expect(again.port == port)
    await again.drain(gracePeriod: .milliseconds(50))
  }
}
