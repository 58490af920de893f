// A large or streamed reply to a call of a link: pieces go out over a lane as its router grants
// credit and the lane takes them.

import NIOCore
import NodeCore
import RingstoreAPI

final class LinkReplySink: ReplySink, LinkCall {
  private let id: UInt64
  /// The lane that the call came in on: for the notice, and for an end before it.
  private weak var origin: LinkSession?
  /// The lane that the pieces go out on; the same for streamed replies.
  private weak var lane: LinkSession?
  private weak var peer: LinkPeer?
  private var stream: ReplyStream?
  /// Bytes that the router takes; below zero by less than a piece where the last one was longer.
  private var credit = 0
  private var hasBegun = false

  private init(_ id: UInt64, origin: LinkSession, lane: LinkSession, peer: LinkPeer) {
    self.id = id
    self.origin = origin
    self.lane = lane
    self.peer = peer
  }

  /// Begins a reply. One message goes out over the bulk lane after a notice, a row of messages over
  /// the lane of the call.
  static func begin(
    _ source: any ReplySource, id: UInt64, from session: LinkSession, _ peer: LinkPeer,
    core: ShardCore
  ) {
    let lane = source.isOneMessage ? peer.session(.bulk) ?? session : session
    let sink = LinkReplySink(id, origin: session, lane: lane, peer: peer)
    let stream = ReplyStream(source, to: sink, core: core)
    sink.stream = stream
    sink.hasBegun = !source.isOneMessage
    peer.began(id, sink)
    stream.start()
  }

  // MARK: - What the stream asks

  func isReady(for stream: ReplyStream) -> Bool {
    guard credit > 0, let lane else { return false }
    if lane.isWritable { return true }
    peer?.park(stream)
    return false
  }

  func begin(byteCount: Int) {
    hasBegun = true
    var notice = ByteBuffer()
    LinkV1.LargeReplyNotice(totalBytes: UInt64(byteCount)).write(into: &notice)
    origin?.emit { frame in
      notice.withUnsafeReadableBytes {
        frame.writeReply(.link, id: id, response: $0, more: true)
      }
    }
  }

  func send(_ piece: ReplyPiece, _ write: (inout ByteBuffer) -> Void) {
    credit -= piece.byteCount
    lane?.emit { frame in
      let reply = frame.beginReply(
        .link, id: id, sizeHint: piece.byteCount, more: !piece.isLast)
      write(&frame)
      frame.endReply(reply)
    }
  }

  func ended(with error: CallError?) {
    peer?.ended(id)
    guard let error else { return }
    (hasBegun ? lane : origin)?.emit { $0.writeReply(.link, id: id, error: error) }
  }

  // MARK: - What the router says

  func cancel() {
    stream?.fail(.cancelled)
  }

  func drop() {
    stream?.drop()
  }

  func grant(_ bytes: Int) {
    let (sum, overflows) = credit.addingReportingOverflow(bytes)
    credit = overflows ? .max : sum
    if credit > 0 { stream?.wake() }
  }
}
