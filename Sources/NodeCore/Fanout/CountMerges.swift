// DbSize and Reset: numbers of every shard, added up.

import NIOCore
import RingstoreAPI

package struct DbSizeMerge: ShardMerge {
  package let method = InternalMethod.dbSizePart.rawValue
  package let allowsPartial: Bool
  private let request: ByteBuffer
  private var keys: Int64 = 0
  private var unreachable: [CallError] = []

  package init(_ view: DbSizeView, _ context: CallContext, _ limits: Limits) throws(CallError) {
    try KeyAccess.check(database: view.database, context, limits)
    allowsPartial = view.allowPartial
    var request = ByteBuffer()
    request.writeOptionalVarintField(1, UInt64(view.database))
    request.writeOptionalBoolField(2, view.allDatabases)
    self.request = request
  }

  package mutating func request(shard: Int) -> ByteBuffer { request }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    do throws(WireError) {
      keys &+= try NumberReplyView(response).number
      return false
    } catch {
      throw .undecodable(error)
    }
  }

  package mutating func missing(_ error: CallError, shard: Int) {
    unreachable.append(error)
  }

  package func answer() -> ByteBuffer {
    var answer = ByteBuffer()
    answer.writeDbSizeResponse(keys: keys, unreachable: unreachable)
    return answer
  }
}

package struct ResetMerge: ShardMerge {
  /// Keys that one slice removes at most before the slot it is in ends.
  package static let visitsPerSlice: UInt32 = 4_096

  package let method = InternalMethod.resetPart.rawValue
  package let allowsPartial = false
  private let database: UInt32
  private let allDatabases: Bool
  private var nextSlot: [Int: UInt32] = [:]
  private var keysRemoved: Int64 = 0

  package init(_ view: ResetView, _ context: CallContext, _ limits: Limits) throws(CallError) {
    if view.hasUnknownField { throw .unknownField }
    try KeyAccess.check(database: view.database, context, limits)
    database = view.database
    allDatabases = view.allDatabases
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    var part = ResetPartRequest()
    part.database = database
    part.allDatabases = allDatabases
    part.startSlot = nextSlot[shard] ?? 0
    part.maxVisits = Self.visitsPerSlice
    var request = ByteBuffer()
    request.writeResetPartRequest(part)
    return request
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    do throws(WireError) {
      let slice = try ResetPartReply(response)
      keysRemoved &+= slice.removed
      nextSlot[shard] = slice.nextSlot
      return !slice.done
    } catch {
      throw .undecodable(error)
    }
  }

  package mutating func missing(_ error: CallError, shard: Int) {}

  package func answer() -> ByteBuffer {
    var answer = ByteBuffer()
    answer.writeResetResponse(keysRemoved: keysRemoved)
    return answer
  }
}
