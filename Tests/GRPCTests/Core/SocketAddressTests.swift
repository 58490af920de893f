// Addresses in logs.

import GRPC
import NIOCore
import Testing

@Suite struct SocketAddressTests {
  @Test func anAddressIsShownAsAnOperatorWritesIt() throws {
    #expect(try SocketAddress(ipAddress: "127.0.0.1", port: 4).shown == "127.0.0.1:4")
    #expect(try SocketAddress(ipAddress: "::1", port: 50_051).shown == "[::1]:50051")
    let accepted = try SocketAddress(ipAddress: "10.0.0.1", port: 7)
    guard case .v4(let address) = accepted else {
      Issue.record("no IPv4 address")
      return
    }
    let named = SocketAddress(address.address, host: "ten")
    #expect(named.shown == "10.0.0.1:7")
    #expect(try SocketAddress(unixDomainSocketPath: "/run/x").shown.contains("/run/x"))
  }
}
