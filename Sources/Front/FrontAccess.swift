// The users of clients' calls: checked when a call arrives, and for streams with each message.
//
// One for each loop of a node that has users. Permissions are checked further down, where calls of
// all protocols pass (KeyAccess). This checks only who the caller is, and its rate.

import GRPC
import RingstoreAPI
import Users

final class FrontAccess {
  let authorizer: Authorizer

  init(_ authorizer: Authorizer) {
    self.authorizer = authorizer
  }

  /// Who calls over the connection of a call.
  @inline(__always)
  func identity(of call: ServerCall) -> CallerIdentity {
    // Nothing else is kept there.
    if let known = call.connectionContext { return unsafeDowncast(known, to: CallerIdentity.self) }
    return makeIdentity(of: call)
  }

  @inline(never)
  private func makeIdentity(of call: ServerCall) -> CallerIdentity {
    let identity = CallerIdentity(
      authorizer, certificateNames: (call.connection?.peer.names ?? []).map(\.certificateName))
    call.connectionContext = identity
    return identity
  }

  /// Who a call is from; counts it.
  ///
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS, RATE_LIMITED.
  @inline(__always)
  func admit(_ call: ServerCall) throws(CallError) -> Principal {
    let principal = try identity(of: call).principal(call.authorization)
    try principal.countCall()
    return principal
  }

  /// Who opens a stream.
  ///
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS.
  func streamCaller(_ call: ServerCall) throws(CallError) -> StreamCaller {
    let identity = identity(of: call)
    return StreamCaller(identity, try identity.principal(call.authorization))
  }
}

/// The caller of one stream, as long as its credentials are valid.
package final class StreamCaller {
  private let identity: CallerIdentity
  package private(set) var principal: Principal

  init(_ identity: CallerIdentity, _ principal: Principal) {
    self.identity = identity
    self.principal = principal
  }

  /// Checks whether the credentials are still valid.
  ///
  /// - Throws: UNAUTHENTICATED.
  @inline(__always)
  package func check() throws(CallError) {
    if principal.isRevoked { principal = try identity.current(principal) }
  }

  /// - Throws: UNAUTHENTICATED, PERMISSION_DENIED.
  package func checkIsRouter() throws(CallError) {
    try check()
    guard principal.permissions.contains(.router) else {
      throw principal.mayNotCall("Exchange", needs: .router)
    }
  }
}

extension CallerIdentity: ConnectionUser {}
