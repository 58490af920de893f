// Which calls on a key wait for which others, across the two lanes of a link: examples, and random
// calls against a naive model.

import NodeCore
import TestSeeds
import Testing

@testable import RouterNode

@Suite struct CrossLaneSequencerTests {
  /// Calls begin, go and end; the naive model remembers every one of them.
  struct Model {
    struct Call {
      let id: UInt64
      let key: Int
      var other: Int?
      let isLarge: Bool
      var isUnderWay: Bool

      func sharesKey(with call: Call) -> Bool {
        key == call.key || key == call.other || other == call.key
          || other != nil && other == call.other
      }
    }

    static let keysPerSlot = 3
    var order = CrossLaneSequencer(slotCount: 16)
    /// Those that have not ended, in the order of submission.
    private(set) var calls: [Call] = []
    private var sequence: UInt64 = 0

    func slot(of key: Int) -> UInt16 { UInt16(key / Self.keysPerSlot) }

    @discardableResult
    mutating func begin(
      _ key: Int, and other: Int? = nil, isLarge: Bool
    ) -> (id: UInt64, goes: Bool) {
      sequence += 1
      func name(_ key: Int) -> CrossLaneSequencer.Key {
        [UInt8(key)].withUnsafeBytes { CrossLaneSequencer.Key(slot: slot(of: key), $0) }
      }
      let goes = order.began(
        sequence, isLarge: isLarge, key: name(key), others: other.map { [name($0)] } ?? [])
      calls.append(
        Call(id: sequence, key: key, other: other, isLarge: isLarge, isUnderWay: false))
      if goes { go(sequence) }
      return (sequence, goes)
    }

    /// Ends a call, in progress or held. Returns the calls that go because of it.
    @discardableResult
    mutating func end(_ id: UInt64, takesReleased: Bool = true) -> [UInt64] {
      guard let place = calls.firstIndex(where: { $0.id == id }) else { return [] }
      let call = calls.remove(at: place)
      if call.isLarge {
        order.largeEnded(id)
      } else {
        order.smallEnded(id, slot: slot(of: call.key))
      }
      return takesReleased ? takeReleased() : []
    }

    /// A small call in progress leaves the order, since it waits for a value.
    mutating func park(_ id: UInt64) {
      end(id)
    }

    mutating func comeBack(_ id: UInt64, key: Int) {
      order.smallCameBack(id, slot: slot(of: key))
      let place = calls.firstIndex { $0.id > id } ?? calls.endIndex
      calls.insert(Call(id: id, key: key, isLarge: false, isUnderWay: true), at: place)
    }

    @discardableResult
    mutating func takeReleased() -> [UInt64] {
      var released: [UInt64] = []
      while let next = order.nextRelease() {
        released.append(next)
        // It may have given up in the meantime.
        if calls.contains(where: { $0.id == next }) { go(next) }
      }
      return released
    }

    private mutating func go(_ id: UInt64) {
      guard let place = calls.firstIndex(where: { $0.id == id }) else {
        Issue.record("call \(id) was released after it had ended")
        return
      }
      let call = calls[place]
      if call.isUnderWay { Issue.record("call \(id) goes twice") }
      for earlier in calls[..<place] where earlier.sharesKey(with: call) {
        if earlier.isUnderWay, earlier.isLarge == call.isLarge { continue }
        Issue.record("call \(id) overtakes call \(earlier.id) on its key")
      }
      calls[place].isUnderWay = true
    }

    /// No call is held without a reason.
    func checkReasons() {
      for (place, call) in calls.enumerated() where !call.isUnderWay {
        let earlier = calls[..<place]
        let hasReason = earlier.contains { other in
          other.key == call.key
            || call.isLarge && !other.isLarge && slot(of: other.key) == slot(of: call.key)
        }
        if !hasReason { Issue.record("call \(call.id) is held for nothing") }
      }
    }
  }

