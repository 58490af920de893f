// Keys with a limit: the next `limit` keys in the order of their positions, and a token for the
// rest. What shards have found beyond the last of them is thrown away; the token's owner finds it
// again.

import Commands
import NIOCore
import RingstoreAPI

package final class KeysPageOperation: FanoutOperation {
  package var handle: UInt64 = 0
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
  private var hasEnded = false

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

  package func start(on port: any PartPort) {
    merger = KeyMerger(shards: port.shardIDs.count, from: from)
    advance(on: port)
  }

  package func part(
    _ tag: Int, answered response: UnsafeRawBufferPointer, on port: any PartPort
  ) {
    guard !hasEnded else { return }
    do throws(CallError) {
      try merger.add(response, shard: tag)
    } catch {
      fail(error, on: port)
      return
    }
    advance(on: port)
  }

  package func part(_ tag: Int, failed error: CallError, on port: any PartPort) {
    guard !hasEnded else { return }
    guard allowsPartial, error.code == .unavailable else {
      fail(error, on: port)
      return
    }
    merger.markMissing(tag)
    unreachable.append(error)
    advance(on: port)
  }

  private func advance(on port: any PartPort) {
    while count < limit || !isCutPoint {
      let position = merger.position
      guard let key = merger.draw() else { break }
      let fits = key.withBytes { bytes in
        let size = WireSize.bytesField(V1.KeysResponse.Field.keys.number, count: bytes.count)
        guard found.readableBytes + size <= bytesMax else { return false }
        found.append(V1.KeysResponse.Field.keys, bytes)
        return true
      }
      guard fits else {
        finish(at: position, on: port)
        return
      }
      count += 1
      isCutPoint = key.isCutPoint
    }
    if merger.isDone {
      finish(at: nil, on: port)
    } else if count >= limit, isCutPoint {
      finish(at: merger.position, on: port)
    } else {
      askForMore(on: port)
    }
  }

  private func askForMore(on port: any PartPort) {
    let missing = UInt32(clamping: max(limit - count, 1))
    for (shard, request) in merger.nextSlices(query, maxKeys: missing) {
      let part = Part(
        operation: self, tag: shard, method: InternalMethod.keysPart.rawValue, shard: shard,
        lane: .bulk)
      request.withUnsafeReadableBytes { port.send(part, request: $0) }
    }
  }

  /// - Parameter position: where the rest begins; nil: there is none.
  private func finish(at position: ScanPosition?, on port: any PartPort) {
    guard count > 0 || position == nil else {
      fail(.responseTooLarge(of: .keys), on: port)
      return
    }
    hasEnded = true
    let token = position.map { query.token(of: $0) } ?? []
    token.withUnsafeBytes { found.write(V1.KeysResponse.Field.nextPageToken, $0) }
    for error in unreachable { found.append(V1.KeysResponse.Field.unreachable, error) }
    port.finish(self, response: found)
  }

  private func fail(_ error: CallError, on port: any PartPort) {
    hasEnded = true
    port.finish(self, error: error)
  }
}
