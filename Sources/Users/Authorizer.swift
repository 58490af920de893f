// Finds the user of a credential: one event loop's copy of the users. There is one for each loop,
// so that a call reads nothing that other threads share.
//
// Event loop only.

import RingstoreAPI

package final class Authorizer {
  package let ledger: AccessLedger
  private var users: [String: User] = [:]
  private var certificates: [CertificateName: Principal] = [:]
  private var anonymous: Principal?
  /// Called when principals were revoked, for calls of theirs that continue without a message of
  /// the client.
  package var onRevocation: (() -> Void)?

  private struct User {
    let principals: [Principal]
  }

  package init(_ table: UserTable, _ ledger: AccessLedger) {
    self.ledger = ledger
    replace(with: table)
  }

  /// Takes another table. Principals with the same credential and rights in the new table continue;
  /// all others are revoked.
  package func replace(with table: UserTable) {
    var before: [Credential: Principal] = [:]
    for user in users.values { for known in user.principals { before[known.credential] = known } }
    users.removeAll()
    certificates.removeAll()
    anonymous = nil
    for user in table.users {
      let account = ledger.account(of: user.name)
      func principal(_ credential: Credential) -> Principal {
        if let known = before[credential], known.isStill(user) {
          before[credential] = nil
          return known
        }
        return Principal(user, credential, account, self)
      }
      var principals = user.tokens.map { principal(.token(name: user.name, $0)) }
      for name in user.certificates {
        let named = principal(.certificate(name))
        certificates[name] = named
        principals.append(named)
      }
      if user.name == UserDefinition.anonymousName {
        let shared = principal(.anonymous)
        anonymous = shared
        principals.append(shared)
      }
      users[user.name] = User(principals: principals)
    }
    for left in before.values { left.revoke() }
    ledger.forget(allBut: Set(users.keys))
    if !before.isEmpty { onRevocation?() }
  }

  /// The user of a token. Takes the same time for a user that doesn't exist.
  ///
  /// - Returns: nil if no user has it.
  func principal(ofToken token: UnsafeRawBufferPointer) -> Principal? {
    guard let name = Token.name(of: token) else { return nil }
    let digest = TokenDigest(of: token)
    var found: Principal?
    // All of them are compared: which one it was shows in no time.
    for known in users[name]?.principals ?? [] {
      if case .token(_, let its) = known.credential, its == digest { found = known }
    }
    return found
  }

  /// The user of a verified certificate with these names.
  ///
  /// - Returns: nil: no user, or more than one.
  func principal(ofCertificate names: [CertificateName]) -> Principal? {
    let known = names.compactMap { certificates[$0] }
    guard let first = known.first, known.allSatisfy({ $0.name == first.name }) else { return nil }
    return first
  }

  /// The user of calls without credentials; nil: such calls are refused.
  var withoutCredentials: Principal? { anonymous }

  /// The same credential as of now; nil: it is none any more.
  package func renewed(_ principal: Principal) -> Principal? {
    principal.isRevoked ? self.principal(of: principal.known) : principal
  }

  /// The user of a credential that another event loop has verified; nil: it is no longer valid.
  package func principal(of known: KnownCredential) -> Principal? {
    switch known.credential {
    case .token(let name, _):
      return users[name]?.principals.first { $0.credential == known.credential }
    case .certificate(let name): return certificates[name]
    case .anonymous: return anonymous
    }
  }
}
