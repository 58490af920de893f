// DbSize and Reset: the sum of the numbers of every shard. For callers that may see only some of
// the keys, DbSize is a walk that counts these.

import Commands
import NIOCore
import RingstoreAPI

package struct DbSizeMerge: FanoutReducer {
  package let part = InternalMethod.dbSizePart
  package let allowsPartial: Bool
  private let request: ByteBuffer
  private var keys: Int64 = 0
  private var unreachable: [CallError] = []

  package init(_ call: V1.DbSizeRequest, _ context: CallContext, _ limits: Limits) throws(CallError)
  {
    if !call.allDatabases {
      try KeyAccess.check(database: call.database, context, KeyLimits(limits))
    }
    allowsPartial = call.allowPartial
    var request = ByteBuffer()
    V1.DbSizeRequest(
      database: call.allDatabases ? 0 : call.database, allDatabases: call.allDatabases
    )
    .write(into: &request)
    self.request = request
  }

  package mutating func request(shard: Int) -> ByteBuffer { request }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    keys &+= try V1.DbSizeResponse(decoding: response).keys
    return false
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable.append(error)
  }

  package func reply() -> ByteBuffer { Self.reply(keys, unreachable) }

  static func reply(_ keys: Int64, _ unreachable: [CallError]) -> ByteBuffer {
    var reply = ByteBuffer()
    reply.write(V1.DbSizeResponse.Field.keys, keys)
    for error in unreachable { reply.append(V1.DbSizeResponse.Field.unreachable, error) }
    return reply
  }
}

/// DbSize by a walk over the keys: slices of BigKeys that return no keys, and count those that the
/// caller may see.
package struct CountedDbSizeMerge: FanoutReducer {
  package let part = InternalMethod.bigKeysPart
  package let lane = LinkLane.bulk
  package let allowsPartial: Bool
  private var walk: BigKeysWalk
  private var keys: Int64 = 0
  private var unreachable: [CallError] = []

  package init(_ call: V1.DbSizeRequest, _ context: CallContext, _ limits: Limits) throws(CallError)
  {
    walk = try BigKeysWalk(
      database: call.database, allDatabases: call.allDatabases, context, limits)
    allowsPartial = call.allowPartial
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    walk.request(shard: shard, stringBytesAbove: .max, listBytesAbove: .max, listLengthAbove: .max)
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    let slice = try LinkV1.BigKeysPartReply(decoding: response)
    keys &+= slice.strings &+ slice.lists
    return walk.hasNextSlice(shard: shard, after: slice)
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable.append(error)
  }

  package func reply() -> ByteBuffer { DbSizeMerge.reply(keys, unreachable) }
}

package struct ResetMerge: FanoutReducer {
  /// The number of removed keys after which a slice ends with its current slot.
  package static let visitsPerSlice: UInt32 = 4_096

  package let part = InternalMethod.resetPart
  package let allowsPartial = false
  private let database: UInt32
  private let allDatabases: Bool
  private var nextSlot: [Int: UInt32] = [:]
  private var keysRemoved: Int64 = 0

  package init(_ call: V1.ResetRequest, _ context: CallContext, _ limits: Limits) throws(CallError)
  {
    if call.hasUnknownField { throw .unknownField }
    if call.allDatabases {
      try KeyAccess.checkAllDatabases(Command.reset, context)
    } else {
      try KeyAccess.check(database: call.database, context, KeyLimits(limits))
    }
    database = call.allDatabases ? 0 : call.database
    allDatabases = call.allDatabases
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    var request = ByteBuffer()
    LinkV1.ResetPartRequest(
      database: database, allDatabases: allDatabases, startSlot: nextSlot[shard] ?? 0,
      maxVisits: Self.visitsPerSlice
    ).write(into: &request)
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    let slice = try LinkV1.ResetPartReply(decoding: response)
    keysRemoved &+= slice.removed
    nextSlot[shard] = slice.nextSlot
    return !slice.done
  }

  package mutating func missing(_ error: CallError, shard: Int) {}

  package func reply() -> ByteBuffer {
    var reply = ByteBuffer()
    V1.ResetResponse(keysRemoved: keysRemoved).write(into: &reply)
    return reply
  }
}
