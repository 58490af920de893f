// Ids of calls after a very long uptime: their numbers wrap around.

import NodeCore
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct CallNumberTests {
  private typealias Table = CallTable<Int>

  private func call() -> PendingCall<Int> {
    PendingCall(
      target: .caller(1), shard: 0, slot: 0, lane: .calls, isWrite: false, bytes: 0)
  }

  @Test func idsStayBelowTheMarkOfOperationsDifferAndKeepTheirOrder() throws {
    var table = Table(firstSequence: Table.sequenceMax - 3)
    var ids: [UInt64] = []
    for _ in 0..<8 {
      let inserted = table.insert(call(), isOrdered: false)
      let id = try #require(inserted)
      #expect(id != 0 && id >> 63 == 0)
      ids.append(id)
    }
    #expect(Set(ids).count == 8)
    #expect(ids.max() != ids.last, "the numbers have wrapped around")
    #expect(table.ids { _ in true } == ids)
    for (index, one) in ids.enumerated() {
      for (place, other) in ids.enumerated() {
        #expect(CallOrder.isBefore(one, other) == (index < place))
      }
    }
    for id in ids {
      let (first, second) = (table.remove(id), table.remove(id))
      #expect(first != nil && second == nil)
    }
  }

  /// A router that has submitted nearly as many calls as there are numbers.
  private func router(callsLeft: UInt64) throws -> RouterFixture {
    let router = try RouterFixture(shards: ["a"])
    router.core.calls = Table(firstSequence: Table.sequenceMax - callsLeft)
    try router.acceptAll()
    return router
  }

  @Test func callsAfterTheWraparoundGetRepliesAndAreCancelledLikeOthers() throws {
    let router = try router(callsLeft: 1)
    var ids: [UInt64] = []
    for caller in 1...6 { ids.append(try #require(router.set("k\(caller)", caller: caller))) }
    let sent = try router.sent(to: 0).calls.map(\.id)
    #expect(sent == ids)
    for (place, id) in ids.enumerated() where place % 2 == 0 {
      router.driver.gone.insert(place + 1)
      router.core.cancel(id)
    }
    #expect(try router.sent(to: 0).cancels == [ids[0], ids[2], ids[4]])
    for id in ids { try router.reply(id, from: 0) }
    #expect(router.driver.outcomes.keys.sorted() == [2, 4, 6])
    #expect(router.isTidy)
  }

  /// Small, large, small on one key, wherever the numbers wrap around.
  @Test(arguments: 0...6 as ClosedRange<UInt64>)
  func theLanesKeepTheirOrder(_ callsLeft: UInt64) throws {
    let router = try router(callsLeft: callsLeft)
    let small = (1...2).map { router.set("k", caller: $0) }
    let large = (3...4).map { router.set("k", bytes: RouterLaneTests.large, caller: $0) }
    let last = (5...6).map { router.set("k", caller: $0) }
    #expect(try router.sent(to: 0).calls.map(\.id) == small)
    #expect(try router.sent(to: 0, .bulk).calls.isEmpty)
    for id in small { try router.reply(try #require(id), from: 0) }
    #expect(try router.sent(to: 0, .bulk).calls.map(\.id) == large)
    #expect(try router.sent(to: 0).calls.isEmpty)
    for id in large { try router.reply(try #require(id), from: 0, .bulk) }
    #expect(try router.sent(to: 0).calls.map(\.id) == last)
    for id in last { try router.reply(try #require(id), from: 0) }
    #expect(router.isTidy)
  }
}
