// The caller on one connection. Most connections carry one user's calls, and each call has the same
// header. So the result of the latest one is kept, and a call costs a comparison of bytes instead
// of a digest.
//
// Event loop only. Owned by the connection: when it goes, its user has one connection less.

import RingstoreAPI

package final class CallerIdentity {
  package let authorizer: Authorizer
  /// Names in the connection's verified certificate.
  private let certificateNames: [CertificateName]
  /// The latest `authorization` that was accepted, and its user.
  private var header: [UInt8] = []
  private var ofHeader: Principal?
  /// The caller of calls without that field.
  private var withoutHeader: Principal?
  /// The users that the connection counts for: all who have made a call over it.
  private var accounts: [UserAccount] = []

  package init(_ authorizer: Authorizer, certificateNames: [CertificateName] = []) {
    self.authorizer = authorizer
    self.certificateNames = certificateNames
  }

  /// The user of the latest calls; empty: there was no call.
  package var latestUser: String { ofHeader?.name ?? withoutHeader?.name ?? "" }

  deinit { for account in accounts { account.releaseConnection() } }

  /// Who a call is from.
  ///
  /// - Parameter authorization: the value of that field of its metadata; nil: it has none. If a
  ///   call has this field, nothing else counts: a caller with a wrong token is not admitted by its
  ///   certificate.
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS.
  @inline(__always)
  package func principal(
    _ authorization: UnsafeRawBufferPointer?
  ) throws(CallError) -> Principal {
    if let authorization, let ofHeader, !ofHeader.isRevoked, isSame(authorization) {
      return ofHeader
    }
    return try find(authorization)
  }

  /// The time doesn't depend on where the two differ.
  private func isSame(_ authorization: UnsafeRawBufferPointer) -> Bool {
    guard authorization.count == header.count else { return false }
    return header.withUnsafeBytes { header in
      var difference: UInt64 = 0
      var offset = 0
      while offset + 8 <= header.count {
        difference |=
          header.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
          ^ authorization.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      while offset < header.count {
        difference |= UInt64(header[offset] ^ authorization[offset])
        offset += 1
      }
      return difference == 0
    }
  }

  @inline(never)
  private func find(_ authorization: UnsafeRawBufferPointer?) throws(CallError) -> Principal {
    guard let authorization else { return try findWithoutHeader() }
    guard let token = Token.bearer(authorization) else { throw refusal(.unauthenticatedScheme) }
    let found = try principal(ofToken: token)
    header = Array(authorization)
    ofHeader = found
    return found
  }

  /// The user of a token.
  ///
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS.
  package func principal(ofToken token: UnsafeRawBufferPointer) throws(CallError) -> Principal {
    guard let found = authorizer.principal(ofToken: token) else {
      throw refusal(.unauthenticatedToken)
    }
    try claim(found)
    return found
  }

  /// The caller of calls without a token: the user of the connection's certificate, or anonymous.
  private func findWithoutHeader() throws(CallError) -> Principal {
    if let withoutHeader, !withoutHeader.isRevoked { return withoutHeader }
    let found =
      authorizer.principal(ofCertificate: certificateNames) ?? authorizer.withoutCredentials
    guard let found else {
      throw refusal(
        certificateNames.isEmpty ? .unauthenticated : .unauthenticatedCertificate)
    }
    try claim(found)
    withoutHeader = found
    return found
  }

  /// The caller of calls without a token; nil if there is none, which doesn't count as a refusal.
  ///
  /// - Throws: TOO_MANY_CONNECTIONS.
  package func principalWithoutToken() throws(CallError) -> Principal? {
    let found =
      authorizer.principal(ofCertificate: certificateNames) ?? authorizer.withoutCredentials
    if let found { try claim(found) }
    return found
  }

  /// The same principal as of now.
  ///
  /// - Throws: UNAUTHENTICATED if its credential is no longer valid.
  @inline(__always)
  package func current(_ principal: Principal) throws(CallError) -> Principal {
    principal.isRevoked ? try renewed(principal) : principal
  }

  @inline(never)
  private func renewed(_ principal: Principal) throws(CallError) -> Principal {
    guard let renewed = authorizer.renewed(principal) else {
      throw refusal(.unauthenticatedAnymore, principal.name)
    }
    return renewed
  }

  private func refusal(_ error: CallError, _ user: String = "") -> CallError {
    authorizer.ledger.refused(.credentials, user)
    return error
  }

  // MARK: - Connections

  /// Counts the connection for a user, as long as it is open.
  private func claim(_ principal: Principal) throws(CallError) {
    guard let claimed = principal.account, !accounts.contains(where: { $0 === claimed }) else {
      return
    }
    guard claimed.claimConnection(max: principal.connectionsMax) else {
      authorizer.ledger.refused(.connections, principal.name)
      throw .tooManyConnections(principal.connectionsMax ?? 0)
    }
    accounts.append(claimed)
  }
}