  @Test func smallCallsNeverWaitForEachOther() {
    var model = Model()
    for _ in 0..<3 { #expect(model.begin(0, isLarge: false).goes) }
    #expect(model.order.isEmpty)
  }

  @Test func aLargeCallWaitsForEarlierSmallCallsOfItsSlotOnly() {
    var model = Model()
    let earlier = model.begin(1, isLarge: false).id
    model.begin(3, isLarge: false)
    let large = model.begin(0, isLarge: true)
    #expect(!large.goes)
    let later = model.begin(2, isLarge: false)
    #expect(later.goes, "it names another key, and came later")
    #expect(model.end(earlier) == [large.id])
  }

  @Test func laterCallsOnItsKeyWaitBehindALargeCall() {
    var model = Model()
    let large = model.begin(0, isLarge: true)
    let small = model.begin(0, isLarge: false)
    let last = model.begin(0, isLarge: true)
    #expect(large.goes && !small.goes && !last.goes)
    #expect(model.end(large.id) == [small.id])
    #expect(model.end(small.id) == [last.id])
    #expect(model.end(last.id) == [])
    #expect(model.order.isEmpty)
  }

  @Test func largeCallsOnOneKeyFollowEachOtherOnTheirLane() {
    var model = Model()
    #expect(model.begin(0, isLarge: true).goes)
    #expect(model.begin(0, isLarge: true).goes)
  }

  @Test func aCancelledCallDelaysNoOther() {
    var model = Model()
    let first = model.begin(1, isLarge: false).id
    let large = model.begin(0, isLarge: true).id
    let successor = model.begin(0, isLarge: true).id
    let small = model.begin(0, isLarge: false).id
    #expect(model.end(large) == [])
    #expect(model.end(first) == [successor])
    #expect(model.end(successor) == [small])
  }

  @Test func aLargeCallWithABarrierOfItsOwnInheritsNone() {
    var model = Model()
    let first = model.begin(1, isLarge: false).id
    let large = model.begin(0, isLarge: true).id
    let between = model.begin(0, isLarge: false).id
    let other = model.begin(2, isLarge: false).id
    let last = model.begin(0, isLarge: true).id
    #expect(model.end(between) == [])
    #expect(model.end(large) == [])
    #expect(model.end(first) == [], "its own barrier stands")
    #expect(model.end(other) == [last])
    #expect(model.end(last) == [])
    #expect(model.order.isEmpty && model.order.barrierCount == 0)
  }

  /// A call that has waited for a value comes back before barriers that were made meanwhile.
  @Test func aReturnedSmallCallIsCountedByItsId() {
    var model = Model()
    let pop = model.begin(0, isLarge: false)
    model.park(pop.id)
    let small = model.begin(1, isLarge: false)
    let large = model.begin(1, isLarge: true)
    #expect(!large.goes)
    model.comeBack(pop.id, key: 0)
    #expect(model.end(pop.id).isEmpty, "the large call waits for the small one on its key")
    #expect(model.end(small.id) == [large.id])
  }

  /// Barriers that count no call can't count its end.
  @Test func aReturnedSmallCallBehindNoBarrierEnds() {
    var model = Model()
    let first = model.begin(0, isLarge: true)
    let held = model.begin(0, isLarge: false)
    let second = model.begin(1, isLarge: true)
    let pop = model.begin(2, isLarge: false)
    model.park(pop.id)
    let third = model.begin(2, isLarge: true)
    model.comeBack(pop.id, key: 2)
    model.end(pop.id)
    for id in [first, held, second, third].map(\.id) { model.end(id) }
    #expect(model.calls.isEmpty && model.order.isEmpty && model.order.barrierCount == 0)
  }

  @Test func aCallOnTwoKeysWaitsForTheLargeCallsOnBoth() {
    var model = Model()
    let large = model.begin(1, isLarge: true)
    let move = model.begin(0, and: 1, isLarge: false)
    let later = model.begin(0, isLarge: false)
    let other = model.begin(2, isLarge: false)
    #expect(large.goes && !move.goes && !later.goes && other.goes)
    #expect(model.end(large.id) == [move.id, later.id])
    #expect(model.end(move.id) == [] && model.end(later.id) == [])
    #expect(model.order.isEmpty)
    #expect(model.begin(1, isLarge: true).goes == false, "a small call of its slot is in progress")
  }

  @Test func aLargeCallBehindOneOnTwoKeysWaitsForTheSmallCallsOnBoth() {
    var model = Model()
    let small = model.begin(0, isLarge: false)
    model.end(model.begin(2, isLarge: false).id)
    let first = model.begin(1, isLarge: true)
    #expect(!first.goes)
    model.begin(0, and: 1, isLarge: false)
    let last = model.begin(0, isLarge: true)
    #expect(model.end(small.id).first == first.id)
    #expect(!last.goes)
    while let next = model.calls.first(where: \.isUnderWay) { model.end(next.id) }
    #expect(model.calls.isEmpty && model.order.isEmpty && model.order.barrierCount == 0)
  }

  @Test(arguments: [20, 100, 1_000])
  func randomCallsOnOneKeyAndOnTwoKeepTheirOrder(steps: Int) {
    TestSeed.run(count: 20_000 / steps) { seed in
      var random = SeededRandom(seed: seed)
      var model = Model()
      for _ in 0..<steps {
        let mayEnd = model.calls.count > Int.random(in: 0..<30, using: &random)
        if mayEnd, let call = model.calls.randomElement(using: &random) {
          if call.isUnderWay || Int.random(in: 0..<4, using: &random) == 0 {
            model.end(call.id, takesReleased: false)
          }
        } else {
          let key = Int.random(in: 0..<6, using: &random)
          let first = key / Model.keysPerSlot * Model.keysPerSlot
          let hasOther = Int.random(in: 0..<3, using: &random) == 0
          let other = first + Int.random(in: 0..<Model.keysPerSlot, using: &random)
          let isLarge = Int.random(in: 0..<4, using: &random) == 0
          model.begin(key, and: hasOther ? other : nil, isLarge: isLarge)
        }
        if Int.random(in: 0..<3, using: &random) == 0 { model.takeReleased() }
      }
      model.takeReleased()
      while let next = model.calls.first(where: \.isUnderWay) { model.end(next.id) }
      #expect(model.calls.isEmpty, "some calls are held forever")
      #expect(model.order.isEmpty && model.order.callCount == 0 && model.order.barrierCount == 0)
    }
  }

  @Test(arguments: [20, 100, 1_000])
  func randomCallsKeepTheirOrderAndAllGetTheirTurn(steps: Int) {
    TestSeed.run(count: 20_000 / steps) { seed in
      var random = SeededRandom(seed: seed)
      var model = Model()
      for _ in 0..<steps {
        let mayEnd = model.calls.count > Int.random(in: 0..<40, using: &random)
        if mayEnd, let call = model.calls.randomElement(using: &random) {
          // Held calls give up now and then; and calls may come before a released one is taken.
          if call.isUnderWay || Int.random(in: 0..<4, using: &random) == 0 {
            model.end(call.id, takesReleased: false)
          }
        } else {
          let isLarge = Int.random(in: 0..<4, using: &random) == 0
          model.begin(Int.random(in: 0..<7, using: &random), isLarge: isLarge)
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
          model.takeReleased()
          model.checkReasons()
        }
      }
      model.takeReleased()
      while let next = model.calls.first(where: \.isUnderWay) { model.end(next.id) }
      #expect(model.calls.isEmpty, "some calls are held forever")
      #expect(model.order.isEmpty && model.order.callCount == 0 && model.order.barrierCount == 0)
    }
  }
}
