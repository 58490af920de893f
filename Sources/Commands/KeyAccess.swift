// The one answer to "may this call touch this key, and this database". Routers ask before they
// place a call and shards before they execute it; whatever reads, changes, counts, empties or lists
// keys has been here. Were there two, a permission checked on one key might be used on another.
//
// Rights of callers to keys will be looked up here; for now everybody may touch every key.

import RingstoreAPI

package enum KeyAccess {
  /// Reads and checks the key and the database of a call on one key.
  ///
  /// - Returns: the key, a slice of `message`, and the number of the database.
  /// - Throws: INTERNAL where the message can't be decoded, INVALID_KEY, NO_SUCH_DATABASE.
  package static func read(
    _ message: UnsafeRawBufferPointer, _ keyFields: KeyFields, _ context: CallContext,
    _ limits: Limits
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

  /// - Throws: INVALID_KEY, NO_SUCH_DATABASE.
  @inline(__always)
  package static func check(
    _ key: UnsafeRawBufferPointer, _ database: UInt32, _ context: CallContext, _ limits: Limits
  ) throws(CallError) {
    if let refusal = limits.refusal(key: key, database: database) { throw refusal }
  }

  /// For calls on a whole database.
  ///
  /// - Throws: NO_SUCH_DATABASE.
  @inline(__always)
  package static func check(
    database: UInt32, _ context: CallContext, _ limits: Limits
  ) throws(CallError) {
    if let refusal = limits.refusal(database: database) { throw refusal }
  }

  /// Whether a call that lists keys may show this one.
  @inline(__always)
  package static func mayList(_ key: UnsafeRawBufferPointer, _ context: CallContext) -> Bool {
    true
  }
}
