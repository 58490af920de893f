// Scan: a stream of pages with the keys of every shard, in the order of their positions.
//
// The request for a slice is the credit: nothing is requested from a shard while the caller doesn't
// read, so a slow caller uses only the limited memory of the merger and one page. A page's token
// covers everything before it, on all shards; so a resumed scan repeats nothing and misses no key
// that stays.

import Commands
import NIOCore
import Placement
import RingstoreAPI

package final class ScanOperation: FanoutOperation {
  /// Keys in a page: the default and the maximum.
  package static let pageKeysDefault = 1_000
  package static let pageKeysMax = 10_000
  /// A page ends with the key that reaches this size, or earlier if messages are smaller.
  package static let pageBytesMax = 64 << 10
  /// After this many slices a page is sent even if it is empty, so that the caller sees the
  /// progress; but not before there is a new position, so that its token leads further.
  package static let slicesPerPageMax = 64

  private let pageKeys: Int
  private let pageBytes: Int
  private var walk: KeyWalk
  /// The page being filled: its keys as they are sent, and how many there are.
  private var page = ByteBuffer()
  private var keysInPage = 0
  private var slicesSincePage = 0
  /// The position of the latest page's token.
  private var toldPosition: ScanPosition
  /// Whether a page may end after its last key.
  private var isCutPoint = true

  /// - Throws: BAD_PATTERN, NO_SUCH_DATABASE, BAD_PAGE_TOKEN, UNKNOWN_FIELD for a type that this
  ///   version does not know.
  package init(_ call: V1.ScanRequest, _ context: CallContext, _ limits: Limits) throws(CallError) {
    if let field = call.unservedField { throw .unservedField(field) }
    let query = try KeyQuery(
      call.pattern, database: call.database, type: call.type, context, limits)
    toldPosition = try query.position(of: call.resumeToken)
    walk = KeyWalk(query, from: toldPosition, allowsPartial: call.allowPartial)
    pageKeys =
      call.pageSize == 0 ? Self.pageKeysDefault : min(Int(call.pageSize), Self.pageKeysMax)
    pageBytes = min(Self.pageBytesMax, limits.maxMessageBytes / 2)
  }

  package var heldBytes: Int { page.readableBytes + walk.heldBytes }
  package var followsMap: Bool { true }

  package var isStream: Bool { true }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    walk.start(on: cluster)
    return []
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      try walk.received(tag, response)
    } catch {
      return [.end(.failed(error))]
    }
    slicesSincePage += 1
    return []
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    do throws(CallError) {
      try walk.failed(tag, error)
    } catch {
      return [.end(.failed(error))]
    }
    return []
  }

  /// A page if there is one, or else the slices that it needs.
  package func advance() -> [FanoutAction] {
    while !isPageFull {
      if let key = walk.draw() {
        key.withBytes { page.append(V1.ScanPage.Field.keys, $0) }
        keysInPage += 1
        isCutPoint = key.isCutPoint
      } else if walk.isDone {
        return [.emit(takePage()), .end(.complete)]
      } else if slicesSincePage >= Self.slicesPerPageMax, walk.position > toldPosition {
        break
      } else {
        return walk.nextSlices()
      }
    }
    return [.emit(takePage())]
  }

  private var isPageFull: Bool {
    isCutPoint && (keysInPage >= pageKeys || page.readableBytes >= pageBytes)
  }

  private func takePage() -> ByteBuffer {
    let position = walk.position
    toldPosition = position
    walk.token(of: position).withUnsafeBytes { token in
      page.write(V1.ScanPage.Field.resumeToken, token)
    }
    page.write(V1.ScanPage.Field.slotsDone, UInt64(position.slot))
    for error in walk.takeUnreachable() { page.append(V1.ScanPage.Field.unreachable, error) }
    let message = page
    page = ByteBuffer()
    keysInPage = 0
    slicesSincePage = 0
    return message
  }
}
