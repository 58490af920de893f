// Random calls, credits, cancels and losses over both lanes of a link, against a naive model.

import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing

@testable import ShardNode

@Suite struct LinkModelTests {
  @Test(arguments: 0..<24)
  func everyCallHasOneLastReplyAndTheRightOne(run: Int) throws {
    let seed = TestSeed.value &+ UInt64(run)
    var traffic = try RandomTraffic(seed: seed)
    for _ in 0..<120 { try traffic.step() }
    try traffic.finish()
    if traffic.hasFailed { Issue.record("seed \(seed): RINGSTORE_TEST_SEED=\(seed), first run") }
  }
}

/// What a router does, drawn from a seed.
private struct RandomTraffic {
  private let shard: ShardFixture
  private var random: SplitMix64
  private var model = StoreModel()
  private var router: ModelRouter
  private var generation: UInt64 = 1
  private var nextID: UInt64 = 1
  private(set) var hasFailed = false

  init(seed: UInt64) throws {
    var limits = Limits.wide
    limits.maxMessageBytes = 64 << 20
    // Far less than calls may wait before they are too old.
    limits.viewNanosMax = 1_000_000
    shard = ShardFixture(limits: limits)
    random = SplitMix64(seed: seed)
    router = try ModelRouter(shard, generation: 1)
  }

  mutating func step() throws {
    switch number(0...99) {
    case ..<45: sendFrame(.calls)
    case ..<55: sendFrame(.bulk)
    case ..<75: grantSome()
    case ..<82: cancelSome()
    case ..<88: toggleLane()
    case ..<95: for _ in 0..<number(1...6) { shard.core.runTurn() }
    case ..<97: expireViews()
    default: try restart()
    }
    try router.takeReplies(&model)
  }

  mutating func finish() throws {
    try router.settle(&model)
    #expect(shard.core.store.pinnedBytes == 0)
    #expect(!shard.core.holdsViews && !shard.core.hasTurns)
    try compareStore()
  }

  // MARK: - Steps

  private mutating func sendFrame(_ lane: LinkLane) {
    var frame = RouterFrame()
    var ids: [UInt64] = []
    for _ in 0..<number(1...5) {
      let call = ModelCall(nextID, key(lane), kind(lane), lane)
      nextID += 1
      ids.append(call.id)
      write(call, to: &frame)
      router.sent(call)
      if call.isStream {
        call.granted = LinkProtocol.streamCreditBytes
        frame.bytes.append(
          LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: call.id, bytes: UInt64(call.granted)))
      }
    }
    if number(0...9) == 0, let id = ids.randomElement(using: &random) {
      frame.bytes.append(LinkV1.RouterFrame.Field.cancels, id)
      router.cancelled(id)
    }
    let link = lane == .calls ? router.link.calls : router.link.bulk
    link.givesBlocks = number(0...1) == 0
    _ = link.give(frame)
  }

  private mutating func grantSome() {
    guard let call = router.grantable.randomElement(using: &random) else { return }
    router.grant(call, [1, 1_000, 70_000, 1 << 20][number(0...3)])
  }

  private mutating func cancelSome() {
    guard let id = router.openIDs.randomElement(using: &random), let lane = router.lane(of: id)
    else { return }
    router.cancelled(id)
    lane.give { $0.bytes.append(LinkV1.RouterFrame.Field.cancels, id) }
  }

  private mutating func toggleLane() {
    let lane = number(0...1) == 0 ? router.link.calls : router.link.bulk
    if lane.isWritable {
      lane.isWritable = false
    } else {
      lane.framesUntilFull = number(0...1) == 0 ? nil : 1
      lane.drained()
      lane.framesUntilFull = nil
    }
  }

  private mutating func expireViews() {
    router.mayExpire = true
    shard.clock.nowNanos += shard.core.limits.viewNanosMax
    shard.core.endExpired()
  }

  /// The link is lost, or another one takes over. What has no reply was not executed: only
  /// reads may be without a reply otherwise.
  private mutating func restart() throws {
    try router.takeReplies(&model)
    if number(0...1) == 0 {
      (number(0...1) == 0 ? router.link.calls : router.link.bulk).session?.lost()
    }
    generation += 1
    router = try ModelRouter(shard, generation: generation)
    #expect(!shard.core.holdsViews, "a link that is gone holds views")
  }

  private func compareStore() throws {
    for (key, value) in model.strings { #expect(try shard.get("s:" + key).value.holds(value)) }
    for (key, values) in model.lists {
      let length: Ringstore_V1_Status = try shard.call(.lLen, Requests.key("l:" + key))
      #expect(length.count == Int64(values.count))
    }
  }

  // MARK: - What is asked

  private mutating func key(_ lane: LinkLane) -> String { "\(lane.rawValue)\(number(0...2))" }

  private mutating func kind(_ lane: LinkLane) -> ModelCall.Kind {
    switch number(0...11) {
    case 0...1: .set(text())
    case 2...4: .get
    case 5: .push((0..<number(1...4)).map { _ in text() })
    case 6: .push(Array(repeating: "\(random.next())\(random.next())", count: number(1...4_000)))
    case 7...8: .pop
    case 9: .range(number(0...3), number(1...4_000))
    case 10: lane == .bulk ? .stream : .get
    default: .slice
    }
  }

  private mutating func text() -> String {
    let word = "\(random.next())"
    return number(0...2) == 0 ? String(repeating: word, count: number(3_000...15_000)) : word
  }

  private func write(_ call: ModelCall, to frame: inout RouterFrame) {
    let string = "s:" + call.key
    let list = "l:" + call.key
    switch call.kind {
    case .set(let value): frame.call(call.id, .set, Requests.set(string, value))
    case .get: frame.call(call.id, .get, Requests.key(string))
    case .push(let values): frame.call(call.id, .rPush, Requests.push(list, values))
    case .pop: frame.call(call.id, .lPop, Requests.key(list))
    case .range(let start, let count):
      frame.call(
        call.id, .lRange, Requests.range(list, Int64(start), Int64(start + count) - 1))
    case .stream: frame.part(call.id, .listStreamPart, Requests.range(list, 0, -1))
    case .slice: frame.keysPart(call.id)
    }
  }

  private mutating func number(_ range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &random)
  }
}
