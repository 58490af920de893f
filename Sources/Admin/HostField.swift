// The Host field of a request (RFC 9112 section 3.2): the name that the client used. A
// value; any thread.

import NIOCore
import NIOHTTP1

struct HostField {
  /// As it was sent, with the port.
  let text: String
  private let isAddress: Bool

  /// Of a request; nil where the request is malformed: HTTP/1.1 wants exactly one, and HTTP/1.0 has
  /// one at most.
  static func of(_ head: HTTPRequestHead) -> HostField?? {
    let fields = head.headers["host"]
    guard let field = fields.first else { return head.version.minor == 0 ? .some(nil) : nil }
    guard fields.count == 1, let host = HostField(field) else { return nil }
    return host
  }

  /// Nil where it is malformed.
  init?(_ text: String) {
    self.text = text
    guard text.utf8.allSatisfy(Self.isAllowed) else { return nil }
    guard text.hasPrefix("[") else {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count < 2 || Self.isPort(parts[1]), !text.contains("["), !text.contains("]")
      else { return nil }
      let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
      isAddress = numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil }
      return
    }
    // An address of version 6 stands in brackets.
    guard let end = text.firstIndex(of: "]") else { return nil }
    let rest = text[text.index(after: end)...]
    guard rest.isEmpty || rest.first == ":" && Self.isPort(rest.dropFirst()) else { return nil }
    let address = text[..<end].dropFirst().prefix { $0 != "%" }
    guard address.contains(":"), (try? SocketAddress(ipAddress: String(address), port: 0)) != nil
    else { return nil }
    isAddress = true
  }

  /// Whether it is an address, or a name that can't be registered.
  var isOfAnAddress: Bool {
    if isAddress { return true }
    let name = text.prefix { $0 != ":" }
    return !name.isEmpty && (!name.contains(".") || name.hasSuffix(".localhost"))
  }

  private static func isPort(_ text: Substring) -> Bool { text.isEmpty || UInt16(text) != nil }

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
