// Checks whether a router could listen on its address, before anything else is started for it.
// Another program may take the port right after this check; then the start itself fails with the
// same message.

import LineProtocol
import NIOCore
import NIOPosix
import RouterNode

enum PortCheck {
  static func check(_ router: RouterConfiguration) async throws(StartFailure) {
    do {
      try await bind(router.host, router.port)
      do {
        if let port = router.linePort { try await bind(router.host, port) }
      } catch {
        throw LineServer.ListenFailure(port: router.linePort ?? 0, cause: error)
      }
    } catch {
      throw StartFailure(error, host: router.host, port: router.port)
    }
  }

  private static func bind(_ host: String, _ port: Int) async throws {
    guard port != 0 else { return }
    try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .bind(host: host, port: port).get()
      .close().get()
  }
}
