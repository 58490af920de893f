// The sums of a connection and its calls' parts of them.

import TestSeeds
import Testing

@testable import GRPC

@Suite struct CallAccountsTests {
  @Test func theSumsAreThoseOfTheCalls() {
    var random = SeededRandom.forTest()
    var sums = CallBytesSums()
    var calls = [CallBytes](repeating: CallBytes(), count: 5)
    for _ in 0..<2_000 {
      let bytes = Int.random(in: 0...1_000, using: &random)
      let index = Int.random(in: calls.indices, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: sums.setUnfinished(bytes, of: &calls[index])
      case 1: sums.setRequest(bytes, of: &calls[index])
      case 2: sums.reserve(bytes, for: &calls[index])
      case 3: sums.release(bytes, of: &calls[index])
      case 4: sums.release(.max, of: &calls[index])
      default: sums.releaseAll(of: &calls[index])
      }
      #expect(sums.unfinished == calls.reduce(0) { $0 + $1.unfinished })
      #expect(sums.request == calls.reduce(0) { $0 + $1.request })
      #expect(sums.reserved == calls.reduce(0) { $0 + $1.reserved })
    }
    for index in calls.indices { sums.releaseAll(of: &calls[index]) }
    #expect(sums.unfinished == 0 && sums.request == 0 && sums.reserved == 0)
  }

  @Test func aCallReleasesNoMoreThanItHasReserved() {
    var sums = CallBytesSums()
    var (one, other) = (CallBytes(), CallBytes())
    sums.reserve(10, for: &one)
    sums.reserve(5, for: &other)
    sums.release(7, of: &other)
    #expect(other.reserved == 0 && sums.reserved == 10)
  }

  @Test func aChargeKnowsTheLeastOfItsPeriod() {
    var charge = MemoryCharge()
    #expect(charge.set(10) == 10)
    #expect(charge.heldThroughout == 0, "it had nothing at the period's beginning")
    charge.beginPeriod()
    #expect(charge.set(4) == -6 && charge.set(20) == 16)
    #expect(charge.bytes == 20 && charge.heldThroughout == 4)
  }

  @Test func aMessageInPiecesCountsItsPrefix() {
    var pieces = MessageInPieces()
    pieces.begin(byteCount: 7)
    pieces.append(3)
    #expect(pieces.missing == 4 && pieces.appended == MessageFrame.prefixBytes + 3)
  }
}
