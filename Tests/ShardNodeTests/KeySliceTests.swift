// Slices of calls that concern every shard: each bounded in keys, bytes and time, and all of them
// together complete.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Testing

@testable import ShardNode

@Suite struct KeySliceTests {
  /// A core whose clock advances by a step at each reading.
  final class Stepping {
    var nowNanos: UInt64 = 0
    var stepNanos: UInt64 = 0
    private(set) var looks = 0

    func look() -> UInt64 {
      looks += 1
      nowNanos += stepNanos
      return nowNanos
    }
  }

  struct Slice {
    var keys: [String] = []
    var positions: [UInt64] = []
    var next: ScanPosition = .start
    var done = false
  }

  let clock: Stepping
  let core: ShardCore

  init() {
    let clock = Stepping()
    self.clock = clock
    core = ShardCore(
      cluster: "test", id: "a", incarnation: 1, version: "1", limits: Limits(),
      clock: { clock.look() }, uptimeMillis: { 0 })
  }

  private func execute(_ method: UInt32, _ request: ByteBuffer) throws -> [UInt8] {
    var response = ByteBuffer()
    try request.withUnsafeReadableBytes {
      _ = try core.execute(method, $0, into: &response, core.context(nowNanos: 0))
    }
    return Array(response.readableBytesView)
  }

  private func fill(_ count: Int, database: UInt32 = 0) throws {
    for number in 0..<count {
      var request = ByteBuffer()
      let key = Array("key:\(number)".utf8)
      key.withUnsafeBytes {
        V1.KeyValue(key: $0, value: $0, database: database).write(into: &request)
      }
      _ = try execute(UInt32(CommandID.set.rawValue), request)
    }
  }

  private func push(_ key: String) throws {
    var request = ByteBuffer()
    Array(key.utf8).withUnsafeBytes { key in
      V1.ListInsert(key: key).write(into: &request)
      request.append(V1.ListInsert.Field.values, key)
    }
    _ = try execute(UInt32(CommandID.rPush.rawValue), request)
  }

  private func slice(_ request: LinkV1.KeysPartRequest) throws -> Slice {
    var message = ByteBuffer()
    request.write(into: &message)
    return try execute(InternalMethod.keysPart.rawValue, message).withUnsafeBytes { bytes in
      let view = try LinkV1.KeysPartReply(bytes)
      return Slice(
        keys: view.keys.map { String(decoding: $0, as: UTF8.self) },
        positions: Array(view.positions),
        next: ScanPosition(slot: view.nextSlot, cursor: view.nextCursor), done: view.done)
    }
  }

  private func request(
    visits: UInt32 = 1_000_000, _ change: (inout LinkV1.KeysPartRequest) -> Void = { _ in }
  ) -> LinkV1.KeysPartRequest {
    var request = LinkV1.KeysPartRequest()
    request.maxVisits = visits
    request.maxBytes = 1 << 20
    change(&request)
    return request
  }

  /// All slices, one behind the other.
  private func walk(_ first: LinkV1.KeysPartRequest) throws -> [Slice] {
    var slices: [Slice] = []
    var request = first
    repeat {
      let slice = try slice(request)
      #expect(slice.next > ScanPosition(slot: request.startSlot, cursor: request.cursor))
      slices.append(slice)
      (request.startSlot, request.cursor) = (slice.next.slot, slice.next.cursor)
    } while slices.last?.done == false && slices.count < 10_000
    return slices
  }

  @Test func aSliceEndsWithItsTimeAndTheNextContinues() throws {
    try fill(3_000)
    clock.stepNanos = ShardCore.sliceNanosMax / 4
    let slices = try walk(request())
    // Five looks at the clock, one for each sixteen keys, or sixteen times sixteen empty slots.
    #expect(slices.allSatisfy { $0.keys.count <= 6 * 16 })
    #expect(slices.count > 3_000 / (6 * 16))
    let keys = slices.flatMap(\.keys)
    #expect(keys.count == 3_000 && Set(keys).count == 3_000)
  }

  @Test func aSliceThatIsLateAtOnceStillContinues() throws {
    try fill(100)
    clock.stepNanos = ShardCore.sliceNanosMax * 100
    let keys = try walk(request()).flatMap(\.keys)
    #expect(keys.count == 100 && Set(keys).count == 100)
  }

  @Test func theClockIsLookedAtMoreOftenWhereMatchingCostsMore() throws {
    try fill(640)
    func looks(
      _ kind: (UnsafeRawBufferPointer) -> V1.Pattern.Kind, _ text: String
    ) throws -> Int {
      let before = clock.looks
      try Array(text.utf8).withUnsafeBytes { text in
        _ = try walk(request { $0.pattern = V1.Pattern(kind: kind(text)) })
      }
      return clock.looks - before
    }
    let cheap = try looks(V1.Pattern.Kind.prefix, "key:")
    let costly = try looks(V1.Pattern.Kind.regex, "(?:[ab]*a[ab]{600}|key)")
    #expect(costly > cheap + 40)
  }

  @Test(arguments: [UInt32(1), 7, 100, 5_000])
  func aSliceLooksAtNoMoreKeysThanRequested(visits: UInt32) throws {
    try fill(500)
    let slices = try walk(request(visits: visits))
    #expect(slices.allSatisfy { $0.keys.count <= visits })
    #expect(Set(slices.flatMap(\.keys)).count == 500)
  }

