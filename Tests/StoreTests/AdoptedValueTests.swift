// Values that stay in the block they came in: when, what they count, and when they go.

import LargeMemory
import Testing

@testable import Store

@Suite struct AdoptedValueTests {
  let key = Bytes("k")
  let large = Bytes((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })

  /// Sets the value where it lies in a block; tells whether the store has kept the block.
  private func isAdopted(_ value: Bytes, before: Int, after: Int) throws -> Bool {
    let fixture = Fixture()
    weak var block: LargeBlock?
    do {
      let made = LargeBlock(capacity: before + value.count + after)
      block = made
      value.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: made.base + before, count: value.count)
          .copyMemory(from: $0)
      }
      let bytes = UnsafeRawBufferPointer(start: made.base + before, count: value.count)
      _ = fixture.at(key) { fixture.store.set(bytes, in: made, at: $0) }
      withExtendedLifetime(made) {}
    }
    let isKept = block != nil
    #expect(try fixture.get(key) == value)
    fixture.delete(key)
    #expect(block == nil)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
    return isKept
  }

  @Test func aValueThatIsMostOfItsBlockStaysThere() throws {
    #expect(try isAdopted(large, before: 30, after: 0))
    #expect(try isAdopted(large, before: 16_000, after: 17_000))
  }

  @Test func aValueThatIsNotIsCopied() throws {
    #expect(try !isAdopted(large, before: 17_000, after: 17_000))
    #expect(try !isAdopted(Bytes(repeating: 1, count: Entry.inlineMax), before: 0, after: 0))
    #expect(try !isAdopted(Bytes("1234567890"), before: 0, after: 0))
  }

  @Test func aValueFromElsewhereIsCopied() throws {
    let fixture = Fixture()
    let block = LargeBlock(capacity: large.count)
    _ = fixture.at(key) { place in
      large.withUnsafeBytes { fixture.store.set($0, in: block, at: place) }
    }
    #expect(try fixture.get(key) == large)
  }

  @Test func theWholeBlockCounts() {
    let fixture = Fixture()
    fixture.set(key, Bytes("small"))
    let before = fixture.store.usedBytes
    fixture.setInBlock(key, large, before: 1_000, after: 1_000)
    let used = fixture.store.usedBytes - before
    #expect(used >= large.count + 2_000)
    #expect(used < large.count + 2_000 + 200)
    #expect(fixture.store.memoryBytes - fixture.memoryAtStart >= large.count + 2_000)
    fixture.set(key, Bytes("small"))
    fixture.delete(key)
    #expect(fixture.store.usedBytes == fixture.usedAtStart)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test(arguments: 1...2)
  func readersKeepItAndItCountsAsPinned(count: Int) throws {
    let fixture = Fixture()
    fixture.setInBlock(key, large, before: 10)
    let used = fixture.store.usedBytes - fixture.usedAtStart
    var holds = try (0..<count).map { _ in try fixture.pinnedValue(key) }
    fixture.delete(key)
    for _ in 0..<count {
      #expect(holds.last??.bytes == large)
      #expect(fixture.store.pinnedBytes == fixture.store.usedBytes - fixture.usedAtStart)
      #expect(fixture.store.pinnedBytes <= used)
      #expect(fixture.store.pinnedBytes >= large.count)
      holds.removeLast()
    }
    #expect(fixture.store.pinnedBytes == 0)
    #expect(fixture.store.usedBytes == fixture.usedAtStart)
  }

  @Test func itGoesWithItsStoreOrWithTheLastReader() throws {
    var value: Store.PinnedBytes?
    weak var kept: LargeBlock?
    weak var other: LargeBlock?
    do {
      let fixture = Fixture()
      func set(_ key: Bytes) -> LargeBlock {
        let block = LargeBlock(capacity: large.count)
        large.withUnsafeBytes {
          block.base.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count)
        }
        let inBlock = UnsafeRawBufferPointer(start: block.base, count: large.count)
        _ = fixture.at(key) { fixture.store.set(inBlock, in: block, at: $0) }
        return block
      }
      kept = set(key)
      other = set(Bytes("other"))
      value = try fixture.pinnedValue(key)
      #expect(kept != nil && other != nil)
    }
    #expect(value?.bytes == large)
    #expect(kept != nil && other == nil)
    withExtendedLifetime(value) { value = nil }
    #expect(kept == nil)
  }

  @Test func aLargeCopyIsGivenBackInTheBackground() {
    let fixture = Fixture()
    BackgroundRelease.finish()
    fixture.set(key, Bytes(repeating: 1, count: 2 * LargeBlock.bytesMin))
    fixture.delete(key)
    // It counts as free from here on, whenever that is done.
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
    BackgroundRelease.finish()
  }
}
