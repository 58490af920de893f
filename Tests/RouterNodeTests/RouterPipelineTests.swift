// How far a Pipeline may run ahead of its replies, and what becomes of the rest of a long batch.

import LargeMemory
import NIOCore
import RingstoreAPI
import Testing

@testable import RouterNode

@Suite("How far a Pipeline runs ahead")
struct RouterPipelineTests {
  @Test func aPipelineBeginsWithFewCallsAndMayHaveManyOnceRepliesAreShort() {
    var window = PipelineWindow()
    for _ in 0..<PipelineWindow.callsFirst { window.placed() }
    #expect(!window.isOpen)
    for _ in 0..<2 * PipelineWindow.callsMax {
      window.replied(byteCount: 100)
      while window.isOpen { window.placed() }
    }
    #expect(window.underWay == PipelineWindow.callsMax)
  }

  @Test func longRepliesLetFewCallsBeUnanswered() {
    var window = PipelineWindow()
    var mostBytes = 0
    for round in 0..<20_000 {
      while window.isOpen { window.placed() }
      // Short ones first, so that many are under way when the long ones begin.
      let byteCount = round < 5_000 ? 10 : 60_000
      if round > 15_000 { mostBytes = max(mostBytes, window.underWay * byteCount) }
      window.replied(byteCount: byteCount)
    }
    #expect(mostBytes <= PipelineWindow.replyBytesMax + 60_000)
    #expect(window.limit >= 1)
  }

  private func batch(_ count: Int) -> ByteBuffer {
    var batch = ByteBuffer()
    for id in 1...count {
      batch.writeCall(
        .pipeline, id: UInt64(id), method: 2,
        request: UnsafeRawBufferPointer(start: nil, count: 0), timeMillis: 0)
    }
    return batch
  }

  @Test(arguments: [true, false])
  func theRestOfABatchIsPlacedLaterAndNoCallTwice(mayBeKept: Bool) throws {
    var placed: [UInt64] = []
    var limit = 3
    var backlog = CallBacklog()
    let owned = batch(10).withUnsafeReadableBytes { OwnedBytes(copying: $0) }
    try owned.withBytes { bytes in
      let taken = try CallBacklog.place(bytes, while: { placed.count < limit }) {
        placed.append($0.id)
      }
      backlog.add(
        UnsafeRawBufferPointer(rebasing: bytes[taken...]), in: mayBeKept ? owned.block : nil)
      // Another batch may come behind it.
      batch(2).withUnsafeReadableBytes { backlog.add($0, in: nil) }
    }
    #expect(placed == [1, 2, 3])
    #expect(!backlog.isEmpty && backlog.since != nil)
    while !backlog.isEmpty {
      limit += 2
      backlog.place(while: { placed.count < limit }) { call, block in
        #expect(placed.count >= 10 || (block === owned.block) == mayBeKept)
        placed.append(call.id)
      }
      #expect(placed.count == min(limit, 12))
    }
    #expect(placed == Array(1...10) + [1, 2])
    #expect(backlog.since == nil)
  }

  @Test func aBatchThatIsPlacedAsAWholeLeavesNothing() throws {
    var backlog = CallBacklog()
    var count = 0
    try batch(5).withUnsafeReadableBytes { bytes in
      let taken = try CallBacklog.place(bytes, while: { true }) { _ in count += 1 }
      backlog.add(UnsafeRawBufferPointer(rebasing: bytes[taken...]), in: nil)
    }
    #expect(count == 5 && backlog.isEmpty && backlog.since == nil)
  }
}
