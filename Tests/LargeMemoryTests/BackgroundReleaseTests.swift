// Memory given back in the background: all of it, and never more of it waiting than is allowed.

import Testing

@testable import LargeMemory

@Suite(.serialized)
struct BackgroundReleaseTests {
  @Test func whatIsHandedOverIsGivenBack() {
    BackgroundRelease.finish()
    for _ in 0..<20 {
      let block = LargeBlock(capacity: 3 * LargeBlock.bytesMin + 17)
      block.base.initializeMemory(as: UInt8.self, repeating: 7, count: block.capacity)
    }
    BackgroundRelease.finish()
    #expect(BackgroundRelease.waitingBytes == 0)
  }

  @Test func whatWaitsIsBounded() {
    BackgroundRelease.finish()
    var mostBytes = 0
    for _ in 0..<200 {
      let bytes = 16 << 20
      BackgroundRelease.free(.allocate(byteCount: bytes, alignment: 16), byteCount: bytes)
      mostBytes = max(mostBytes, BackgroundRelease.waitingBytes)
    }
    #expect(mostBytes <= BackgroundRelease.waitingBytesMax)
    let tooLarge = BackgroundRelease.waitingBytesMax + 1
    BackgroundRelease.finish()
    BackgroundRelease.free(.allocate(byteCount: tooLarge, alignment: 16), byteCount: tooLarge)
    #expect(BackgroundRelease.waitingBytes == 0, "more than may wait was taken over")
  }

  @Test func manyThreadsMayHandOver() async {
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<50 { _ = LargeBlock(capacity: LargeBlock.bytesMin) }
        }
      }
    }
    BackgroundRelease.finish()
    #expect(BackgroundRelease.waitingBytes == 0)
  }

  @Test(.timeLimit(.minutes(15))) func mallocGivesPagesBackOnceForManyWishes() {
    let before = BackgroundRelease.finishTrim()
    for _ in 0..<100 { BackgroundRelease.trimSoon() }
    #expect(BackgroundRelease.finishTrim() == before + 1)
  }
}
