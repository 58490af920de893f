// Addresses as people write them: host:port, with IPv6 hosts in brackets.

package enum HostAndPort {
  /// The parts of `host:port` or `[v6]:port`; nil where it is neither, or the port is not 1...65535.
  package static func parse(_ address: String) -> (host: String, port: Int)? {
    guard let colon = address.lastIndex(of: ":"),
      let port = Int(address[address.index(after: colon)...]), (1...65_535).contains(port)
    else { return nil }
    var host = address[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    return host.isEmpty ? nil : (String(host), port)
  }
}
