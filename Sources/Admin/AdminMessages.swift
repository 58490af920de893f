// A request to the admin port, and what is answered. Values; any thread.

import NIOHTTP1
import Users

package struct AdminRequest: Sendable {
  /// Without the query.
  package let path: String
  /// As it was sent, without the question mark.
  package let query: String
  /// The value of the Accept field, all of them in one.
  package let accept: String?
  /// Who asks; nil: the node has no users.
  package let user: String?
  /// What that user may do; everything where there are no users.
  package let permissions: Permissions
  /// By what the user was known, for calls on a node in his name.
  package let caller: KnownCredential?
  /// The name by which the port was asked.
  package let host: String?
  /// Where a browser says that the request comes from (Sec-Fetch-Site).
  package let fetchSite: String?
  package let isEncrypted: Bool

  package init(
    path: String, query: String = "", accept: String? = nil, user: String? = nil,
    permissions: Permissions = .all, caller: KnownCredential? = nil, host: String? = nil,
    fetchSite: String? = nil, isEncrypted: Bool = false
  ) {
    self.path = path
    self.query = query
    self.accept = accept
    self.user = user
    self.permissions = permissions
    self.caller = caller
    self.host = host
    self.fetchSite = fetchSite
    self.isEncrypted = isEncrypted
  }
}

package struct AdminResponse: Sendable {
  package var status: HTTPResponseStatus
  package var contentType: String
  package var body: [UInt8]
  package var headers: [(name: String, value: String)] = []

  package init(
    _ status: HTTPResponseStatus, contentType: String = "text/plain; charset=utf-8", body: String
  ) {
    self.status = status
    self.contentType = contentType
    self.body = Array(body.utf8)
  }

  /// One sentence and the end of its line.
  package static func line(_ status: HTTPResponseStatus, _ sentence: String) -> AdminResponse {
    AdminResponse(status, body: sentence + "\n")
  }

  package static func json(_ text: String) -> AdminResponse {
    AdminResponse(.ok, contentType: "application/json", body: text + "\n")
  }
}

/// One page of the admin port.
package struct AdminRoute: Sendable {
  /// Who may see a page, where the node has users.
  package enum Access: Sendable {
    /// Everybody, without credentials: probes have none.
    case open
    /// Users who may read or administer.
    case read
    /// Users who may administer.
    case admin

    /// What any one of is enough.
    var permissions: Permissions {
      switch self {
      case .open: []
      case .read: [.read, .admin]
      case .admin: .admin
      }
    }
  }

  package let path: String
  package let access: Access
  /// Whether it is a probe, which is to fail soon.
  package let isProbe: Bool
  package let respond: @Sendable (AdminRequest) async -> AdminResponse

  /// Whether a page asks for it, and not a person.
  var isForScripts: Bool { path.hasPrefix("/api/") }

  package init(
    _ path: String, access: Access, isProbe: Bool = false,
    respond: @escaping @Sendable (AdminRequest) async -> AdminResponse
  ) {
    self.path = path
    self.access = access
    self.isProbe = isProbe
    self.respond = respond
  }
}
