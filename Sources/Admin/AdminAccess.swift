// Who may see which page: the node's users, by `Authorization: Bearer TOKEN`, by Basic with a name
// and a token, by the connection's certificate, or without credentials. One for each connection;
// event loop of the port.

import GRPC
import NIOCore
import NIOHTTP1
import NodeCore
import RingstoreAPI
import TextForms
import Users

/// Why a page is not shown.
struct AdminRefusal: Error {
  let response: AdminResponse

  /// - Parameter isForScripts: a script of a page requests it, and has the token; with Basic the
  ///   browser would show its own login window.
  init(_ error: CallError, isForScripts: Bool) {
    switch error.reason {
    case .unauthenticated:
      var response = AdminResponse.line(.unauthorized, error.message)
      response.headers = [("WWW-Authenticate", "Bearer realm=\"ringstore\"")]
      if !isForScripts {
        response.headers.append(
          ("WWW-Authenticate", "Basic realm=\"ringstore\", charset=\"UTF-8\""))
      }
      self.response = response
    case .rateLimited, .tooManyConnections:
      response = .line(.tooManyRequests, error.message)
    default:
      response = .line(.forbidden, error.message)
    }
  }
}

final class AdminAccess {
  private let identity: CallerIdentity

  init(_ authorizer: Authorizer, _ peer: PeerIdentity) {
    identity = CallerIdentity(
      authorizer, certificateNames: peer.names.map(\.certificateName))
  }

  /// Who requests a page; nil: the node has no users.
  func admit(_ head: HTTPRequestHead, to route: AdminRoute) throws(AdminRefusal) -> Principal? {
    guard route.access != .open else { return nil }
    do throws(CallError) {
      let principal = try caller(head)
      try principal.countCall()
      guard !principal.permissions.isDisjoint(with: route.access.permissions) else {
        throw principal.mayNotCall(route.path, needs: route.access.permissions)
      }
      return principal
    } catch {
      throw AdminRefusal(error, isForScripts: route.isForScripts)
    }
  }

  private func caller(_ head: HTTPRequestHead) throws(CallError) -> Principal {
    // With two of them the user would be ambiguous.
    let fields = head.headers["authorization"]
    guard fields.count <= 1 else { throw .unauthenticatedScheme }
    guard let field = fields.first else { return try identity.principal(nil) }
    if let (name, token) = Self.basic(field) {
      let found = try ByteBuffer(bytes: token).withUnsafeReadableBytes {
        (bytes) throws(CallError) in
        try identity.principal(ofToken: bytes)
      }
      guard name.isEmpty || name.elementsEqual(found.name.utf8) else {
        throw .unauthenticatedToken
      }
      return found
    }
    return try ByteBuffer(string: field).withUnsafeReadableBytes { (bytes) throws(CallError) in
      try identity.principal(bytes)
    }
  }

  /// Name and token of `Basic` (RFC 7617); nil if it is another scheme, or no Base64.
  private static func basic(_ field: String) -> (name: [UInt8], token: [UInt8])? {
    let words = field.split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0].lowercased() == "basic",
      let decoded = Base64.decode(Array(words[1].utf8)),
      let colon = decoded.firstIndex(of: UInt8(ascii: ":"))
    else { return nil }
    return (Array(decoded[..<colon]), Array(decoded[(colon + 1)...]))
  }
}
