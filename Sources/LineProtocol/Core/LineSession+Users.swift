// The user of a session's commands: from AUTH, or from the connection's certificate.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Users

extension LineSession {
  func context(_ deadlineNanos: UInt64?) -> CallContext {
    CallContext(principal, deadlineNanos: deadlineNanos)
  }

  /// Whether the node has no users, or the session has a user.
  func isCallerKnown() -> Bool {
    guard let identity else { return true }
    if let principal, !principal.isRevoked { return true }
    do throws(CallError) {
      // The credentials are no longer valid, or there were none: maybe none are needed.
      if let known = principal {
        principal = try identity.current(known)
      } else {
        principal = try identity.principalWithoutToken()
      }
    } catch {
      principal = nil
    }
    return principal != nil
  }

  func authenticate(_ name: [UInt8]?, _ token: [UInt8]) {
    do throws(CallError) {
      guard let identity else {
        throw CallError(code: .failedPrecondition, message: "This node has no users.")
      }
      let found = try ByteBuffer(bytes: token).withUnsafeReadableBytes {
        (token) throws(CallError) in
        try identity.principal(ofToken: token)
      }
      if let name, !name.elementsEqual(found.name.utf8) { throw .unauthenticatedToken }
      principal = found
      respond { $0.writeLine(text: "OK") }
    } catch {
      port.countError(error)
      respond { $0.writeLine(error: LineError(error)) }
    }
  }

  /// Counts a command of the connection's user; replies with an error if there are too many.
  func isLetIn() -> Bool {
    guard let principal else { return true }
    do throws(CallError) {
      try principal.countCall()
      return true
    } catch {
      port.countError(error)
      respond { $0.writeLine(error: LineError(error)) }
      return false
    }
  }
}
