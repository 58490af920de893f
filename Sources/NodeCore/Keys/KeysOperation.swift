// Keys: the keys from a position on in one reply. With a limit it is a page: the next `limit` keys
// in the order of their positions, and a token for the rest; further keys that shards have found
// are dropped, and found again with the token.

import Commands
import NIOCore
import Placement
import RingstoreAPI

package final class KeysOperation: FanoutOperation {
  /// Nil: all of them, or an error.
  private let limit: Int?
  /// The maximum of bytes of the reply's keys.
  private let bytesMax: Int
  private var walk: KeyWalk
  private var found = ByteBuffer()
  private var count = 0
  private var isCutPoint = true

  /// Room for the token and its field.
  private static let headroomBytes = ScanToken.byteCountMax + 5

  /// - Throws: BAD_PATTERN, NO_SUCH_DATABASE, BAD_PAGE_TOKEN.
  package init(_ call: V1.KeysRequest, _ context: CallContext, _ limits: Limits) throws(CallError) {
    let query = try KeyQuery(
      call.pattern, database: call.database, type: .none, context, limits)
    limit = call.limit == 0 ? nil : Int(call.limit)
    bytesMax = limits.maxMessageBytes - (limit == nil ? 0 : Self.headroomBytes)
    // If all keys are requested, no shard waits for another.
    walk = KeyWalk(
      query, from: try query.position(of: call.pageToken), allowsPartial: call.allowPartial,
      windowSlots: limit == nil ? UInt32(Slots.count) : KeyMerger.windowSlots)
  }

  package var heldBytes: Int { found.readableBytes + walk.heldBytes }
  package var followsMap: Bool { true }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    walk.start(on: cluster)
    return resume()
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      try walk.received(tag, response)
    } catch {
      return [.end(.failed(error))]
    }
    return resume()
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    do throws(CallError) {
      try walk.failed(tag, error)
    } catch {
      return [.end(.failed(error))]
    }
    return resume()
  }

  private var isFull: Bool { isCutPoint && limit.map { count >= $0 } ?? false }

  private func resume() -> [FanoutAction] {
    while !isFull {
      let position = walk.position
      guard let key = walk.draw() else { break }
      guard append(key) else { return [end(at: position)] }
      count += 1
      isCutPoint = key.isCutPoint
    }
    if walk.isDone { return [end(at: nil)] }
    if isFull { return [end(at: walk.position)] }
    return walk.nextSlices(maxKeys: limit.map { UInt32(clamping: max($0 - count, 1)) } ?? .max)
  }

  /// Returns whether it fit.
  private func append(_ key: KeyMerger.Key) -> Bool {
    key.withBytes { bytes in
      let size = WireSize.bytesField(V1.KeysResponse.Field.keys.number, count: bytes.count)
      guard found.readableBytes + size <= bytesMax else { return false }
      found.append(V1.KeysResponse.Field.keys, bytes)
      return true
    }
  }

  /// - Parameter position: the position of the rest; nil: there is none.
  private func end(at position: ScanPosition?) -> FanoutAction {
    guard position == nil || limit != nil && count > 0 else {
      return .end(.failed(.responseTooLarge(of: .keys)))
    }
    // Taken, not copied: it may be large.
    var reply = ByteBuffer()
    swap(&reply, &found)
    let token = position.map { walk.token(of: $0) } ?? []
    token.withUnsafeBytes { reply.write(V1.KeysResponse.Field.nextPageToken, $0) }
    for error in walk.takeUnreachable() {
      reply.append(V1.KeysResponse.Field.unreachable, error)
    }
    return .end(.response(reply))
  }
}
