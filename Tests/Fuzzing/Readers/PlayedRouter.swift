// One loop of a router, played by FuzzRouters: what it sends, and the account of the replies that it
// may get. One thread.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import ShardNode

final class PlayedRouter {
  let name: String
  private(set) var lanes: [LinkLane: PlayedLane] = [:]
  private(set) var problem: String?
  /// The newest clock that the shard has told.
  private(set) var clockMillis: UInt64 = 0
  private var generation: UInt64 = 1
  private var calls: [UInt64: Account] = [:]

  /// The calls that were sent with an id, and what came of them.
  private struct Account {
    var count = 0
    var lastReplies = 0
    /// Of the first of them.
    var isStream = false
    var granted: UInt64 = 0
    var received: UInt64 = 0
    var announced: UInt64?
  }

  init(_ name: String) {
    self.name = name
  }

  func found(_ problem: String) { self.problem = self.problem ?? problem }

  func connect(_ lane: LinkLane, _ core: ShardCore) {
    lanes[lane]?.lose()
    lanes[lane] = PlayedLane(lane, core, self)
  }

  /// Connections that the shard has closed.
  func endClosed() {
    for connection in lanes.values where connection.isClosed { connection.lose() }
  }

  // MARK: - Frames

  static func key(_ choice: UInt8) -> [UInt8] { [0x6b, 0x30 + choice % 5] }

  func hello(_ script: inout LinkScript) -> ByteBuffer {
    typealias Field = LinkV1.Hello.Field
    let (kind, choice) = (script.byte(), script.byte())
    if kind & 3 == 1 { generation += 1 }
    let named = kind & 3 == 2 ? generation &- 1 : generation
    let cluster = kind & 4 == 0 ? LinkMaps.cluster : "other"
    let seed: HashSeed = kind & 8 == 0 ? .publicSeed : HashSeed(words: (1, 2))
    var frame = ByteBuffer()
    let hello = frame.beginLengthDelimited(LinkV1.RouterFrame.Field.hello)
    frame.write(Field.protocol, UInt64(LinkProtocol.version))
    frame.write(Field.cluster, cluster)
    frame.write(Field.router, name)
    frame.write(Field.generation, named)
    frame.write(Field.expectedShard, "a")
    LinkMaps.append(LinkMaps.map(choice), as: Field.map, to: &frame)
    seed.check(cluster: cluster, router: name, generation: named, shard: "a").withUnsafeBytes {
      frame.append(Field.hashSeedCheck, $0)
    }
    frame.write(Field.inForceEpoch, UInt64(choice >> 2 & 15))
    for id in 0..<UInt64(kind >> 6) { frame.append(Field.parkedCalls, id) }
    frame.endLengthDelimited(hello)
    return frame
  }

  func offer(_ script: inout LinkScript) -> ByteBuffer {
    typealias Field = LinkV1.MapOffer.Field
    let (step, choice) = (script.byte(), script.byte())
    var frame = ByteBuffer()
    let offer = frame.beginLengthDelimited(LinkV1.RouterFrame.Field.offer)
    frame.write(Field.step, LinkV1.SlotMapStep(rawValue: Int32(step & 3)))
    LinkMaps.append(LinkMaps.map(choice), as: Field.map, to: &frame)
    frame.write(Field.inForceEpoch, UInt64(step >> 2 & 15))
    frame.write(Field.round, UInt64(step >> 6))
    frame.write(Field.versionsBelow, script.number())
    frame.endLengthDelimited(offer)
    return frame
  }

  /// A call on a key, or a part of one; the rest of its request is any bytes.
  func call(_ script: inout LinkScript) -> ByteBuffer {
    let (id, method) = (UInt64(script.byte()), UInt32(script.byte()))
    let place = script.byte()
    var request = ByteBuffer()
    // (A part has no key.)
    if place & 128 == 0 {
      Self.key(place).withUnsafeBytes { request.append(BytesField(1), $0) }
    }
    request.writeBytes(script.bytes())
    let deadline = place & 64 == 0 ? 0 : clockMillis &+ script.number()
    var frame = ByteBuffer()
    request.withUnsafeReadableBytes { request in
      let restriction = LinkV1.Restriction(everyDatabase: true, everyKey: place & 16 == 0)
      frame.append(
        LinkV1.RouterFrame.Field.calls,
        LinkV1.LinkCall(
          id: id, method: method, request: request, deadlineMillis: deadline,
          restriction: place & 32 == 0 ? nil : restriction))
    }
    return frame
  }

  // MARK: - The account

