// Keys with a limit: the next `limit` keys in the order of their positions, and a token for the
// rest. What shards have found beyond the last of them is thrown away; the token's owner finds it
// again.

import Commands
import NIOCore
import RingstoreAPI

package final class KeysPageOperation: FanoutOperation {
  private let query: KeyQuery
  private let from: ScanPosition
  private let limit: Int
  private let allowsPartial: Bool
  /// What the keys of the answer may take; the rest is for the token.
  private let bytesMax: Int
  private var merger = KeyMerger(shards: 0, from: .start)
  private var found = ByteBuffer()
  private var count = 0
  private var isCutPoint = true
  private var unreachable: [CallError] = []

  /// Room for the token and its field.
  private static let headroomBytes = ScanToken.byteCountMax + 5

  /// - Throws: BAD_PATTERN, NO_SUCH_DATABASE, BAD_PAGE_TOKEN.
  package init(_ call: V1.KeysRequest, _ context: CallContext, _ limits: Limits) throws(CallError) {
    query = try KeyQuery(call.pattern, database: call.database, type: .none, context, limits)
    from = try query.position(of: call.pageToken)
    limit = Int(call.limit)
    allowsPartial = call.allowPartial
    bytesMax = limits.maxMessageBytes - Self.headroomBytes
  }

  package var heldBytes: Int { found.readableBytes + merger.heldBytes }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    merger = KeyMerger(shards: cluster.shardIDs.count, from: from)
    return goOn()
  }

  package func answered(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      try merger.add(response, shard: tag)
    } catch {
      return [.end(.failed(error))]
    }
    return goOn()
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    guard allowsPartial, error.code == .unavailable else { return [.end(.failed(error))] }
    merger.markMissing(tag)
    unreachable.append(error)
    return goOn()
  }

  private func goOn() -> [FanoutAction] {
    while count < limit || !isCutPoint {
      let position = merger.position
      guard let key = merger.draw() else { break }
      let fits = key.withBytes { bytes in
        let size = WireSize.bytesField(V1.KeysResponse.Field.keys.number, count: bytes.count)
        guard found.readableBytes + size <= bytesMax else { return false }
        found.append(V1.KeysResponse.Field.keys, bytes)
        return true
      }
      guard fits else { return [end(at: position)] }
      count += 1
      isCutPoint = key.isCutPoint
    }
    if merger.isDone { return [end(at: nil)] }
    if count >= limit, isCutPoint { return [end(at: merger.position)] }
    return merger.nextSlices(query, maxKeys: UInt32(clamping: max(limit - count, 1)))
  }

  /// - Parameter position: where the rest begins; nil: there is none.
  private func end(at position: ScanPosition?) -> FanoutAction {
    guard count > 0 || position == nil else {
      return .end(.failed(.responseTooLarge(of: .keys)))
    }
    let token = position.map { query.token(of: $0) } ?? []
    token.withUnsafeBytes { found.write(V1.KeysResponse.Field.nextPageToken, $0) }
    for error in unreachable { found.append(V1.KeysResponse.Field.unreachable, error) }
    return .end(.response(found))
  }
}
