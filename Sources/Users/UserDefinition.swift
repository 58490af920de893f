// A user as the users file describes it. A value; any thread.

import Patterns
import RingstoreAPI

package struct UserDefinition: Sendable, Hashable {
  package let name: String
  package var permissions: Permissions = []
  package var rules: KeyRules
  package var tokens: [TokenDigest] = []
  package var certificates: [CertificateName] = []
  /// Calls a second at most; nil: no limit.
  package var rate: UInt32?
  /// Connections to one node at most; nil: no limit.
  package var connections: UInt32?

  package init(
    name: String, permissions: Permissions, rules: KeyRules, tokens: [TokenDigest] = [],
    certificates: [CertificateName] = [], rate: UInt32? = nil, connections: UInt32? = nil
  ) {
    self.name = name
    self.permissions = permissions
    self.rules = rules
    self.tokens = tokens
    self.certificates = certificates
    self.rate = rate
    self.connections = connections
  }

  /// The user of calls without credentials, if the file has a user of this name.
  package static let anonymousName = "anonymous"

  /// Whether two definitions differ in nothing but the credentials.
  func hasRights(of other: UserDefinition) -> Bool {
    var copy = other
    copy.tokens = tokens
    copy.certificates = certificates
    return copy == self
  }
}

/// A name in a verified certificate (its SAN) that identifies a user.
package enum CertificateName: Sendable, Hashable {
  case dns(String)
  /// SPIFFE ids among them.
  case uri(String)
}

/// All users of a node. No two have a name, a token or a certificate in common (`UsersFile`).
package struct UserTable: Sendable, Hashable {
  package var users: [UserDefinition]

  package init(_ users: [UserDefinition] = []) {
    self.users = users
  }
}
