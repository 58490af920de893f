// Scan: a stream of pages with the keys of every shard, in the order of their positions.
//
// The request for a slice is the credit: nothing is asked of a shard while the caller doesn't take
// what there is, so a slow caller costs the bounded memory of the merger and one page. A page's
// token stands for everything before it, whoever found it; so a scan that is resumed repeats
// nothing and misses no key that stays.

import Commands
import NIOCore
import Placement
import RingstoreAPI

package final class ScanOperation: FanoutOperation {
  /// Keys in a page where the caller has no wish, and at most.
  package static let pageKeysDefault = 1_000
  package static let pageKeysMax = 10_000
  /// A page ends with the key that takes it to this size, or earlier where messages are smaller.
  package static let pageBytesMax = 64 << 10
  /// After this many slices a page is sent however empty, so that the caller sees how far it is.
  package static let slicesPerPageMax = 64

  package var handle: UInt64 = 0
  private let query: KeyQuery
  private let from: ScanPosition
  private let allowsPartial: Bool
  private let pageKeys: Int
  private let pageBytes: Int
  private var merger = KeyMerger(shards: 0, from: .start)
  /// The page being filled: its keys as they are sent, and how many there are.
  private var page = ByteBuffer()
  private var keysInPage = 0
  private var slicesSincePage = 0
  /// Whether a page may end behind the last key in it.
  private var isCutPoint = true
  /// Shards that could not be asked and that no page has told of yet.
  private var unreachable: [CallError] = []
  private var hasEnded = false

  /// - Throws: BAD_PATTERN, NO_SUCH_DATABASE, BAD_PAGE_TOKEN, UNKNOWN_FIELD for a type that this
  ///   version does not know.
  package init(_ call: V1.ScanRequest, _ context: CallContext, _ limits: Limits) throws(CallError) {
    if let field = call.unservedField { throw .unservedField(field) }
    query = try KeyQuery(call.pattern, database: call.database, type: call.type, context, limits)
    from = try query.position(of: call.resumeToken)
    allowsPartial = call.allowPartial
    pageKeys =
      call.pageSize == 0 ? Self.pageKeysDefault : min(Int(call.pageSize), Self.pageKeysMax)
    pageBytes = min(Self.pageBytesMax, limits.maxMessageBytes / 2)
  }

  package var heldBytes: Int { page.readableBytes + merger.heldBytes }

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
    slicesSincePage += 1
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

  package func callerWritable(on port: any PartPort) {
    if !hasEnded { advance(on: port) }
  }

  /// Sends what the caller takes, and asks for more if it takes more.
  private func advance(on port: any PartPort) {
    while port.isWritable(self) {
      if isPageFull {
        send(on: port)
      } else if let key = merger.draw() {
        key.withBytes { page.append(V1.ScanPage.Field.keys, $0) }
        keysInPage += 1
        isCutPoint = key.isCutPoint
      } else if merger.isDone {
        hasEnded = true
        send(on: port)
        port.finishStream(self)
        return
      } else if slicesSincePage >= Self.slicesPerPageMax {
        send(on: port)
      } else {
        break
      }
    }
    if port.isWritable(self) { askForMore(on: port) }
  }

  private var isPageFull: Bool {
    isCutPoint && (keysInPage >= pageKeys || page.readableBytes >= pageBytes)
  }

  private func askForMore(on port: any PartPort) {
    for (shard, request) in merger.nextSlices(query) {
      let part = Part(
        operation: self, tag: shard, method: InternalMethod.keysPart.rawValue, shard: shard,
        lane: .bulk)
      request.withUnsafeReadableBytes { port.send(part, request: $0) }
    }
  }

  private func send(on port: any PartPort) {
    let position = merger.position
    query.token(of: position).withUnsafeBytes { token in
      page.write(V1.ScanPage.Field.resumeToken, token)
    }
    page.write(V1.ScanPage.Field.slotsDone, UInt64(position.slot))
    for error in unreachable { page.append(V1.ScanPage.Field.unreachable, error) }
    let message = page
    page = ByteBuffer()
    keysInPage = 0
    slicesSincePage = 0
    unreachable = []
    port.emit(self, message: message)
  }

  private func fail(_ error: CallError, on port: any PartPort) {
    hasEnded = true
    port.finish(self, error: error)
  }
}
