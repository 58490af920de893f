// The users of clients' calls: checked when a call arrives, and for streams with each message.
//
// One for each loop of a node that has users. Permissions are checked further down, where calls of
// all protocols pass (KeyAccess). This checks only who the caller is, and its rate.

import Commands
import GRPC
import LegacyServices
import RingstoreAPI
import StandardServices
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

  /// Who a call is from; counts it, unless that was done before its message was inflated.
  ///
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS, RATE_LIMITED.
  @inline(__always)
  func admit(_ call: ServerCall) throws(CallError) -> Principal {
    let principal = try identity(of: call).principal(call.authorization)
    if !call.wasMessageCompressed { try principal.countCall() }
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

// MARK: - Before a message is inflated

extension Front {
  /// What can be checked of a call without its message: who calls, its rate, and whether it may
  /// make this call at all. All but the rate is checked again with the message, where all calls
  /// are. Calls of a Pipeline are in its messages: of those only the caller is checked.
  ///
  /// - Throws: UNAUTHENTICATED, TOO_MANY_CONNECTIONS, RATE_LIMITED, PERMISSION_DENIED.
  func checkBeforeMessage(of call: ServerCall, _ access: FrontAccess) throws(CallError) {
    if StandardMethod(rawValue: call.methodID)?.isOpenToAll == true { return }
    if call.methodID == MethodRegistry.linkID { return }
    if let pipeline = call.context as? FrontPipeline { return try pipeline.checkCaller() }
    let principal = try access.admit(call)
    if StandardMethod.contains(call.methodID) { return try checkMayCallStandard(principal) }
    if let legacy = LegacyMethod(rawValue: call.methodID) { return try legacy.check(principal) }
    guard let id = CommandID(rawValue: call.methodID), let command = CommandTable.command(id)
    else { return }
    do throws(CallError) {
      try KeyAccess.check(command, CallContext(principal, deadlineNanos: nil))
    } catch {
      // The call doesn't come to where it would be recorded.
      if let audit, audit.notes(command) { audit.follow(call, command, nil, of: principal) }
      throw error
    }
  }
}

extension CallerIdentity: ConnectionUser {}
