// The only check whether a caller may make a call, and whether the call may use a key and a
// database. Routers check before they route a call, and shards before they execute it; every call
// that reads, changes, counts, empties or lists keys is checked here. With a second check
// elsewhere, a permission checked on one key might be used on another.
//
// Without users (CallContext.principal is nil) every caller may do everything, and a check costs a
// comparison.

import RingstoreAPI
import Users

package enum KeyAccess {
  // MARK: - Calls

  /// - Throws: PERMISSION_DENIED.
  @inline(__always)
  package static func check(_ command: Command, _ context: CallContext) throws(CallError) {
    if let principal = context.principal { try check(command, principal) }
  }

  /// Of a call that may travel in batches. Parts of fan-outs were let in with their calls.
  ///
  /// - Throws: PERMISSION_DENIED.
  @inline(__always)
  package static func check(
    method: UInt32, _ access: Command.Access, _ context: CallContext
  ) throws(CallError) {
    guard let principal = context.principal, !principal.permissions.contains(access.permission)
    else { return }
    throw refusal(of: method, access, principal)
  }

  @inline(never)
  private static func refusal(
    of method: UInt32, _ access: Command.Access, _ principal: Principal
  ) -> CallError {
    let name = CommandID(rawValue: Int(method)).map { "\($0)" } ?? "\(method)"
    return principal.mayNotCall(name, needs: access.permission)
  }

  @inline(never)
  private static func check(_ command: Command, _ principal: Principal) throws(CallError) {
    guard principal.permissions.contains(command.access.permission) else {
      throw principal.mayNotCall(command.name, needs: command.access.permission)
    }
    switch command.reach {
    case .namedKeys, .allowedKeys, .node: return
    case .wholeDatabases:
      if principal.rules?.keys != nil { throw principal.mayNotCallRestricted(command.name) }
    case .everything:
      if principal.isRestricted { throw principal.mayNotCallRestricted(command.name) }
    }
  }

  // MARK: - Keys

  /// Reads and checks the key and the database of a call on one key.
  ///
  /// - Returns: the key, a slice of `message`, and the number of the database.
  /// - Throws: INTERNAL if the message can't be decoded, INVALID_KEY, NO_SUCH_DATABASE,
  ///   PERMISSION_DENIED.
  package static func read(
    _ message: UnsafeRawBufferPointer, _ keyFields: KeyFields, _ context: CallContext,
    _ limits: KeyLimits
  ) throws(CallError) -> (key: UnsafeRawBufferPointer, database: UInt32) {
    let target: (key: UnsafeRawBufferPointer, database: UInt32)
    do throws(WireError) {
      target = try keyFields.find(in: message)
    } catch {
      throw .undecodable(error)
    }
    try check(target.key, target.database, context, limits)
    return target
  }

  /// - Throws: INVALID_KEY, NO_SUCH_DATABASE, PERMISSION_DENIED.
  @inline(__always)
  package static func check(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ context: CallContext, _ limits: KeyLimits
  ) throws(CallError) {
    if let refusal = limits.refusal(key: key, database: database) { throw refusal }
    if let principal = context.principal, principal.isRestricted {
      try check(key, database, principal)
    }
  }

  @inline(never)
  private static func check(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ principal: Principal
  ) throws(CallError) {
    guard let rules = principal.rules else { return }
    guard rules.allows(database: database) else {
      throw principal.mayNotTouch(database: database)
    }
    guard rules.allows(key: key) else { throw principal.mayNotTouchKey }
  }

  /// The further keys of a call that has several, all in its database. A router checks them; a
  /// shard checks each key when it looks it up.
  ///
  /// - Throws: INVALID_KEY, PERMISSION_DENIED.
  package static func checkOthers(
    method: UInt32, _ request: UnsafeRawBufferPointer, _ database: UInt32,
    _ context: CallContext, _ limits: KeyLimits
  ) throws(CallError) {
    guard context.principal?.isRestricted == true else { return }
    for key in CommandTable.otherKeys(method: method, in: request) {
      try check(key, database, context, limits)
    }
  }

  // MARK: - Whole databases

  /// For calls on a whole database.
  ///
  /// - Throws: NO_SUCH_DATABASE, PERMISSION_DENIED.
  @inline(__always)
  package static func check(
    database: UInt32, _ context: CallContext, _ limits: KeyLimits
  ) throws(CallError) {
    if let refusal = limits.refusal(database: database) { throw refusal }
    guard let principal = context.principal, let rules = principal.rules else { return }
    if !rules.allows(database: database) { throw principal.mayNotTouch(database: database) }
  }

  /// For a walk over all databases, at one of them. It passes over those that the caller may not
  /// use (`mayUse`).
  ///
  /// - Throws: NO_SUCH_DATABASE.
  package static func checkPlace(
    inDatabase database: UInt32, _ limits: KeyLimits
  ) throws(CallError) {
    if let refusal = limits.refusal(database: database) { throw refusal }
  }

  package static func mayUse(database: UInt32, _ context: CallContext) -> Bool {
    guard let rules = context.rules else { return true }
    return rules.allows(database: database)
  }

  /// For calls that change all databases at once.
  ///
  /// - Throws: PERMISSION_DENIED.
  package static func checkAllDatabases(
    _ command: Command, _ context: CallContext
  ) throws(CallError) {
    guard let principal = context.principal, principal.rules?.databases != nil else { return }
    throw principal.mayNotCallRestricted(command.name)
  }

  /// Whether a call that lists keys may show this one, of a database that was checked.
  @inline(__always)
  package static func mayList(_ key: UnsafeRawBufferPointer, _ context: CallContext) -> Bool {
    guard let rules = context.rules else { return true }
    return rules.allows(key: key)
  }

  /// The same for calls that list keys of several databases.
  @inline(__always)
  package static func mayList(
    _ key: UnsafeRawBufferPointer, database: UInt32, _ context: CallContext
  ) -> Bool {
    guard let rules = context.rules else { return true }
    return rules.allows(database: database) && rules.allows(key: key)
  }

  /// Whether the number of keys of a database, or of all, includes keys that the caller may not
  /// see; then only keys that it may see are counted.
  package static func mustCountKeys(allDatabases: Bool, _ context: CallContext) -> Bool {
    guard let rules = context.rules else { return false }
    return rules.keys != nil || allDatabases && rules.databases != nil
  }
}
