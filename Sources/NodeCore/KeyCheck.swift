// The one check of a call's key, used by routers before they place a call and by shards before
// they execute it: were there two, a permission checked on one key might be used on another.

import RingstoreAPI

package enum KeyCheck {
  /// Reads and checks the key and the database of a call on one key.
  ///
  /// - Returns: the key, a slice of `message`, and the number of the database.
  /// - Throws: INTERNAL where the message can't be decoded, INVALID_KEY, NO_SUCH_DATABASE.
  package static func check(
    _ message: UnsafeRawBufferPointer, _ keyFields: KeyFields, _ limits: Limits
  ) throws(CallError) -> (key: UnsafeRawBufferPointer, database: UInt32) {
    let target: (key: UnsafeRawBufferPointer, database: UInt32)
    do throws(WireError) {
      target = try keyFields.find(in: message)
    } catch {
      throw .undecodable(error)
    }
    if let refusal = limits.refusal(key: target.key, database: target.database) { throw refusal }
    return target
  }
}
