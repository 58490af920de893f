// The calls and operations under way, by number: their state changes, and their deadlines.

import NodeCore
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite struct CallTableTests: ~Copyable {
  private var table = CallTable<Int>()

  private mutating func insert(order: UInt64 = 1) throws -> UInt64 {
    let call = PendingCall<Int>(
      target: .caller(1), shard: 0, slot: 7, lane: .calls, isWrite: false, bytes: 0)
    let id = table.insert(call, isOrdered: true, order: order)
    return try #require(id)
  }

  private mutating func overdue(_ nowNanos: UInt64) -> [UInt64] {
    var ids: [UInt64] = []
    while let id = table.nextOverdue(nowNanos: nowNanos) { ids.append(id) }
    return ids
  }

  @Test mutating func onlyACallThatWasSentToTheShardIsTakenOutByItsReply() throws {
    let waiting = try insert(order: 0)
    let early = table.removeSent(waiting, shard: 0)
    #expect(early == nil)
    table.move(waiting, to: 2)
    table.placed(waiting, order: 5)
    let wrong = table.removeSent(waiting, shard: 0)
    #expect(wrong == nil)
    let taken = table.removeSent(waiting, shard: 2)
    #expect(taken?.order == 5 && table.count == 0)
  }

  @Test
  mutating func aCallThatWasReturnedWaitsAgainWithItsReplyAndOrderAsTheyWere()
    throws
  {
    let id = try insert()
    table.returned(id)
    #expect(table[id]?.isWaiting == true && table[id]?.timesReturned == 1)
    #expect(table[id]?.isOrdered == true && table[id]?.reply == .whole)
    table.placed(id, order: 2)
    table.beganReply(id)
    #expect(table[id]?.reply == .inParts && table[id]?.isOrdered == false)
  }

  @Test mutating func callsAreOverdueInTheOrderOfTheirDeadlinesAndStay() throws {
    let (late, early, without) = (try insert(), try insert(), try insert())
    table.setDeadline(late, 20)
    table.setDeadline(early, 10)
    #expect(table.dueNanos == 10)
    let ids = overdue(15) + overdue(20)
    #expect(ids == [early, late] && table.dueNanos == nil)
    #expect(table.count == 3 && table[without] != nil)
  }

  @Test mutating func callsThatEndOrAreAbandonedLeaveNoDeadlineBehind() throws {
    let ids = [try insert(), try insert(), try insert()]
    for id in ids { table.setDeadline(id, 10) }
    _ = table.remove(ids[0])
    _ = table.removeSent(ids[1], shard: 0)
    table.abandon(ids[2])
    #expect(table.dueNanos == nil && table[ids[2]]?.isAbandoned == true)
    // A number that is used again has nothing of the call before.
    let next = try insert()
    table.setDeadline(next, 30)
    _ = table.remove(ids[2])
    #expect(table.dueNanos == 30)
  }
}

@Suite struct OperationTableTests {
  private var table = OperationTable<String>()

  private mutating func add(_ name: String) -> UInt64 {
    var handle: UInt64 = 0
    _ = table.add {
      handle = $0
      return name
    }
    return handle
  }

  @Test mutating func handlesAreNoIdsOfCalls() {
    let (one, other) = (add("one"), add("other"))
    #expect(one >> 63 == 1 && other >> 63 == 1 && one != other)
    #expect(table[one] == "one" && table[7] == nil && table.count == 2)
  }

  @Test mutating func anOperationThatEndsLeavesNoDeadlineBehind() {
    let (ended, overdue) = (add("ended"), add("overdue"))
    table.setDeadline(ended, 10)
    table.setDeadline(overdue, 20)
    table.setDeadline(overdue, 5)
    table.remove(ended)
    #expect(table.dueNanos == 20, "the first deadline counts")
    let (none, one) = (table.nextOverdue(nowNanos: 19), table.nextOverdue(nowNanos: 20))
    #expect(none == nil && one == "overdue")
    #expect(table[overdue] != nil && table.dueNanos == nil)
  }
}