  @Test func aSliceHasNoMoreKeysAndBytesThanRequested() throws {
    try fill(500)
    let few = try walk(request { $0.maxKeys = 9 })
    #expect(few.dropLast().allSatisfy { $0.keys.count == 9 })
    #expect(Set(few.flatMap(\.keys)).count == 500)
    let short = try walk(request { $0.maxBytes = 40 })
    #expect(short.allSatisfy { $0.keys.reduce(0) { $0 + $1.utf8.count } < 40 + 8 })
    #expect(Set(short.flatMap(\.keys)).count == 500)
  }

  @Test func aSliceStopsAtTheEndOfItsWindow() throws {
    try fill(2_000)
    var found: [String] = []
    for start in stride(from: 0, to: Slots.count, by: 4_096) {
      let slice = try slice(
        request { ($0.startSlot, $0.endSlot) = (UInt32(start), UInt32(start + 4_096)) })
      #expect(slice.done && slice.next == ScanPosition(slot: UInt32(start + 4_096), cursor: 0))
      for key in slice.keys {
        let slot = Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) }
        #expect((start..<start + 4_096).contains(slot))
      }
      found += slice.keys
    }
    #expect(Set(found).count == 2_000 && found.count == 2_000)
  }

  @Test func positionsLeadToTheKeysBehindEach() throws {
    try fill(300)
    let whole = try slice(request { $0.wantsPositions = true })
    #expect(whole.positions.count == 300 && whole.done)
    for index in stride(from: 0, to: 300, by: 23) {
      let slot = Array(whole.keys[index].utf8).withUnsafeBytes { Slots.slot(of: $0) }
      let cursor = whole.positions[index]
      let rest = try slice(
        request {
          ($0.startSlot, $0.cursor) = (UInt32(cursor == 0 ? slot + 1 : slot), cursor)
        })
      #expect(rest.keys == Array(whole.keys[(index + 1)...]))
      #expect(rest.positions.isEmpty, "they weren't requested")
    }
  }

  @Test func aTypeNarrowsASlice() throws {
    try fill(50)
    for number in 0..<20 { try push("list:\(number)") }
    #expect(try slice(request { $0.type = .list }).keys.allSatisfy { $0.hasPrefix("list:") })
    #expect(try slice(request { $0.type = .list }).keys.count == 20)
    #expect(try slice(request { $0.type = .string }).keys.count == 50)
    #expect(try slice(request()).keys.count == 70)
  }

  @Test func aPatternThatCouldHoldTheLoopFailsTheSlice() throws {
    try fill(10)
    // Without a period, which the automaton could go round in.
    var state: UInt64 = 1
    let hostile = (0..<60_000).map { _ -> String in
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return state >> 63 == 0 ? "a" : "b"
    }
    try push(hostile.joined())
    let ordinary = try Array("[ab:]+$".utf8).withUnsafeBytes { text in
      try walk(request { $0.pattern = V1.Pattern(kind: .regex(text)) })
    }
    #expect(ordinary.flatMap(\.keys).map(\.count) == [60_000])
    #expect {
      try Array("[ab]*a[ab]{120}c".utf8).withUnsafeBytes { text in
        _ = try walk(request { $0.pattern = V1.Pattern(kind: .regex(text)) })
      }
    } throws: { error in
      let error = error as? CallError
      return error?.reason == .badPattern && error?.message.contains("60000 bytes") == true
    }
  }

  @Test func aResetEndsItsSlicesWithTheirTime() throws {
    try fill(3_000)
    try fill(10, database: 5)
    clock.stepNanos = ShardCore.sliceNanosMax / 4
    var part = LinkV1.ResetPartRequest()
    part.maxVisits = 1_000_000
    var slices = 0
    var removed: Int64 = 0
    while true {
      var message = ByteBuffer()
      part.write(into: &message)
      let reply = try execute(InternalMethod.resetPart.rawValue, message).withUnsafeBytes {
        try LinkV1.ResetPartReply($0)
      }
      slices += 1
      removed += reply.removed
      #expect(reply.nextSlot > part.startSlot || reply.done)
      part.startSlot = reply.nextSlot
      if reply.done { break }
    }
    #expect(removed == 3_000 && slices > 20)
    #expect(core.store.totalKeyCount == 10)
  }

  @Test func statsTellWhatTheShardHoldsAndDid() throws {
    try fill(12)
    let reply = try execute(InternalMethod.statsPart.rawValue, ByteBuffer()).withUnsafeBytes {
      try V1.StatsResponse($0).byName
    }
    #expect(reply["ringstore_keys"] == 12 && reply["ringstore_calls_set_total"] == 12)
    #expect((reply["ringstore_memory_bytes"] ?? 0) >= (reply["ringstore_used_bytes"] ?? 0))
    #expect(reply["ringstore_pinned_bytes"] == 0)
  }

  @Test func slicesAreNoCallsInDescribe() throws {
    let context = core.context(nowNanos: 0)
    try fill(3)
    _ = try slice(LinkV1.KeysPartRequest(maxVisits: 10))
    _ = try execute(InternalMethod.describePart.rawValue, ByteBuffer())
    core.failed(InternalMethod.keysPart.rawValue, .unknownField, context)
    core.meter.commit(nowNanos: 1)
    let node = core.describe()
    #expect(node.durations.reduce(0, +) == 3 && node.errors == 0)
    core.failed(UInt32(CommandID.get.rawValue), .unknownField, context)
    core.meter.commit(nowNanos: 1)
    #expect(core.describe().errors == 1)
  }

  @Test func aShutdownPartAsksTheNodeToEnd() throws {
    #expect(!core.shutdownRequested)
    #expect(try execute(InternalMethod.shutdownPart.rawValue, ByteBuffer()).isEmpty)
    #expect(core.shutdownRequested)
  }
}
