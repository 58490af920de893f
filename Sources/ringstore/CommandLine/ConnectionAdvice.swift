// What to do about a connection that TLS prevents, or a call without a token: added to the reason
// that the transport or the node gives, so that the first mistake with an encrypted cluster or with
// users explains itself. Pure, any thread.

package enum ConnectionAdvice {
  /// The options that would help, by a part of the reason.
  private static let encrypted = [
    ("not of the certificate authority", "--tls-ca FILE names the authority to trust."),
    ("requires a certificate", "Add --tls-certificate FILE and --tls-key FILE."),
    ("doesn't use TLS", "Omit --tls and the other options for TLS."),
    ("certificate is for another name", "--tls-server-name NAME sets the name to expect."),
  ]

  /// Parts of the messages of nodes, on either port, and of a Redis that want credentials.
  private static let withoutToken = [
    "authorization: Bearer TOKEN", "authenticate with AUTH and a token", "Authentication required",
  ]

  /// How our programs send the token that a node asks for; nil: the message asks for none.
  package static func ofToken(_ message: String) -> String? {
    guard withoutToken.contains(where: { message.contains($0) }) else { return nil }
    return "--token-file FILE names the token's file; \(TokenText.variable) may hold the token."
  }

  /// - Parameters:
  ///   - message: why a call failed.
  ///   - isEncrypted: whether the client uses TLS.
  /// - Returns: the message, and advice as a further sentence if there is any.
  package static func added(to message: String, isEncrypted: Bool) -> String {
    let advice: String?
    if let token = ofToken(message) {
      advice = token
    } else if isEncrypted {
      advice = encrypted.first { message.contains($0.0) }?.1
    } else {
      // A node with TLS closes a connection that begins with anything else, and so do other ports.
      advice =
        message.hasSuffix("the peer closed the connection")
        ? "If the node uses TLS, add --tls-ca FILE. Otherwise check the port: it may be one for "
          + "lines, for administration or of another program." : nil
    }
    return advice.map { "\(Self.sentence(message)) \($0)" } ?? message
  }

  /// A message with a dot at its end.
  package static func sentence(_ message: String) -> String {
    message.hasSuffix(".") ? message : message + "."
  }
}
