// host:port as people write it: example.net:50051, 10.0.0.1:50051, [::1]:50051.

package struct HostPort: Sendable, Hashable {
  /// Without brackets.
  package let host: String
  package let port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// nil if the text has another form, or the port is not from 1 to 65535.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let name = String(text[..<colon])
    let digits = text[text.index(after: colon)...]
    // A bare IPv6 address is ambiguous in front of a port.
    guard name.hasPrefix("[") || !name.contains(":"), let host = Self.host(name) else { return nil }
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
      (1...65_535).contains(port)
    else { return nil }
    self.host = host
    self.port = port
  }

  /// A host's name or address without brackets; nil if it can't be one.
  package static func host(_ text: String) -> String? {
    var host = text[...]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard host.contains(":") else { return nil }
    }
    let isPlausible = host.utf8.allSatisfy { byte in
      byte > 0x20 && byte < 0x7f && !"[]/,=@".utf8.contains(byte)
    }
    return !host.isEmpty && isPlausible ? String(host) : nil
  }
}

extension HostPort: CustomStringConvertible {
  package var description: String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
