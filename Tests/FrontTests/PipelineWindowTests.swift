// How far a Pipeline may run ahead of its replies, and what becomes of the rest of a long batch.

import LargeMemory
import NIOCore
import RingstoreAPI
import Testing

@testable import Front

@Suite struct PipelineWindowTests {
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

  @Test func longRepliesLetFewCallsBeInProgress() {
    var window = PipelineWindow()
    var mostBytes = 0
    for round in 0..<20_000 {
      while window.isOpen { window.placed() }
      // Short ones first, so that many are in progress when the long ones begin.
      let byteCount = round < 5_000 ? 10 : 60_000
      if round > 15_000 { mostBytes = max(mostBytes, window.underWay * byteCount) }
      window.replied(byteCount: byteCount)
    }
    #expect(mostBytes <= PipelineWindow.replyBytesMax + 60_000)
    #expect(window.limit >= 1)
  }

  @Test func callsThatWaitForValuesAreNotUnderWay() {
    var window = PipelineWindow()
    for _ in 0..<PipelineWindow.callsFirst { window.placed() }
    for _ in 0..<PipelineWindow.callsFirst where !window.parks() {
      Issue.record("so many may wait")
    }
    #expect(window.isOpen && window.underWay == 0)
    window.unparks()
    window.replied(byteCount: 10)
    #expect(window.underWay == 0 && window.parked == PipelineWindow.callsFirst - 1)
    while window.parked < PipelineWindow.parkedMax {
      window.placed()
      _ = window.parks()
    }
    window.placed()
    let isOneMore = window.parks()
    #expect(!isOneMore && window.underWay == 1)
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
  func theRestOfABatchIsPlacedLaterAndNoCallTwice(mayBeKept: Bool) {
    var placed: [UInt64] = []
    var limit = 3
    var backlog = CallBacklog()
    let owned = batch(10).withUnsafeReadableBytes { OwnedBytes(copying: $0) }
    owned.withBytes { bytes in
      backlog.add(bytes, in: mayBeKept ? owned.block : nil, since: 7)
      // Another batch may come behind it.
      batch(2).withUnsafeReadableBytes { backlog.add($0, in: nil, since: 8) }
    }
    #expect(!backlog.isEmpty && backlog.sinceNanos == 7)
    while !backlog.isEmpty {
      backlog.place { bytes, block throws(WireError) in
        #expect(placed.count >= 10 || (block === owned.block) == mayBeKept)
        var calls = RepeatedBytes.Iterator(in: bytes, V1.CallBatch.Field.calls)
        var taken = 0
        while placed.count < limit, let call = calls.next() {
          placed.append(try V1.Call(call).id)
          if let start = bytes.baseAddress, let end = call.baseAddress {
            taken = start.distance(to: end) + call.count
          }
        }
        return taken
      }
      #expect(placed.count == min(limit, 12))
      limit += 2
    }
    #expect(placed == Array(1...10) + [1, 2])
  }
}
