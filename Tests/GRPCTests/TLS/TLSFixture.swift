// A gRPC server with TLS on a real socket, clients of ours with certificates of a test's choice, and
// a blocking socket for those that break the rules.

import Glibc
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import NIOSSL
import TestCertificates
import Testing

@testable import GRPC

/// The certificates that most tests share, and those of an authority that no one trusts.
enum Certificates {
  static let ours = Result { try TestCertificates() }
  static let strangers = Result { try TestCertificates() }
}

extension TLSFiles {
  static func server(
    _ pair: TestCertificates.Pair, clientAuthority: String? = nil,
    clientCertificates: ClientCertificates = .required
  ) -> TLSFiles {
    .server(
      certificate: pair.certificate, key: pair.key, clientAuthority: clientAuthority,
      clientCertificates: clientCertificates)
  }
}

struct EncryptedServer {
  let port: Int
  let contexts: TLSContexts
  let connections: NodeConnections
  let log: ServiceLog
  let group: MultiThreadedEventLoopGroup
  let server: GRPCServer

  /// A client's channel; `tls` nil: without encryption.
  func channel(_ tls: ClientTLS?) -> ClientChannel {
    var configuration = ClientChannelConfiguration()
    configuration.connection.tls = tls
    configuration.connection.connectTimeout = .minutes(10)
    configuration.connection.maxMessageBytes = 16 << 20
    return ClientChannel(
      host: "127.0.0.1", port: port, eventLoop: group.next(), configuration: configuration)
  }

  /// What one call comes to: nil if it succeeded, else the words of its status.
  func call(_ tls: ClientTLS?) async -> String? {
    let channel = channel(tls)
    defer { channel.close() }
    do throws(RPCStatus) {
      let reply = try await channel.unary(path: "/t/Echo") { $0.writeString("question") }
      return String(buffer: reply) == "question" ? nil : "another reply"
    } catch {
      return error.message
    }
  }
}

/// Runs a server and stops it after `body`.
///
/// - Parameter change: what is different from a server's own limits.
func withEncryptedServer(
  _ files: TLSFiles, threads: Int = 1, change: (inout ListenerTLS) -> Void = { _ in },
  _ body: (EncryptedServer) async throws -> Void
) async throws {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
  let log = ServiceLog()
  let contexts = try TLSContexts(files)
  let connections = NodeConnections()
  var configuration = ServerConfiguration().patient
  var tls = ListenerTLS(contexts, protocolName: "h2")
  tls.timeoutNanos = 3_600 * 1_000_000_000
  change(&tls)
  configuration.tls = tls
  configuration.maxMessageBytes = 16 << 20
  let server = try await GRPCServer.start(
    host: "127.0.0.1", port: 0, group: group, configuration: configuration,
    connections: connections, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) { _ in TestService(log: log) }
  let running = EncryptedServer(
    port: server.port, contexts: contexts, connections: connections, log: log, group: group,
    server: server)
  do {
    try await body(running)
  } catch {
    await server.drain(gracePeriod: .zero)
    try await group.shutdownGracefully()
    throw error
  }
  await server.drain(gracePeriod: .zero)
  try await group.shutdownGracefully()
}

extension ClientTLS {
  /// A client that trusts an authority and may have a certificate.
  static func trusting(
    _ authority: String, _ pair: TestCertificates.Pair? = nil, serverName: String? = nil
  ) throws -> ClientTLS {
    ClientTLS(
      try TLSContexts(
        .client(authority: authority, certificate: pair?.certificate, key: pair?.key)),
      serverName: serverName)
  }

  /// The same with something changed that no setting changes.
  static func trusting(
    _ authority: String, change: (inout TLSConfiguration) -> Void
  ) throws -> ClientTLS {
    let files = TLSFiles.client(authority: authority)
    var configuration = try files.load().configuration
    change(&configuration)
    return ClientTLS(TLSContexts(files, context: try NIOSSLContext(configuration: configuration)))
  }
}

/// What a client says first in its handshake.
func clientHello(_ authority: String) throws -> [UInt8] {
  let context = try TLSFiles.client(authority: authority).load()
  let channel = EmbeddedChannel()
  try channel.pipeline.syncOperations.addHandler(
    NIOSSLClientHandler(context: context, serverHostname: "localhost"))
  channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
  let hello = try #require(try channel.readOutbound(as: ByteBuffer.self))
  _ = try? channel.finish(acceptAlreadyClosed: true)
  return Array(hello.readableBytesView)
}

/// A blocking socket without TLS; what takes longer than a minute counts as the end.
final class BareSocket {
  private let descriptor: CInt
  private var isClosed = false

  init(_ port: Int) throws {
    descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(status == 0)
  }

  func send(_ bytes: [UInt8]) {
    _ = bytes.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Reads once; empty at the end of the connection, however it ended.
  func read() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = recv(descriptor, &bytes, bytes.count, 0)
    return Array(bytes.prefix(max(0, count)))
  }

  func readToEnd() -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let some = read()
      if some.isEmpty { return all }
      all += some
    }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    Glibc.close(descriptor)
  }

  deinit { close() }
}
