// Random calls of every kind through the core, with shards whose lanes overtake each other, links
// that break, callers that are slow or go away. Whatever happens: every call ends once, calls on a
// key are executed in their order, large replies come whole, and nothing is left over.

import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing

@testable import RouterNode

@Suite struct RouterModelTests {
  private final class World {
    let router: RouterFixture
    let shards = [FakeShard(), FakeShard()]
    var random: SplitMix64
    var callers = 0
    /// Calls and operations, by caller.
    var ids: [Int: UInt64] = [:]
    var isCalm = false
    var connects = 0

    init(_ random: SplitMix64) throws {
      self.random = random
      var limits = Limits()
      limits.largeReplyMemoryBytesMax = 1_000_000
      var linkLimits = LinkLimits()
      linkLimits.callsInFlightMax = 6
      linkLimits.bulkCallsInFlightMax = 3
      linkLimits.bulkBytesInFlightMax = 150_000
      linkLimits.frameBytes = 200
      linkLimits.handedOverBytesMin = 50
      router = try RouterFixture(limits: limits, linkLimits: linkLimits)
      driver.whenTold = { [unowned self] in
        // Some clients have their next call ready.
        if !isCalm, number(8) == 0 { try? call() }
      }
    }

    func number(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    var driver: RecordingDriver { router.driver }

    // MARK: Clients

    func call() throws {
      callers += 1
      // Replies given meanwhile may bring further calls.
      let caller = callers
      let key = "key\(number(8))"
      if number(2) == 0 { driver.gathers.insert(caller) }
      if number(4) == 0 { driver.full.insert(caller) }
      let deadline = number(6) == 0 ? router.nowNanos + UInt64(number(50)) * 1_000_000 : nil
      router.givesBlocks = number(2) == 0
      let id: UInt64?
      switch number(10) {
      case 0..<3: id = router.get(key, caller: caller)
      case 3..<5: id = router.set(key, caller: caller, deadlineNanos: deadline)
      case 5..<7:
        id = router.set(key, bytes: FakeShard.valueBytes, caller: caller, deadlineNanos: deadline)
      case 7: id = try router.openStream(key, caller: caller)
      case 8: id = try router.start(.mSet, items(), caller: caller)
      default: id = try router.start(.keys, Ringstore_V1_KeysRequest(), caller: caller)
      }
      if let id { ids[caller] = id }
    }

    private func items() -> Ringstore_V1_MSetRequest {
      var request = Ringstore_V1_MSetRequest()
      request.items = (0..<5).map { _ in
        var item = Ringstore_V1_KeyValue()
        item.key = .init("key\(number(8))".utf8)
        item.value = .init(
          repeating: FakeShard.valueByte, count: number(3) == 0 ? FakeShard.valueBytes : 10)
        return item
      }
      return request
    }

    func goAway() {
      let open = ids.keys.filter { driver.outcomes[$0] == nil && !driver.gone.contains($0) }
      guard let first = open.sorted().randomElement(using: &random) else { return }
      // The client of a Pipeline takes all of its calls along.
      var leaving: Set<Int> = [first]
      if number(4) == 0 { leaving.formUnion(open.filter { $0 % 3 == first % 3 }) }
      driver.gone.formUnion(leaving)
      for caller in leaving {
        guard let id = ids[caller], caller == first || router.core.operations[id] != nil else {
          continue
        }
        router.core.cancel(id)
      }
      router.core.cancelCalls { leaving.contains($0) }
    }

    func takeMore() {
      guard let caller = driver.full.sorted().randomElement(using: &random) else { return }
      driver.full.remove(caller)
      if let id = driver.waitingIDs.removeValue(forKey: caller) { router.core.callerWritable(id) }
      if !isCalm, number(3) == 0 { driver.full.insert(caller) }
    }

    // MARK: The network

    func dial() {
      guard driver.connectCount != connects else { return }
      connects = driver.connectCount
      for shard in shards.indices {
        guard let generation = driver.connections[shard],
          shards[shard].connection(.calls, generation) == nil
        else { continue }
        shards[shard].dialed(generation)
      }
    }

    func moveSomething() throws {
      let shard = number(2)
      let lane: LinkLane = number(2) == 0 ? .calls : .bulk
      let generation = driver.connections[shard] ?? 0
      guard let connection = shards[shard].connection(lane, generation) else { return }
      switch number(4) {
      case 0 where !connection.isConnected:
        connection.isConnected = true
        router.core.linkConnected(shard: shard, lane: lane, generation: generation)
      case 0, 1:
        if let frame = router.core.takeFrame(shard: shard, lane: lane) {
          connection.toShard.append(frame.joined)
        }
      case 2:
        if let from = shards[shard].withInput.randomElement(using: &random) {
          try shards[shard].receive(from, &random)
        }
        shards[shard].work(&random, mayFail: !isCalm)
      default:
        guard !connection.toRouter.isEmpty else { return }
        let frame = connection.toRouter.removeFirst()
        frame.withUnsafeReadableBytes {
          router.core.linkReceived(shard: shard, lane: lane, generation: generation, frame: $0)
        }
      }
    }

    func breakSomething() {
      let shard = number(2)
      router.lose(shard, number(2) == 0 ? .calls : .bulk)
      shards[shard].forgetOld(before: driver.connections[shard] ?? 0)
    }

    func step() throws {
      dial()
      switch number(100) {
      case 0..<12 where !isCalm: try call()
      case 12..<15 where !isCalm: goAway()
      case 15 where !isCalm && number(4) == 0: breakSomething()
      case 16..<22: router.advance(millis: UInt64(number(20)))
      case 22..<30: takeMore()
      default: try moveSomething()
      }
    }

    // MARK: Checks

    func checkOrder() {
      for shard in shards {
        if shard.brokenRequests > 0 { Issue.record("requests did not arrive as they were sent") }
        for (key, ids) in shard.executed {
          let inOrder = zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }
          if !inOrder { Issue.record("calls on \(key) were executed out of order") }
        }
      }
    }

    func checkOutcomes() {
      for caller in 1...callers where !driver.gone.contains(caller) {
        switch driver.outcomes[caller] {
        case nil: Issue.record("caller \(caller) never heard of its call")
        case .replied(let bytes)?:
          if bytes.count == FakeShard.largeBytes, bytes != FakeShard.largeReply {
            Issue.record("caller \(caller) got another reply than was sent")
          }
        case .streamed(let messages)?:
          if messages.reduce([], +) != FakeShard.stream {
            Issue.record("caller \(caller) got another stream than was sent")
          }
        case .failed?: break
        }
      }
    }
  }

  @Test func everyCallEndsOnceInOrderAndNothingIsLeft() throws {
    var (calls, replies) = (0, 0)
    try TestSeed.run(count: 4) { seed in
      let world = try World(SplitMix64(seed: seed))
      for _ in 0..<3_000 { try world.step() }
      world.isCalm = true
      var steps = 0
      while !(world.router.isTidy && world.driver.full.isEmpty), steps < 40_000 {
        try world.step()
        steps += 1
      }
      #expect(world.router.isTidy, "something is left over")
      world.checkOutcomes()
      world.checkOrder()
      calls += world.callers
      replies += world.driver.outcomes.values.count { $0.error == nil }
    }
    #expect(replies > calls / 20, "hardly a call had a reply")
  }
}
