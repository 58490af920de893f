// Readers of a real socket that are slow and continue, and one that reads nothing. The system's
// buffers are part of this: they take new bytes seconds apart where the client reads slowly.

import Glibc
import HTTP2
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import GRPC

/// A client that reads at a given rate, on a blocking socket.
private final class PacedClient {
  private let socket: CInt
  private(set) var bytes = 0

  /// Connects and makes so many calls.
  init(_ port: Int, calls: Int) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    #expect(status == 0)
    let request = try RawRequest(path: ScriptedService.unaryPath, message: [1])
    // As much window as there is, so that nothing but the socket holds the replies back.
    var out: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    out += rawFrame(4, stream: 0, [0, 4, 0x7F, 0xFF, 0xFF, 0xFF])
    out += rawFrame(8, stream: 0, [0x7F, 0, 0, 0])
    var frames = ByteBuffer()
    for index in 0..<calls { request.write(stream: UInt32(2 * index + 1), to: &frames) }
    out += Array(frames.readableBytesView)
    #expect(out.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, 0) } == out.count)
  }

  deinit { close(socket) }

  /// Reads once. False at the end of the connection.
  func read() -> Bool {
    let count = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) {
      recv(socket, $0.baseAddress, $0.count, 0)
    }
    bytes += max(0, count)
    return count > 0
  }
}

@Suite(.timeLimit(.minutes(15))) struct SlowSocketTests {
  static let replyBytes = 3 << 20
  static let calls = 3

  private func withServer(
    _ body: (GRPCServer, NodeConnections) async throws -> Void
  ) async throws {
    var configuration = ServerConfiguration()
    configuration.progressTimeoutNanos = 3_000_000_000
    configuration.minConnectionProgressBytes = 4 << 10
    configuration.keepaliveNanos = 0
    // For looks every quarter of a second.
    configuration.idleNanosMax = 1_000_000_000
    let connections = NodeConnections()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await GRPCServer.start(
      host: "127.0.0.1", port: 0, group: group, configuration: configuration,
      connections: connections, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { _ in
      let service = ScriptedService()
      service.onUnary = { call, _ in
        call.respond { $0.writeRepeatingByte(1, count: Self.replyBytes) }
      }
      return service
    }
    try await body(server, connections)
    await server.drain(gracePeriod: .seconds(1))
    try await group.shutdownGracefully()
  }

  /// Runs what blocks, and keeps its pace, on a thread of its own: tasks of other tests may delay
  /// those that Swift's tasks share.
  private static func onThread(_ body: @escaping @Sendable () throws -> Int) async throws -> Int {
    try await NIOThreadPool.singleton.runIfActive(body)
  }

  @Test func aSlowReaderThatContinuesGetsAllReplies() async throws {
    try await withServer { server, connections in
      let port = server.port
      let bytes = try await Self.onThread {
        let client = try PacedClient(port, calls: Self.calls)
        // 256 KiB a second, for three times as long as nothing may move; then the rest at once.
        let begun = NIODeadline.now()
        for step in 0..<144 {
          guard client.read() else { return client.bytes }
          let pause = (begun + .milliseconds(Int64(62 * step))) - .now()
          if pause > .zero { usleep(UInt32(pause.nanoseconds / 1_000)) }
        }
        while client.bytes < Self.calls * (Self.replyBytes + 5), client.read() {}
        return client.bytes
      }
      #expect(bytes >= Self.calls * (Self.replyBytes + 5))
      #expect(connections.count(of: .unreadReplies) == 0)
    }
  }

  @Test func aReaderOfNothingIsCut() async throws {
    try await withServer { server, connections in
      let client = try PacedClient(server.port, calls: Self.calls)
      while connections.count(of: .unreadReplies) == 0 {
        try await Task.sleep(for: .milliseconds(50))
      }
      while client.read() {}
      #expect(client.bytes < Self.calls * Self.replyBytes)
    }
  }
}
