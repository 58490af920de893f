// Histories by hand: for each kind of call what must be accepted and what must be found out.

import ClusterSimulation
import Testing

@Suite struct LinearizabilityCheckerTests {
  @Test func nothingIsLinearizable() {
    #expect(isLinearizable([]))
  }

  @Test func aReadMaySeeEitherSideOfAConcurrentWrite() {
    #expect(isLinearizable([set(1, 2, "a"), set(3, 6, "b"), get(4, 5, "a")]))
    #expect(isLinearizable([set(1, 2, "a"), set(3, 6, "b"), get(4, 5, "b")]))
  }

  @Test func aStaleReadIsFound() {
    #expect(isViolation([set(1, 2, "a"), set(3, 4, "b"), get(5, 6, "a")]))
    #expect(isViolation([set(1, 2, "a"), get(3, 4, nil)]))
  }

  @Test func readsMayNotGoBackInTime() {
    let write = [set(1, 2, "a"), set(3, 10, "b")]
    #expect(isViolation(write + [get(4, 5, "b"), get(6, 7, "a")]))
    #expect(isLinearizable(write + [get(4, 5, "a"), get(6, 7, "b")]))
    #expect(isLinearizable(write + [get(4, 7, "b"), get(5, 6, "a")]))
  }

  @Test func concurrentReadersMayNotDisagreeAboutTheOrderOfWrites() {
    let writes = [set(1, 10, "a"), set(1, 10, "b")]
    #expect(
      isViolation(writes + [get(11, 12, "a"), get(13, 14, "b")]))
    #expect(isLinearizable(writes + [get(2, 3, "a"), get(4, 5, "b"), get(11, 12, "b")]))
  }

  @Test func aValueThatWasNeverWrittenIsFound() {
    #expect(isViolation([set(1, 2, "a"), get(1, 3, "c")]))
  }

  @Test func atEqualMomentsNothingIsCertain() {
    #expect(isLinearizable([set(1, 5, "a"), get(5, 6, nil)]))
    #expect(isViolation([set(1, 4, "a"), get(5, 6, nil)]))
  }

  @Test func aLostUpdateIsFound() {
    let one = op(1, 4, "INCRBY 1", .integer(1))
    #expect(isViolation([one, op(2, 3, "INCRBY 1", .integer(1))]))
    #expect(isLinearizable([one, op(2, 3, "INCRBY 1", .integer(2))]))
    #expect(isViolation([one, op(2, 3, "INCRBY 1", .integer(2)), get(5, 6, "1")]))
  }

  @Test func anIncrementOfUnknownOutcomeCountsAtMostOnce() {
    let start = [op(1, 2, "INCRBY 1", .integer(1)), unknown(3, 4, "INCRBY 1")]
    #expect(isLinearizable(start + [get(5, 6, "1")]))
    #expect(isLinearizable(start + [get(5, 6, "2")]))
    #expect(isLinearizable(start + [get(5, 6, "1"), get(7, 8, "2")]))
    #expect(isViolation(start + [get(5, 6, "3")]))
    #expect(isViolation(start + [get(5, 6, "2"), get(7, 8, "1")]))
  }

  @Test func severalEqualUnknownIncrementsCountAtMostOnceEach() {
    let start = (1...3).map { unknown(UInt64($0), 9, "INCRBY 1") }
    #expect(isLinearizable(start + [get(10, 11, "3")]))
    #expect(isLinearizable(start + [get(10, 11, "1"), get(12, 13, "2")]))
    #expect(isViolation(start + [get(10, 11, "4")]))
  }

  @Test func anUnknownWriteMayTakeEffectLateButNotBeforeItWasSent() {
    let writes = [set(1, 2, "a"), unknown(3, 4, "SET b")]
    #expect(isLinearizable(writes + [get(5, 6, "a"), set(7, 8, "c"), get(9, 10, "b")]))
    #expect(isViolation(writes + [get(5, 6, "b"), set(7, 8, "c"), get(9, 10, "b")]))
    #expect(isViolation([get(1, 2, "b"), unknown(3, 4, "SET b")]))
  }

  @Test func theSameStateByOtherMeansIsAnotherChance() {
    // Both lead to 3, but only the Set can do so again after the x: the increment must come first.
    let lost = [unknown(1, 4, "SET 3"), unknown(2, 4, "INCRBY 3")]
    #expect(isLinearizable(lost + [get(5, 6, "3"), set(7, 8, "x"), get(9, 10, "3")]))
    #expect(
      isViolation(lost + [set(5, 6, "x"), get(7, 8, "3"), set(9, 10, "x"), get(11, 12, "3")]))
  }

  @Test func aPendingWriteIsAsFreeAsAnUnknownOne() {
    let pending = HistoryOperation(
      client: 1, call: "SET x", invoked: 1, returned: nil, outcome: .pending)
    #expect(isLinearizable([pending, get(2, 3, nil), get(4, 5, "x")]))
    #expect(isLinearizable([pending, get(2, 3, nil)]))
    #expect(isViolation([pending, get(2, 3, "x"), get(4, 5, nil)]))
  }

  @Test func whatWasNotExecutedMustNotShow() {
    let refused = HistoryOperation(
      client: 1, call: "SET x", invoked: 1, returned: 2, outcome: .notExecuted)
    #expect(isLinearizable([refused, get(3, 4, nil)]))
    #expect(isViolation([refused, get(3, 4, "x")]))
  }

  @Test func aWipeMakesTheKeyAbsentOnce() {
    let start = [set(1, 2, "a"), HistoryOperation.wipe(from: 5, to: 8)]
    #expect(isLinearizable(start + [get(3, 4, "a"), get(9, 10, nil)]))
    #expect(isLinearizable(start + [get(6, 7, "a"), get(9, 10, nil)]))
    #expect(isViolation(start + [get(9, 10, "a")]))
    #expect(isViolation(start + [get(3, 4, nil)]))
    #expect(isViolation(start + [set(9, 10, "b"), get(11, 12, nil)]))
  }

  @Test func deleteTellsWhetherThereWasAKey() {
    #expect(isLinearizable([set(1, 2, "a"), op(3, 4, "DEL", .count(1)), get(5, 6, nil)]))
    #expect(isViolation([set(1, 2, "a"), op(3, 4, "DEL", .count(0))]))
    #expect(isViolation([op(1, 2, "DEL", .count(1))]))
    let twice = [op(3, 6, "DEL", .count(1)), op(4, 5, "DEL", .count(1))]
    #expect(isViolation([set(1, 2, "a")] + twice))
    #expect(isViolation([set(1, 2, "a"), op(3, 4, "DEL", .count(1)), get(5, 6, "a")]))
  }

  @Test func existsAndTypeTellTheTruth() {
    let pushed = op(1, 2, "RPUSH x", .count(1))
    #expect(
      isLinearizable([pushed, op(3, 4, "EXISTS", .count(1)), op(3, 4, "TYPE", .type(.list))]))
    #expect(isLinearizable([set(1, 2, "a"), op(3, 4, "TYPE", .type(.string))]))
    #expect(isLinearizable([op(3, 4, "EXISTS", .count(0)), op(3, 4, "TYPE", .type(.absent))]))
    #expect(isViolation([pushed, op(3, 4, "EXISTS", .count(0))]))
    #expect(isViolation([pushed, op(3, 4, "TYPE", .type(.string))]))
    #expect(isViolation([set(1, 2, "a"), op(3, 4, "TYPE", .type(.absent))]))
  }

  @Test func operationsOfOneConnectionHappenInTheirOrder() {
    func on(_ connection: Int, _ operation: HistoryOperation) -> HistoryOperation {
      var operation = operation
      operation.connection = connection
      return operation
    }
    // All were held for a while: only their connections tell their order.
    let writes = [set(1, 9, "a"), set(2, 9, "b")]
    #expect(isLinearizable(writes + [get(10, 11, "a")]))
    #expect(isLinearizable(writes.map { on(1, $0) } + [get(10, 11, "b")]))
    #expect(isViolation(writes.map { on(1, $0) } + [get(10, 11, "a")]))
    #expect(isLinearizable([on(1, writes[0]), on(2, writes[1]), get(10, 11, "a")]))
    // In the order of invocation, not of the list; others may stand in between.
    let read = on(2, get(3, 9, "a"))
    #expect(isLinearizable([on(1, writes[1]), read, on(1, writes[0]), get(10, 11, "b")]))
    #expect(isViolation([on(1, get(3, 9, "a")), on(1, writes[1]), on(1, writes[0])]))
  }

  @Test func theListingNamesTheReplyThatNothingExplains() {
    let good = (0..<60).map { set(UInt64($0) * 2, UInt64($0) * 2 + 1, "v\($0)") }
    let history = good + [get(200, 201, "v58"), get(202, 203, "v59")]
    guard case .violation(let text) = LinearizabilityChecker().check(history) else {
      Issue.record("accepted")
      return
    }
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines.dropFirst().first == "  client 1 [200, 201] Get -> value \"v58\"")
    #expect(lines.contains("  the string \"v59\""))
    #expect(lines.contains("  (37 earlier ones)"))
    #expect(!text.contains("[202, 203]"))
    #expect(lines.count < 35)
  }

  @Test func theSearchGivesUpAtItsLimit() {
    let history = (0..<40).map { set(UInt64($0), 100, "v\($0)") } + [get(101, 102, "none")]
    #expect(LinearizabilityChecker(stepLimit: 1000).check(history) == .undecided)
    #expect(LinearizabilityChecker(stepLimit: 3).check([set(1, 2, "a")]) == .linearizable)
  }

  @Test func aRecordedHistoryIsCheckedKeyByKey() {
    var history = History()
    let write = history.invoke(client: 1, key: b("k"), call: "SET v")
    let other = history.invoke(client: 2, key: b("other"), call: "GET")
    history.complete(write, .ok(.done))
    history.complete(other, .ok(.value(nil)))
    let crash = history.beginWipe()
    history.endWipe(since: crash) { $0 == b("k") }
    let read = history.invoke(client: 1, key: b("k"), call: "GET")
    #expect(history.operations[b("k")]?.count == 3)
    #expect(LinearizabilityChecker().check(history) == .linearizable)
    history.complete(read, .ok(.value(nil)))
    #expect(LinearizabilityChecker().check(history) == .linearizable)
    let again = history.invoke(client: 1, key: b("k"), call: "GET")
    history.complete(again, .ok(.value(b("v"))))
    guard case .violation(let text) = LinearizabilityChecker().check(history) else {
      Issue.record("accepted")
      return
    }
    #expect(text.hasPrefix("key \"k\": no order of the operations explains this reply:"))
  }
}
