// A request to the admin port, and its reply. Values; any thread.

import NIOHTTP1
import RingstoreAPI
import Users

package struct AdminRequest: Sendable {
  /// Without the query.
  package let path: String
  /// As it was sent, without the question mark.
  package let query: String
  /// The value of the Accept field, all of them in one.
  package let accept: String?
  /// The caller; nil: the node has no users.
  package let user: String?
  /// The permissions of that user; all if there are no users.
  package let permissions: Permissions
  /// The credential that identified the user, for calls to a node on its behalf.
  package let caller: KnownCredential?
  /// Which keys that user may access; nil: all.
  package let rules: KeyRules?
  /// The host name in the request.
  package let host: String?
  /// The origin of the request according to the browser (Sec-Fetch-Site).
  package let fetchSite: String?
  package let isEncrypted: Bool

  package init(
    path: String, query: String = "", accept: String? = nil, user: String? = nil,
    permissions: Permissions = .all, caller: KnownCredential? = nil, rules: KeyRules? = nil,
    host: String? = nil, fetchSite: String? = nil, isEncrypted: Bool = false
  ) {
    self.path = path
    self.query = query
    self.accept = accept
    self.user = user
    self.permissions = permissions
    self.caller = caller
    self.rules = rules
    self.host = host
    self.fetchSite = fetchSite
    self.isEncrypted = isEncrypted
  }

  /// Whether the request has a user's token or certificate.
  var hasCredential: Bool { caller.map { !$0.isAnonymous } ?? false }
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

  /// One sentence and a line end.
  package static func line(_ status: HTTPResponseStatus, _ sentence: String) -> AdminResponse {
    AdminResponse(status, body: sentence + "\n")
  }

  package static func json(_ text: String) -> AdminResponse {
    AdminResponse(.ok, contentType: "application/json", body: text + "\n")
  }
}

/// One page of the admin port.
package struct AdminRoute: Sendable {
  /// Who may see a page, if the node has users.
  package enum Access: Sendable {
    /// No credentials are needed, because probes have none.
    case open
    /// Users with the permission read or admin.
    case read
    /// Users with the permission admin.
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
  /// Whether it is a probe, which must fail quickly.
  package let isProbe: Bool
  package let respond: @Sendable (AdminRequest) async -> AdminResponse
  /// Makes the page on the port's event loop; nil: it is made elsewhere.
  let respondAtOnce: (@Sendable (AdminRequest) -> AdminResponse)?

  /// Whether a page requests it, and not a person.
  var isForScripts: Bool { path.hasPrefix("/api/") }

  /// - Parameter respond: makes the page, for requests that `refusal` lets through.
  package init(
    _ path: String, access: Access, isProbe: Bool = false,
    respond: @escaping @Sendable (AdminRequest) async -> AdminResponse
  ) {
    self.path = path
    self.access = access
    self.isProbe = isProbe
    self.respond = respond
    respondAtOnce = nil
  }

  /// - Parameter atOnce: the same for a page that queries no node and is made quickly.
  package init(
    _ path: String, access: Access, atOnce: @escaping @Sendable (AdminRequest) -> AdminResponse
  ) {
    self.path = path
    self.access = access
    isProbe = false
    respond = { atOnce($0) }
    respondAtOnce = atOnce
  }

  /// The response in the place of the page; nil: the request may have it.
  func refusal(of request: AdminRequest) -> AdminResponse? {
    guard access != .open else { return nil }
    do throws(CallError) {
      try ViewerGuard.check(request)
      return nil
    } catch {
      return .line(.forbidden, error.message)
    }
  }
}
