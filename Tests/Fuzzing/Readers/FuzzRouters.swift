// A shard's side of links: two routers' loops, each with two connections, send what the steps of the
// input say: Hellos, batches of calls, credit, cancels and maps, in any order, and frames of any
// bytes. Connections end and are made again, take nothing for a while, time passes, and replies wait
// until changes are committed.
//
// Nothing may trap. What the shard sends must be decodable, each call has one last reply at most and
// no other behind it, parts come only for credit and are as long as announced, and nothing is sent
// over a connection that has ended. When the routers are gone nothing may be left of their calls.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import ShardNode

extension FuzzReader {
  package static let routers = FuzzReader(
    name: "routers", seeds: LinkSeeds.routers, triesInTests: 300
  ) { input in
    try LinkedShard().run(LinkScript(input))
  }
}

/// What is done by a step: the low bits of its byte. The others are a lane (16), a router (32),
/// whether calls' memory may be kept (64), and whether the frame is sent (128).
enum RouterStep: UInt8 {
  case rawFrame, hello, rawParts, call, credit, cancel, placedAgain, takesOutput, turns, time, lost
  case connects, offer, drain, send, localWrite
}

private final class LinkedShard {
  let core: ShardCore
  private let clock = FuzzClock()
  private let marks = FuzzMarks()
  private let routers = [PlayedRouter("r/0"), PlayedRouter("r/1")]
  private var problem: String? { routers.compactMap(\.problem).first }

  init() {
    var limits = Limits()
    (limits.maxMessageBytes, limits.bulkBytesMin, limits.pieceBytesMax) = (6_000, 300, 100)
    (limits.maxPinnedBytes, limits.parkedCallsMax, limits.searchStepsMax) = (8_000, 8, 4)
    (limits.heldBytesMax, limits.databases) = (4_000, 2)
    let clock = clock
    core = ShardCore(
      cluster: LinkMaps.cluster, id: "a", incarnation: 7, version: "1", limits: limits,
      clock: { clock.nowNanos }, wallMillis: { Int64(clock.nowNanos / 1_000_000) },
      uptimeMillis: { 0 })
    core.marks = marks
    for router in routers { for lane in LinkLane.allCases { router.connect(lane, core) } }
  }

  func run(_ script: LinkScript) throws {
    var script = script
    while let what = script.step() {
      take(what, &script)
      if let problem { throw Finding(problem) }
    }
    try end()
  }

  private func take(_ what: UInt8, _ script: inout LinkScript) {
    guard let step = RouterStep(rawValue: what & 15) else { return }
    let router = routers[Int(what >> 5 & 1)]
    let lane: LinkLane = what & 16 == 0 ? .calls : .bulk
    let connection = router.lanes[lane]
    switch step {
    case .rawFrame: connection?.receive(ByteBuffer(bytes: script.bytes()), isKept: false)
    case .rawParts: connection?.pending.writeBytes(script.bytes())
    case .hello: connection?.pending.writeImmutableBuffer(router.hello(&script))
    case .call: connection?.pending.writeImmutableBuffer(router.call(&script))
    case .credit:
      let credit = LinkV1.Credit(id: UInt64(script.byte()), bytes: script.number())
      connection?.pending.append(LinkV1.RouterFrame.Field.credits, credit)
    case .cancel:
      connection?.pending.append(LinkV1.RouterFrame.Field.cancels, UInt64(script.byte()))
    case .placedAgain:
      connection?.pending.append(LinkV1.RouterFrame.Field.placedAgain, UInt64(script.byte()))
    case .offer: connection?.pending.writeImmutableBuffer(router.offer(&script))
    case .takesOutput: connection?.takesOutput(script.byte() & 1 == 1)
    case .turns: runTurns(Int(script.byte()))
    case .time: pass(millis: UInt64(script.byte()) * 40)
    case .lost: connection?.lose()
    case .connects: router.connect(lane, core)
    case .drain:
      if script.byte() & 1 == 1 { core.beginDraining() }
      if var frame = connection?.session?.drainingFrame() { connection?.send(&frame) }
    case .send: break
    case .localWrite: write(&script)
    }
    if what & 128 != 0 || step == .send {
      connection?.sendPending(clockMillis: router.clockMillis, isKept: what & 64 != 0)
    }
  }

  private func runTurns(_ count: Int) {
    for _ in 0..<count where core.hasTurns { core.runTurn() }
    core.gate.open(to: marks.takeBatch())
  }

  private func pass(millis: UInt64) {
    clock.nowNanos += millis * 1_000_000
    core.endExpired()
    core.watchLinks()
    for router in routers { router.endClosed() }
  }

  /// A client of the shard itself changes a key: large values, and lists that others wait for.
  private func write(_ script: inout LinkScript) {
    let key = PlayedRouter.key(script.byte())
    let value = [UInt8](repeating: 7, count: 20 * Int(script.byte()))
    let isPush = script.byte() & 1 == 1
    let command: CommandID = isPush ? .rPush : .set
    var request = ByteBuffer()
    key.withUnsafeBytes { request.append(BytesField(1), $0) }
    for _ in 0..<(isPush ? 3 : 1) { value.withUnsafeBytes { request.append(BytesField(2), $0) } }
    var response = ByteBuffer()
    _ = request.withUnsafeReadableBytes {
      try? core.execute(
        UInt32(command.rawValue), $0, into: &response, core.context(nowNanos: clock.nowNanos))
    }
    core.serveParked()
    core.boundViews()
  }

  /// The routers go, and some minutes pass.
  private func end() throws {
    for router in routers { for connection in router.lanes.values { connection.lose() } }
    for _ in 0..<150 {
      pass(millis: 1_000)
      var turns = 0
      while core.hasTurns {
        core.runTurn()
        turns += 1
        if turns > 100_000 { throw Finding("turns have no end") }
      }
      core.gate.open(to: marks.takeBatch())
    }
    if let problem { throw Finding(problem) }
    guard core.parkedCount == 0, !core.holdsViews, core.gate.isEmpty,
      core.replyMemory.heldBytes == 0, core.keyspace.store.pinnedBytes == 0, !core.needsWatch
    else { throw Finding("something is left when the routers are gone") }
  }
}

/// A clock that moves by hand.
final class FuzzClock {
  var nowNanos: UInt64 = 1_000_000_000
}

/// Every change waits until the batch that it is in is committed.
private final class FuzzMarks: MarkSource {
  private var batch: UInt64 = 1
  private var changed: [[UInt8]: UInt64] = [:]

  func mark(of key: MarkedKey, after method: UInt32) -> ReplyMark {
    if SubRequest.isWrite(method: method) { changed[Array(key.key)] = batch }
    return ReplyMark(changed[Array(key.key)] ?? 0)
  }

  var latest: ReplyMark { ReplyMark(batch) }

  func takeBatch() -> ReplyMark {
    batch += 1
    return ReplyMark(batch - 1)
  }
}