  /// A frame goes to the shard. It reads the parts up to the first that it can't decode.
  func sent(_ frame: UnsafeRawBufferPointer) {
    var parts = LinkV1.RouterFrame.Parts(frame)
    while let part = try? parts.next() {
      switch part {
      case .calls(let message):
        guard let call = try? LinkV1.LinkCall(message) else { return }
        calls[call.id, default: Account()].count += 1
        if calls[call.id]?.count == 1 {
          calls[call.id]?.isStream = call.method == InternalMethod.listStreamPart.rawValue
        }
      case .credits(let message):
        guard let credit = try? LinkV1.Credit(message) else { return }
        let granted = calls[credit.id]?.granted ?? 0
        calls[credit.id]?.granted =
          granted.addingReportingOverflow(credit.bytes).overflow
          ? .max : granted + credit.bytes
      default: break
      }
    }
  }

  func received(_ frame: ByteBuffer) {
    frame.withUnsafeReadableBytes { bytes in
      guard let frame = try? LinkV1.ShardFrame(bytes) else {
        return found("the shard sends what can't be decoded")
      }
      clockMillis = max(clockMillis, frame.clockMillis)
      for reply in frame.replies { received(reply) }
    }
  }

  private func received(_ reply: LinkV1.LinkReply) {
    guard var call = calls[reply.id] else { return found("a reply to a call that was never sent") }
    // A call that is returned is over at the shard.
    let isLast = !reply.more || reply.code != 0
    if isLast { call.lastReplies += 1 }
    if call.lastReplies > call.count || (!isLast && call.lastReplies == call.count) {
      found("a call has more than one last reply, or others behind it")
    }
    // Several calls with one id can't be told apart.
    if call.count == 1, reply.code == 0, !reply.parked { take(reply, isLast, &call) }
    calls[reply.id] = call
  }

  private func take(_ reply: LinkV1.LinkReply, _ isLast: Bool, _ call: inout Account) {
    if !isLast, !call.isStream, call.announced == nil {
      call.announced = (try? LinkV1.LargeReplyNotice(reply.response))?.totalBytes
      if call.announced == nil { found("a notice has no length") }
      return
    }
    guard call.announced != nil || (call.isStream && (!isLast || call.received > 0)) else { return }
    if call.received >= call.granted { found("a part came without credit") }
    call.received += UInt64(reply.response.count)
    if let announced = call.announced,
      isLast ? call.received != announced : call.received > announced
    {
      found("a reply is not as long as announced")
    }
  }
}

/// One connection of a played router, and the shard's session of it.
final class PlayedLane: LinkPort {
  private(set) var session: LinkSession?
  private(set) var isWritable = true
  private(set) var bytesReceived = 0
  private(set) var isClosed = false
  /// Calls and the like that were not sent yet.
  var pending = ByteBuffer()
  private unowned let router: PlayedRouter

  init(_ lane: LinkLane, _ core: ShardCore, _ router: PlayedRouter) {
    self.router = router
    session = LinkSession(lane, core: core, port: self)
  }

  func send(_ frame: inout ByteBuffer) {
    if session == nil { router.found("a frame goes over a connection that has ended") }
    router.received(frame)
  }

  func close(_ reason: String) { isClosed = true }

  func takesOutput(_ takes: Bool) {
    isWritable = takes
    if takes, let session { act(session.writable()) }
  }

  func sendPending(clockMillis: UInt64, isKept: Bool) {
    var frame = ByteBuffer()
    frame.append(LinkV1.RouterFrame.Field.heardMillis, clockMillis)
    frame.writeImmutableBuffer(pending)
    pending = ByteBuffer()
    receive(frame, isKept: isKept)
  }

  /// - Parameter isKept: whether the shard may keep the frame's memory. If not, it is overwritten.
  func receive(_ frame: ByteBuffer, isKept: Bool) {
    guard let session, !isClosed else { return }
    bytesReceived += frame.readableBytes
    frame.withUnsafeReadableBytes { router.sent($0) }
    let owned = frame.withUnsafeReadableBytes { OwnedBytes(copying: $0) }
    let after = owned.withBytes { bytes in
      let after = session.receive(bytes, in: isKept ? owned.block : nil)
      if !isKept {
        owned.block.base.initializeMemory(as: UInt8.self, repeating: 0xee, count: bytes.count)
      }
      return after
    }
    session.greeting = nil
    act(after)
  }

  private func act(_ after: LinkSession.AfterFrame) {
    if after != .proceed { lose() }
  }

  func lose() {
    let ended = session
    session = nil
    ended?.lost()
  }
}
