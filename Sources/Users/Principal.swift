// A caller: one credential of a user, on one event loop. Its permissions were looked up when its
// credential was checked, so that a call reads only memory of its own loop.
//
// Belongs to its loop and is used there only, which is why it is Sendable although it changes: a
// principal is revoked when the users file no longer contains what it was made from.

import RingstoreAPI

/// Sendable although it has state: it is used on its loop only.
@usableFromInline
package final class Principal: @unchecked Sendable {
  package let name: String
  package let permissions: Permissions
  /// The databases and keys that it may use; nil: all.
  package let rules: KeyRules?
  /// Shared by the loops: its use of its limits; nil: nothing is counted.
  package let account: UserAccount?
  let credential: Credential
  private let definition: UserDefinition?
  private let rate: UInt32?
  /// Who made it; nil: another node has let the caller in.
  private weak var authorizer: Authorizer?
  /// The users file no longer contains what this was made from: look up the credential again.
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

  /// A caller that another node has admitted, with the databases and keys that it may use.
  package init(restrictedTo rules: KeyRules) {
    name = ""
    permissions = .all
    self.rules = rules
    account = nil
    rate = nil
    credential = .anonymous
    definition = nil
  }

  /// The kind of credential that identified it.
  package var known: KnownCredential { KnownCredential(credential: credential) }

  /// Whether it may use only some keys or databases.
  @inline(__always)
  package var isRestricted: Bool { rules != nil }

  /// Whether it still agrees with another definition.
  func isStill(_ user: UserDefinition) -> Bool { definition?.hasRights(of: user) == true }

  func revoke() { isRevoked = true }

  /// The same caller as of now, for a call that has begun and continues.
  ///
  /// - Throws: UNAUTHENTICATED if the credential is no longer valid, PERMISSION_DENIED if its
  ///   permissions, databases or keys have changed.
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

  /// The message doesn't say whether the key exists, nor which it was: error messages may end up in
  /// logs.
  package var mayNotTouchKey: CallError {
    account?.ledger.refused(.permission, name)
    return .permissionDenied("The user \(name) may not use this key.")
  }
}

/// A verified credential, for another event loop to look up. It holds no secret.
package struct KnownCredential: Sendable, Hashable {
  let credential: Credential

  /// Whether there is no credential. Such callers are the user `anonymous`.
  package var isAnonymous: Bool { credential == .anonymous }
}

/// How a caller identifies itself; kept without the secret.
enum Credential: Sendable, Hashable {
  case token(name: String, TokenDigest)
  case certificate(CertificateName)
  case anonymous
}
