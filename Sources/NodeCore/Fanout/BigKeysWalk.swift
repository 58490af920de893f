// A walk over all keys of a database, or of all, in slices of BigKeys: which keys, and where each
// shard's next slice begins. A value; part of an operation.

import Commands
import NIOCore
import RingstoreAPI

struct BigKeysWalk {
  /// Keys looked at in one slice, at most.
  static let visitsPerSlice: UInt32 = 4_096

  private let database: UInt32
  private let allDatabases: Bool
  private var positions: [Int: Position] = [:]

  /// Where a shard's next slice begins.
  private struct Position {
    var database: UInt32
    var slot: UInt32 = 0
    var cursor: UInt64 = 0
  }

  /// Of all databases shards pass over those that the caller may not use.
  ///
  /// - Throws: NO_SUCH_DATABASE, PERMISSION_DENIED.
  init(
    database: UInt32, allDatabases: Bool, _ context: CallContext, _ limits: Limits
  ) throws(CallError) {
    if !allDatabases { try KeyAccess.check(database: database, context, KeyLimits(limits)) }
    self.database = allDatabases ? 0 : database
    self.allDatabases = allDatabases
  }

  /// The request of a shard's next slice.
  func request(
    shard: Int, stringBytesAbove: Int64, listBytesAbove: Int64, listLengthAbove: Int64
  ) -> ByteBuffer {
    let position = positions[shard] ?? Position(database: database)
    var request = ByteBuffer()
    LinkV1.BigKeysPartRequest(
      database: position.database, allDatabases: allDatabases, startSlot: position.slot,
      cursor: position.cursor, maxVisits: Self.visitsPerSlice, stringBytesAbove: stringBytesAbove,
      listBytesAbove: listBytesAbove, listLengthAbove: listLengthAbove
    ).write(into: &request)
    return request
  }

  /// Records where a slice has ended. Returns whether there is another.
  mutating func hasNextSlice(shard: Int, after slice: LinkV1.BigKeysPartReply) -> Bool {
    positions[shard] = Position(
      database: slice.nextDatabase, slot: slice.nextSlot, cursor: slice.nextCursor)
    return !slice.done
  }
}
