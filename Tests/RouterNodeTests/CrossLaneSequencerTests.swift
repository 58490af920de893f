// Which calls on a key wait for which others, across the two lanes of a link: examples, and random
// calls against a naive model.

import NodeCore
import Testing

@testable import RouterNode

@Suite("The order of a key's calls over two lanes")
struct CrossLaneSequencerTests {
  /// Calls begin, go and end; the naive model remembers every one of them.
  struct Model {
    struct Call {
      let id: UInt64
      let key: Int
      let isLarge: Bool
      var isUnderWay: Bool
    }

    static let keysPerSlot = 3
    var order = CrossLaneSequencer(slotCount: 16)
    /// Those that have not ended, in the order of submission.
    private(set) var calls: [Call] = []
    private var sequence: UInt64 = 0

    func slot(of key: Int) -> UInt16 { UInt16(key / Self.keysPerSlot) }

    @discardableResult
    mutating func begin(_ key: Int, isLarge: Bool) -> (id: UInt64, goes: Bool) {
      sequence += 1
      let bytes = [UInt8(key)]
      let goes = bytes.withUnsafeBytes {
        order.began(
          sequence, isLarge: isLarge, key: CrossLaneSequencer.Key(slot: slot(of: key), $0))
      }
      calls.append(Call(id: sequence, key: key, isLarge: isLarge, isUnderWay: false))
      if goes { go(sequence) }
      return (sequence, goes)
    }

    /// Ends a call, under way or held. Returns the calls that go because of it.
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
      for earlier in calls[..<place] where earlier.key == call.key {
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

  @Test func whoeverGivesUpHoldsNobodyUp() {
    var model = Model()
    let first = model.begin(1, isLarge: false).id
    let large = model.begin(0, isLarge: true).id
    let heir = model.begin(0, isLarge: true).id
    let small = model.begin(0, isLarge: false).id
    #expect(model.end(large) == [])
    #expect(model.end(first) == [heir])
    #expect(model.end(heir) == [small])
  }

  @Test func aLargeCallWithAFenceOfItsOwnInheritsNone() {
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

  @Test(arguments: [20, 100, 1_000])
  func randomCallsKeepTheirOrderAndAllGetTheirTurn(steps: Int) {
    TestSeed.run(count: 20_000 / steps) { random in
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
      #expect(model.calls.isEmpty, "some calls are held for ever")
      #expect(model.order.isEmpty && model.order.callCount == 0 && model.order.barrierCount == 0)
    }
  }
}
