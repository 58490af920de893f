// The host that a request names (RFC 9112 section 3.2). A value; any thread.

import NIOCore

struct HostField {
  /// As it was sent, with the port.
  let text: String
  private let isAddress: Bool

  /// Nil where it is malformed.
  init?(_ text: String) {
    self.text = text
    guard text.utf8.allSatisfy(Self.isAllowed) else { return nil }
    guard text.hasPrefix("[") else {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count < 2 || Self.isPort(parts[1]), !text.contains("["), !text.contains("]")
      else { return nil }
      isAddress = Self.isAddress(parts.first ?? "")
      return
    }
    // An address of version 6 stands in brackets.
    guard let end = text.firstIndex(of: "]") else { return nil }
    let rest = text[text.index(after: end)...]
    guard rest.isEmpty || rest.first == ":" && Self.isPort(rest.dropFirst()) else { return nil }
    let address = text[..<end].dropFirst().prefix { $0 != "%" }
    guard address.contains(":"), Self.isAddress(address) else { return nil }
    isAddress = true
  }

  /// Whether it is an address, or a name that can't be registered.
  var isOfAnAddress: Bool {
    if isAddress { return true }
    let name = text.prefix { $0 != ":" }
    // An encoded byte may be a dot.
    guard !name.isEmpty, !name.contains("%") else { return false }
    return !name.contains(".") || name.hasSuffix(".localhost")
  }

  private static func isAddress(_ text: Substring) -> Bool {
    (try? SocketAddress(ipAddress: String(text), port: 0)) != nil
  }

  private static func isPort(_ text: Substring) -> Bool {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return false
    }
    return text.isEmpty || UInt16(text) != nil
  }

  /// What names and addresses are made of (RFC 3986 section 3.2.2), and the colon of the port.
  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-._~%!$&'()*+,;=:[]".utf8.contains(byte)
    }
  }
}
