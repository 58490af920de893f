// The collector's address: a URL like http://127.0.0.1:4318/v1/traces. A value; any thread.

import TextForms

package struct TraceEndpoint: Sendable, Hashable {
  package let isEncrypted: Bool
  package let address: HostPort
  /// With its query, if it has one.
  package let path: String

  /// The default port is the scheme's, the default path is OTLP's.
  ///
  /// - Returns: nil if the text is not such a URL. A user name and a password are not accepted.
  package init?(_ url: String) {
    let rest: Substring
    if url.hasPrefix("http://") {
      isEncrypted = false
      rest = url.dropFirst("http://".count)
    } else if url.hasPrefix("https://") {
      isEncrypted = true
      rest = url.dropFirst("https://".count)
    } else {
      return nil
    }
    let place = String(rest.prefix { $0 != "/" })
    let path = String(rest.dropFirst(place.count))
    guard path.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }) else {
      return nil
    }
    let port = isEncrypted ? 443 : 80
    if let address = HostPort(place) {
      self.address = address
    } else if let host = HostPort.host(place), place.hasPrefix("[") || !place.contains(":") {
      address = HostPort(host: host, port: port)
    } else {
      return nil
    }
    self.path = path.isEmpty || path == "/" ? OTLPRequest.path : path
  }

  /// The URL without its query, which may be a secret.
  package var shown: String {
    (isEncrypted ? "https://" : "http://") + address.description
      + path.prefix { $0 != "?" } + (path.contains("?") ? "?(secret)" : "")
  }
}
