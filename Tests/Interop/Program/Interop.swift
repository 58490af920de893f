// gRPC's interop tests on our transport, both sides of them:
//
//   interop serve [TLS...]             serves grpc.testing.TestService on 127.0.0.1; says the port
//   interop client HOST:PORT [TLS...] [--without-probes] CASE...
//                                      runs cases against a server; a line for each
//
// TLS is --tls-certificate FILE --tls-key FILE, and whose certificates of the other side are taken:
// --tls-client-ca FILE for a server, --tls-ca FILE for a client.
//
// The other side is Python's grpcio in Tests/RealClients (test_interop.py), and each other. Names
// and contents of the cases are the public ones (grpc/grpc doc/interop-test-descriptions.md).

import GRPC
import Logging
import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@main
enum Interop {
  static func main() async {
    var arguments = CommandLine.arguments.dropFirst()
    do {
      switch arguments.popFirst() {
      case "serve": try await serve(TLSFlags(&arguments))
      case "client":
        guard let address = arguments.popFirst() else { usage() }
        let tls = TLSFlags(&arguments)
        let hasProbes = arguments.first != "--without-probes"
        if !hasProbes { arguments.removeFirst() }
        exit(try await runClient(address, tls, Array(arguments), hasProbes: hasProbes) ? 0 : 1)
      default: usage()
      }
    } catch {
      print("interop: \(error)")
      exit(1)
    }
  }

  private static func usage() -> Never {
    print("usage: interop serve [TLS...] | client HOST:PORT [TLS...] [--without-probes] CASE...")
    exit(64)
  }

  /// Serves until the process is ended.
  private static func serve(_ tls: TLSFlags) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = ServerConfiguration()
    configuration.tls = try tls.ofServer()
    let server = try await GRPCServer.start(
      host: "127.0.0.1", port: 0, group: group, configuration: configuration,
      logger: Logger(label: "interop") { _ in SwiftLogNoOpLogHandler() }
    ) { InteropService(eventLoop: $0) }
    print("listening on \(server.port)")
    fflush(nil)
    while true { try await Task.sleep(for: .seconds(3600)) }
  }

  /// Returns whether every case held.
  private static func runClient(
    _ address: String, _ tls: TLSFlags, _ cases: [String], hasProbes: Bool
  ) async throws -> Bool {
    guard let colon = address.lastIndex(of: ":"), let port = Int(address[colon...].dropFirst())
    else { usage() }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = ClientChannelConfiguration()
    configuration.connection.tls = try tls.ofClient()
    let channel = ClientChannel(
      host: String(address[..<colon]), port: port, eventLoop: group.next(),
      configuration: configuration)
    let client = InteropClient(channel: channel, hasProbes: hasProbes)
    var isGood = true
    for name in cases {
      do {
        try await client.run(name)
        print("ok \(name)")
      } catch {
        isGood = false
        print("FAILED \(name): \(error)")
      }
    }
    channel.close()
    try await group.shutdownGracefully()
    return isGood
  }
}
