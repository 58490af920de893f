// Random histories: good ones must pass, spoilt ones must be found out, and on small ones the
// search must agree with brute force.

import ClusterSimulation
import Testing

@Suite struct LinearizabilityCheckerRandomTests {
  let seed = CheckerGenerator.chosenSeed()
  var note: Comment { "RINGSTORE_TEST_SEED=\(seed)" }

  /// Any call; values are unique where `number` is.
  private func anyCall(_ random: inout CheckerGenerator, _ number: Int) -> KeyCall {
    switch Int.random(in: 0..<16, using: &random) {
    case 0: .set(b("v\(number)"))
    case 1: .delete
    case 2: .incrBy(Int64(number))
    case 3, 4: .pushHead([b("h\(number)"), b("i\(number)")])
    case 5, 6: .pushTail([b("t\(number)")])
    case 7: .popHead
    case 8: .popTail
    case 9: .length
    case 10: .exists
    case 11: .type
    case 12, 13: .range(-3, -1)
    default: .get
    }
  }

  @Test(arguments: [2, 6, 16])
  func whatAnAtomicObjectDidIsLinearizable(clients: Int) {
    var object = AtomicObject(random: CheckerGenerator(state: seed), clients: clients)
    for _ in 0..<8 {
      let history = object.record(300, call: anyCall)
      #expect(isLinearizable(history), note)
      #expect(isLinearizable(history.shuffled(using: &object.random)), note)
    }
  }

  @Test func lostAnswersAndWipesStayExplainable() {
    var object = AtomicObject(
      random: CheckerGenerator(state: seed), clients: 6, lossEvery: 40, wipeEvery: 100)
    for _ in 0..<8 {
      #expect(isLinearizable(object.record(120, call: anyCall)), note)
    }
  }

  @Test func aSpoiltReadOfARegisterIsFound() {
    var object = AtomicObject(random: CheckerGenerator(state: seed), clients: 8)
    for _ in 0..<8 {
      var history = object.record(200) { random, number in
        Int.random(in: 0..<3, using: &random) == 0 ? .set(b("v\(number)")) : .get
      }
      // A value overwritten for certain: its Set returned before another began that returned
      // before the read.
      let sets = history.filter { if case .set = $0.call { true } else { false } }
      let reads = history.indices.filter { history[$0].call == .get }
      guard let last = reads.last, let old = sets.first, case .set(let value) = old.call else {
        continue
      }
      history[last].outcome = .ok(.value(value))
      #expect(isViolation(history), note)
    }
  }

  @Test func aSpoiltCounterIsFound() {
    var object = AtomicObject(random: CheckerGenerator(state: seed), clients: 8, lossEvery: 50)
    for _ in 0..<8 {
      var history = object.record(150) { _, _ in .incrBy(1) }
      let answered = history.indices.filter { history[$0].outcome != .unknown }
      let twins = answered.shuffled(using: &object.random).prefix(2)
      guard let one = twins.first, let other = twins.last else { continue }
      // The answer of one given twice: an update was lost.
      history[one].outcome = history[other].outcome
      #expect(isViolation(history), note)
    }
  }

  @Test func aSpoiltQueueIsFound() {
    var object = AtomicObject(random: CheckerGenerator(state: seed), clients: 5)
    for _ in 0..<8 {
      var history = object.record(80) { random, number in
        Bool.random(using: &random) ? .pushTail([b("\(number)")]) : .popHead
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
    var random = CheckerGenerator(state: seed)
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

  /// Up to six operations with answers that are often right, often wrong.
  private func smallHistory(_ random: inout CheckerGenerator) -> [HistoryOperation] {
    let calls: [KeyCall] = [
      .get, .set(b("1")), .set(b("2")), .delete, .incrBy(1), .pushTail([b("1")]), .popHead,
      .exists, .wipe, .length,
    ]
    var state = KeyState.absent
    var clock: UInt64 = 1
    return (0..<Int.random(in: 2...6, using: &random)).map { _ in
      let call = calls.randomElement(using: &random) ?? .get
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
