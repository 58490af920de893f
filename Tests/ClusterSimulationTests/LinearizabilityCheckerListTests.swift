// Lists in histories by hand, and the plain key that gives calls their meaning.

import ClusterSimulation
import Testing

private func push(_ from: UInt64, _ to: UInt64, _ values: String..., count: Int64)
  -> HistoryOperation
{
  op(from, to, "RPUSH \(values.joined(separator: " "))", .count(count))
}

private func pop(_ from: UInt64, _ to: UInt64, _ value: String?) -> HistoryOperation {
  op(from, to, "LPOP", .value(value.map(b)))
}

private func range(_ from: UInt64, _ to: UInt64, _ values: String...) -> HistoryOperation {
  op(from, to, "LRANGE 0 -1", .elements(values.map(b)))
}

@Suite struct LinearizabilityCheckerListTests {
  @Test func anElementIsPoppedOnce() {
    let start = [push(1, 2, "a", "b", count: 2)]
    #expect(isLinearizable(start + [pop(3, 6, "b"), pop(4, 5, "a")]))
    #expect(isViolation(start + [pop(3, 6, "a"), pop(4, 5, "a")]))
    #expect(isViolation(start + [pop(3, 4, "b"), pop(5, 6, "a")]))
    #expect(isViolation(start + [pop(3, 4, "a"), pop(5, 6, "b"), pop(7, 8, "b")]))
    #expect(isLinearizable(start + [pop(3, 4, "a"), pop(5, 6, "b"), pop(7, 8, nil)]))
  }

  @Test func aPopOfUnknownOutcomeTakesOneElementOrNone() {
    let start = [push(1, 2, "a", "b", "c", count: 3), unknown(3, 4, "LPOP")]
    #expect(isLinearizable(start + [pop(5, 6, "a")]))
    #expect(isLinearizable(start + [pop(5, 6, "b")]))
    #expect(isViolation(start + [pop(5, 6, "c")]))
  }

  @Test func pushesThatFollowEachOtherKeepTheirOrder() {
    let pushes = [push(1, 2, "a", count: 1), push(3, 4, "b", count: 2)]
    #expect(isLinearizable(pushes + [range(5, 6, "a", "b")]))
    #expect(isViolation(pushes + [range(5, 6, "b", "a")]))
  }

  @Test func concurrentPushesHaveTheOrderThatTheirCountsTell() {
    let pushes = [push(1, 4, "a", count: 1), push(2, 3, "b", count: 2)]
    #expect(isLinearizable(pushes + [range(5, 6, "a", "b")]))
    #expect(isViolation(pushes + [range(5, 6, "b", "a")]))
    #expect(isViolation([push(1, 4, "a", count: 1), push(2, 3, "b", count: 1)]))
  }

  @Test func oneCallsElementsStayTogether() {
    let pushes = [push(1, 4, "a", "b", count: 2), push(2, 3, "c", count: 3)]
    #expect(isLinearizable(pushes + [range(5, 6, "a", "b", "c")]))
    #expect(isViolation(pushes + [range(5, 6, "a", "c", "b")]))
  }

  @Test func aHeadPushLeavesItsLastValueFirst() {
    let head = op(1, 2, "LPUSH 1 2 3", .count(3))
    #expect(isLinearizable([head, range(3, 4, "3", "2", "1")]))
    #expect(isViolation([head, range(3, 4, "1", "2", "3")]))
    #expect(isLinearizable([head, op(3, 4, "RPOP", .value(b("1")))]))
    #expect(isViolation([head, op(3, 4, "RPOP", .value(b("3")))]))
  }

  @Test func aLengthBetweenStatesIsFound() {
    let pushes = [push(1, 2, "a", count: 1), push(3, 6, "b", "c", count: 3)]
    #expect(isLinearizable(pushes + [op(4, 5, "LLEN", .count(1))]))
    #expect(isLinearizable(pushes + [op(4, 5, "LLEN", .count(3))]))
    #expect(isViolation(pushes + [op(4, 5, "LLEN", .count(2))]))
  }

  @Test func aTornRangeIsFound() {
    let pushes = [push(1, 2, "a", count: 1), push(3, 6, "b", "c", count: 3)]
    #expect(isViolation(pushes + [range(4, 5, "a", "b")]))
  }

  @Test func aRefusalTellsOfTheState() {
    let wrong = KeyReply.refused(.wrongType)
    #expect(isLinearizable([push(1, 2, "a", count: 1), op(3, 4, "GET", wrong)]))
    #expect(isViolation([set(1, 2, "a"), op(3, 4, "GET", wrong)]))
    #expect(isLinearizable([set(1, 2, "a"), op(3, 4, "LPOP", wrong)]))
    #expect(isViolation([op(1, 2, "INCRBY 1", .refused(.notAnInteger))]))
    #expect(isLinearizable([set(1, 2, "01"), op(3, 4, "INCRBY 1", .refused(.notAnInteger))]))
  }

  @Test(
    arguments: [
      (0, -1, "abcde"), (0, 0, "a"), (-2, -1, "de"), (3, 100, "de"), (5, 9, ""), (3, 1, ""),
      (-100, 1, "ab"), (0, -6, ""), (.min, .max, "abcde"), (.max, .min, ""), (0, .min, ""),
    ] as [(Int64, Int64, String)])
  func rangesAreClampedAsInRedis(start: Int64, stop: Int64, expected: String) {
    var state = KeyState.list("abcde".map { b(String($0)) })
    #expect(state.apply("LRANGE \(start) \(stop)") == .elements(expected.map { b(String($0)) }))
  }

  @Test func thePlainKeyKeepsRedissRules() {
    var state = KeyState.absent
    #expect(state.apply("LPUSH") == .count(0))
    #expect(state == .absent)
    #expect(state.apply("LRANGE 0 -1") == .elements(nil))
    #expect(state.apply("INCRBY \(Int64.max)") == .integer(.max))
    #expect(state.apply("INCRBY 1") == .refused(.overflow))
    #expect(state.apply("RPUSH x") == .refused(.wrongType))
    #expect(state.apply("LLEN") == .refused(.wrongType))
    #expect(state.apply("DEL") == .count(1))
    #expect(state.apply("RPUSH x") == .count(1))
    #expect(state.apply("INCRBY 1") == .refused(.wrongType))
    #expect(state.apply("RPOP") == .value(b("x")))
    #expect(state == .absent)
    #expect(state.apply("RPOP") == .value(nil))
    for text in ["+1", " 1", "1 ", "01", "-0", "", "9223372036854775808", "1.0"] {
      state = .string(b(text))
      #expect(state.apply("INCRBY 1") == .refused(.notAnInteger))
    }
  }
}
