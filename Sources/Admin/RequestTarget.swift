// The target of a request: its path and query, and the host that the client used (RFC 9112 sections
// 3.2 and 3.3). A value; any thread.

import NIOHTTP1

struct RequestTarget {
  /// What is wrong with a request, for its client.
  struct Malformed: Error {
    let sentence: String
  }

  let path: String
  let query: String
  /// Nil: HTTP/1.0 without a Host field.
  let host: HostField?

  init(_ head: HTTPRequestHead) throws(Malformed) {
    let named = try Self.host(head)
    var target = Substring(head.uri)
    if target.hasPrefix("/") {
      host = named
    } else {
      // The absolute form, whose host counts and not that of the Host field.
      guard let scheme = Self.schemes.first(where: { target.lowercased().hasPrefix($0) }) else {
        throw Malformed(sentence: "The target of a request is a path, or an http address.")
      }
      target = target.dropFirst(scheme.count)
      let authority = target.prefix { $0 != "/" && $0 != "?" }
      guard !authority.isEmpty, let field = HostField(String(authority)) else {
        throw .host
      }
      host = field
      target = target.dropFirst(authority.count)
    }
    let path = target.prefix { $0 != "?" }
    self.path = path.isEmpty ? "/" : String(path)
    query = String(target.dropFirst(path.count + 1))
  }

  private static let schemes = ["http://", "https://"]

  /// HTTP/1.1 requires exactly one Host field; HTTP/1.0 has one at most.
  private static func host(_ head: HTTPRequestHead) throws(Malformed) -> HostField? {
    let fields = head.headers["host"]
    if fields.isEmpty, head.version.minor == 0 { return nil }
    guard fields.count == 1, let field = HostField(fields[0]) else { throw .host }
    return field
  }
}

extension RequestTarget.Malformed {
  fileprivate static let host = Self(
    sentence: "A request has one Host field, with a name or an address.")
}
