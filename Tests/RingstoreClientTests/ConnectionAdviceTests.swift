// The advice that follows the reason of a failed call.

import Testing
import ringstore

@Suite struct ConnectionAdviceTests {
  @Test(arguments: [
    "The call has no credentials. Send a token, as the metadata `authorization: Bearer TOKEN`.",
    "The credentials are not a token. Send one, as the metadata `authorization: Bearer TOKEN`.",
    "First authenticate with AUTH and a token.", "NOAUTH Authentication required.",
  ])
  func aCallWithoutATokenNamesTheFlagForIt(message: String) {
    for isEncrypted in [true, false] {
      let advised = ConnectionAdvice.added(to: message, isEncrypted: isEncrypted)
      #expect(advised.hasPrefix("\(message) --token-file FILE "), "\(advised)")
    }
    #expect(ConnectionAdvice.ofToken("The token belongs to none of this node's users.") == nil)
  }

  @Test func aClosedConnectionMayMeanTLSOrAnotherPort() {
    let closed = "connect failed: the peer closed the connection"
    let advised = ConnectionAdvice.added(to: closed, isEncrypted: false)
    #expect(advised.contains("If the node uses TLS, add --tls-ca FILE."))
    #expect(advised.contains("check the port: it may be one for lines, for administration"))
    #expect(ConnectionAdvice.added(to: closed, isEncrypted: true) == closed)
  }
}
