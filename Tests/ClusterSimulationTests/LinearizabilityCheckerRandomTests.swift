// Random histories: good ones must pass, spoilt ones must be found out, and on small ones the
// search must agree with brute force.

import ClusterSimulation
import TestSeeds
import Testing

@Suite struct LinearizabilityCheckerRandomTests {
  let seed = TestSeed.value
  var note: Comment { "RINGSTORE_TEST_SEED=\(seed)" }

  /// Any call; values are unique where `number` is.
  private func anyCall(_ random: inout SeededRandom, _ number: Int) -> KeyCall {
    switch Int.random(in: 0..<19, using: &random) {
    case 0: "SET v\(number)"
    case 1: "DEL"
    case 2: "INCRBY \(number)"
    case 3, 4: "LPUSH h\(number) i\(number)"
    case 5, 6: "RPUSH t\(number)"
    case 7: "LPOP"
    case 8: "RPOP"
    case 9: "LLEN"
    case 10: "EXISTS"
    case 11: "TYPE"
    case 12, 13: "LRANGE -3 -1"
    case 14, 15: "APPEND \(number)"
    case 16: "STRLEN"
    default: "GET"
    }
  }

  @Test(arguments: [2, 6, 16])
  func whatAnAtomicObjectDidIsLinearizable(clients: Int) {
    var object = AtomicObject(random: SeededRandom(seed: seed), clients: clients)
    for _ in 0..<8 {
      let history = object.record(300, call: anyCall)
      #expect(isLinearizable(history), note)
      #expect(isLinearizable(history.shuffled(using: &object.random)), note)
    }
  }

  @Test func lostRepliesAndWipesStayExplainable() {
    var object = AtomicObject(
      random: SeededRandom(seed: seed), clients: 6, lossEvery: 40, wipeEvery: 100)
    for _ in 0..<8 {
      #expect(isLinearizable(object.record(120, call: anyCall)), note)
    }
  }

  @Test func aSpoiltReadOfARegisterIsFound() {
    var object = AtomicObject(random: SeededRandom(seed: seed), clients: 8)
    for _ in 0..<8 {
      var history = object.record(200) { random, number in
        Int.random(in: 0..<3, using: &random) == 0 ? "SET v\(number)" : "GET"
      }
      // A value overwritten for certain: its Set returned before another began that returned
      // before the read.
      let sets = history.filter { $0.call.isCall(of: .set) }
      let reads = history.indices.filter { history[$0].call == "GET" }
      guard let last = reads.last, let value = sets.first?.call.words[0] else { continue }
      history[last].outcome = .ok(.value(value))
      #expect(isViolation(history), note)
    }
  }

  @Test func aSpoiltCounterIsFound() {
    var object = AtomicObject(random: SeededRandom(seed: seed), clients: 8, lossEvery: 50)
    for _ in 0..<8 {
      var history = object.record(150) { _, _ in "INCRBY 1" }
      let known = history.indices.filter { history[$0].outcome != .unknown }
      let twins = known.shuffled(using: &object.random).prefix(2)
      guard let one = twins.first, let other = twins.last else { continue }
      // The reply of one given twice: an update was lost.
      history[one].outcome = history[other].outcome
      #expect(isViolation(history), note)
    }
  }

  @Test func aSpoiltQueueIsFound() {
    var object = AtomicObject(random: SeededRandom(seed: seed), clients: 5)
    for _ in 0..<8 {
      var history = object.record(80) { random, number in
        Bool.random(using: &random) ? "RPUSH \(number)" : "LPOP"
      }
      let pops = history.indices.filter { index in
        if case .ok(.value(.some)) = history[index].outcome { true } else { false }
      }
      guard let one = pops.randomElement(using: &object.random),
        let other = pops.filter({ $0 != one }).randomElement(using: &object.random)
      else { continue }
      history[one].outcome = history[other].outcome
      #expect(isViolation(history), note)
    }
  }

  @Test func smallHistoriesAgreeWithBruteForce() {
    var random = SeededRandom(seed: seed)
    var verdicts = [true: 0, false: 0]
    for _ in 0..<6000 {
      let history = smallHistory(&random)
      let expected = bruteForceIsLinearizable(history)
      verdicts[expected, default: 0] += 1
      #expect(isLinearizable(history) == expected, "RINGSTORE_TEST_SEED=\(seed): \(history)")
      #expect(isViolation(history) == !expected, note)
    }
    #expect(verdicts[true, default: 0] > 500 && verdicts[false, default: 0] > 500)
  }

  /// Up to six operations with replies that are often right, often wrong.
  private func smallHistory(_ random: inout SeededRandom) -> [HistoryOperation] {
    let calls: [KeyCall] = [
      "GET", "SET 1", "SET 2", "DEL", "INCRBY 1", "RPUSH 1", "LPOP",
      "EXISTS", .wipe, "LLEN", "APPEND 1", "STRLEN",
    ]
    var state = KeyState.absent
    var clock: UInt64 = 1
    return (0..<Int.random(in: 2...6, using: &random)).map { _ in
      let call = calls.randomElement(using: &random) ?? "GET"
      let reply = state.apply(call)
      var outcome = Outcome.ok(reply)
      switch Int.random(in: 0..<12, using: &random) {
      case 0: outcome = .unknown
      case 1: outcome = .pending
      case 2: outcome = .notExecuted
      case 3: outcome = .ok(.count(1))
      case 4: outcome = .ok(.value(b("1")))
      case 5: outcome = .ok(.integer(2))
      default: break
      }
      clock += UInt64.random(in: 0...2, using: &random)
      let end = clock + UInt64.random(in: 0...5, using: &random)
      return HistoryOperation(
        client: 0, call: call, invoked: clock, returned: outcome == .pending ? nil : end,
        outcome: outcome)
    }
  }
}
