// Who calls: one credential of a user, as one event loop knows it. What may be asked of him was
// looked up when his credential was checked, so that a call looks at memory of its own loop only.
//
// Belongs to its loop and is used there only, which is why it is Sendable although it changes: a
// principal is revoked when the users file stops saying what it is made of.

import RingstoreAPI

package final class Principal: @unchecked Sendable {
  package let name: String
  package let permissions: Permissions
  /// Which databases and keys he may touch; nil: all.
  package let rules: KeyRules?
  /// Shared by the loops: what he has used of what he may use; nil: nothing is counted.
  package let account: UserAccount?
  let credential: Credential
  private let definition: UserDefinition?
  private let rate: UInt32?
  /// Who made it; nil: another node has let the caller in.
  private weak var authorizer: Authorizer?
  /// The users file doesn't say any more what this was made of: look the credential up again.
  package private(set) var isRevoked = false

  init(
    _ user: UserDefinition, _ credential: Credential, _ account: UserAccount,
    _ authorizer: Authorizer
  ) {
    self.authorizer = authorizer
    definition = user
    name = user.name
    permissions = user.permissions
    rules = user.rules.restrictsAnything ? user.rules : nil
    rate = user.rate
    self.account = account
    self.credential = credential
  }

  /// A caller whom another node has let in, and told what he may touch.
  package init(restrictedTo rules: KeyRules) {
    name = ""
    permissions = .all
    self.rules = rules
    account = nil
    rate = nil
    credential = .anonymous
    definition = nil
  }

  /// By what he was known.
  package var known: KnownCredential { KnownCredential(credential: credential) }

  /// Whether he may touch only some keys or databases.
  @inline(__always)
  package var isRestricted: Bool { rules != nil }

  /// Whether he is still what another definition says.
  func isStill(_ user: UserDefinition) -> Bool { definition?.hasRights(of: user) == true }

  func revoke() { isRevoked = true }

  /// The same caller as of now, for a call that has begun and continues.
  ///
  /// - Throws: UNAUTHENTICATED where the credential is none any more, PERMISSION_DENIED where he
  ///   may do or touch something else now.
  package func standing() throws(CallError) -> Principal {
    guard isRevoked else { return self }
    guard let now = authorizer?.renewed(self) else { throw .unauthenticatedAnymore }
    guard now.permissions == permissions, now.rules == rules else {
      throw .permissionDenied(
        "The permissions of user \(name) have changed since the call began. Call again.")
    }
    return now
  }

  /// The most connections to this node.
  var connectionsMax: UInt32? { definition?.connections }

  /// Counts a call.
  ///
  /// - Throws: RATE_LIMITED.
  @inline(__always)
  package func countCall() throws(CallError) {
    if rate != nil { try countRatedCall() }
  }

  private func countRatedCall() throws(CallError) {
    guard let rate, let account, let delayMillis = account.delayMillis(rate: rate) else { return }
    account.ledger.refused(.rate, name)
    throw .rateLimited(rate, retryDelayMillis: delayMillis)
  }

  // MARK: - Refusals

  /// - Parameter call: as the contract calls it.
  package func mayNotCall(_ call: String, needs permission: Permissions) -> CallError {
    account?.ledger.refused(.permission, name)
    return .permissionDenied(
      "The user \(name) may not call \(call): it needs the permission \(permission.description).")
  }

  package func mayNotCallRestricted(_ call: String) -> CallError {
    account?.ledger.refused(.permission, name)
    return .permissionDenied(
      "The user \(name) may not call \(call): it needs access to more keys or databases.")
  }

  package func mayNotTouch(database: UInt32) -> CallError {
    account?.ledger.refused(.permission, name)
    return .permissionDenied("The user \(name) may not use database \(database).")
  }

  /// It doesn't say whether there is such a key, nor which it was: errors end in logs.
  package var mayNotTouchKey: CallError {
    account?.ledger.refused(.permission, name)
    return .permissionDenied("The user \(name) may not use this key.")
  }
}

/// A credential that was found good, for another event loop to look up. It holds no secret.
package struct KnownCredential: Sendable, Hashable {
  let credential: Credential
}

/// How somebody says who he is; kept without the secret.
enum Credential: Sendable, Hashable {
  case token(name: String, TokenDigest)
  case certificate(CertificateName)
  case anonymous
}
