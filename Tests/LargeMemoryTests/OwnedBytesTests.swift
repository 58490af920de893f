// Parts of a block, and who holds it.

import Testing

@testable import LargeMemory

@Suite struct OwnedBytesTests {
  private func filled(_ count: Int) -> LargeBlock {
    let block = LargeBlock(capacity: count)
    for index in 0..<count {
      block.base.storeBytes(of: UInt8(index % 251), toByteOffset: index, as: UInt8.self)
    }
    return block
  }

  private func bytes(_ owned: OwnedBytes) -> [UInt8] { owned.withBytes { Array($0) } }

  @Test func aPartShowsItsBytesAndHoldsTheBlock() throws {
    weak var watched: LargeBlock?
    var part: OwnedBytes?
    do {
      let block = filled(1_000)
      watched = block
      let range = UnsafeRawBufferPointer(start: block.base + 10, count: 20)
      part = OwnedBytes(range, in: block)
    }
    #expect(watched != nil)
    let held = try #require(part)
    #expect(bytes(held) == Array(10..<30))
    #expect(bytes(held.dropFirst(5)) == Array(15..<30))
    #expect(held.dropFirst(20).count == 0)
    part = nil
    withExtendedLifetime(held) {}
  }

  @Test func bytesFromElsewhereAreRefused() {
    let block = filled(100)
    let inside = UnsafeRawBufferPointer(start: block.base, count: 100)
    #expect(OwnedBytes(inside, in: block)?.count == 100)
    #expect(OwnedBytes(inside, in: nil) == nil)
    #expect(OwnedBytes(inside, in: filled(100)) == nil)
    #expect(OwnedBytes(UnsafeRawBufferPointer(start: block.base + 1, count: 100), in: block) == nil)
    #expect(OwnedBytes(UnsafeRawBufferPointer(start: nil, count: 0), in: block) == nil)
  }

  @Test func aCopyIsItsOwn() {
    var source: [UInt8] = [1, 2, 3]
    let copy = source.withUnsafeBytes { OwnedBytes(copying: $0) }
    source = [4, 5, 6]
    #expect(bytes(copy) == [1, 2, 3])
    #expect(bytes(OwnedBytes(copying: UnsafeRawBufferPointer(start: nil, count: 0))) == [])
  }

  @Test func theBlockGoesWithTheLastPart() {
    weak var watched: LargeBlock?
    do {
      let owned = OwnedBytes(copying: UnsafeRawBufferPointer(start: filled(10).base, count: 0))
      watched = owned.block
      #expect(watched != nil)
      withExtendedLifetime(owned) {}
    }
    #expect(watched == nil)
  }
}
