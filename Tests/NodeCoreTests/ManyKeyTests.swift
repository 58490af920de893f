// Calls on many keys: outcomes in request order, each its own, bounded in all.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct ManyKeyTests {
  /// A list whose only value is the key it was asked for.
  private static func echo(_ call: FakePort.Sent) -> Result<ByteBuffer, CallError> {
    call.request.withUnsafeBytes { bytes in
      guard let view = try? V1.ListRange(bytes) else { return .failure(.cancelled) }
      var reply = ByteBuffer()
      reply.append(V1.ListValues.Field.values, view.key)
      V1.ListValues(found: true, length: view.stop, firstIndex: view.start).write(into: &reply)
      return .success(reply)
    }
  }

  private static func request(_ keys: [String]) -> Ringstore_V1_MLRangeRequest {
    .with { request in
      request.ranges = keys.enumerated().map { index, key in
        .with { ($0.key, $0.start, $0.stop) = (.init(key.utf8), Int64(index), -1) }
      }
    }
  }

  @Test func rangesOfManyListsComeBackInRequestOrderWhateverTheOrderOfReplies()
    throws
  {
    var random = SplitMix64(seed: TestSeed.value)
    let port = FakePort(shards: 4)
    port.respond = Self.echo
    let keys = (0..<2_500).map { "list:\($0)" }
    let run = try OperationRun(.mLRange, Self.request(keys), on: port)
    while !port.waiting.isEmpty {
      #expect(port.waiting.count <= ManyKeyOperation.partsInProgressMax)
      port.run(Int.random(in: port.waiting.indices, using: &random))
    }
    let items = try run.reply(Ringstore_V1_MLRangeResponse.self).items
    #expect(items.map { $0.list.values.first.map { String(decoding: $0, as: UTF8.self) } } == keys)
    #expect(items.map(\.list.firstIndex) == (0..<2_500).map { Int64($0) })
    #expect(items.allSatisfy { $0.list.length == -1 && $0.list.found })
  }

  @Test(arguments: [(CommandID.mExists, CommandID.exists), (.mTouch, .touch)])
  func keysAreCountedOneByOne(_ call: CommandID, _ item: CommandID) throws {
    let port = FakePort(shards: 3)
    port.respond = { part in
      if part.part.tag == 3 { return .failure(.shardUnavailable("s1", "gone")) }
      var reply = ByteBuffer()
      V1.Status(ok: true, count: part.part.tag == 1 ? 0 : 1).write(into: &reply)
      return .success(reply)
    }
    let request = Ringstore_V1_ManyKeysRequest.with { request in
      request.keys = ["a", "b", "c", "d"].map { key in .with { $0.key = .init(key.utf8) } }
    }
    let run = try OperationRun(call, request, on: port)
    #expect(port.sent.allSatisfy { $0.part.method == UInt32(item.rawValue) && !$0.part.isWrite })
    port.runAll()
    let items = try run.reply(Ringstore_V1_ManyStatusesResponse.self).items
    #expect(items.map(\.status.count) == [1, 0, 1, 0])
    #expect(items.map(\.error.reason) == ["", "", "", "SHARD_UNAVAILABLE"])
  }

  @Test func anItemsFailureIsItsOwn() throws {
    let port = FakePort(shards: 3)
    port.respond = { call in
      call.part.tag == 2
        ? .failure(.wrongType(holds: "a string", wanted: "a list"))
        : Self.echo(call)
    }
    let run = try OperationRun(.mLRange, Self.request(["a", "", "b", "c"]), on: port)
    port.runAll()
    let items = try run.reply(Ringstore_V1_MLRangeResponse.self).items
    #expect(items.map(\.error.reason) == ["", "INVALID_KEY", "WRONG_TYPE", ""])
    #expect(port.sent.count == 3, "an item that can't be placed is not sent")
  }

  @Test(arguments: [CommandID.mGet, .mLRange])
  func outcomesBeyondTheMessageLimitFailTheCallAtOnceAndNothingMoreIsSent(
    _ call: CommandID
  ) throws {
    let port = FakePort(shards: 2)
    port.limits.maxMessageBytes = 10_000
    var value = ByteBuffer()
    value.writeRepeatingByte(0, count: 3_000)
    port.respond = { _ in .success(value) }
    // Key and ListRange agree in the field of the key.
    let run = try OperationRun(call, Self.request((0..<5_000).map { "k\($0)" }), on: port)
    while run.error == nil, !port.waiting.isEmpty { port.run(0) }
    #expect(run.error?.reason == .responseTooLarge)
    let advice = call == .mGet ? "use Pipeline." : "use LRangeStream."
    #expect(run.error?.message.contains(advice) == true)
    let sent = port.sent.count
    #expect(sent < ManyKeyOperation.partsInProgressMax + 10)
    port.runAll()
    #expect(port.sent.count == sent)
  }

  @Test func largeItemsTakeTheBulkLane() throws {
    let port = FakePort(shards: 1)
    let request = Ringstore_V1_MSetRequest.with {
      $0.items = [10, Limits().bulkBytesMin + 1].map { size in
        .with { ($0.key, $0.value) = (.init("k".utf8), .init(repeating: 0, count: size)) }
      }
    }
    _ = try OperationRun(.mSet, request, on: port)
    #expect(port.sent.map(\.part.lane) == [.calls, .bulk])
    #expect(port.sent.allSatisfy { $0.part.isWrite })
  }

  @Test func noItemsAreAnEmptyReplyTooManyAreRefusedUnknownFieldsOnlyOfWrites()
    throws
  {
    let port = FakePort(shards: 1)
    let none = try OperationRun(.mLRange, Ringstore_V1_MLRangeRequest(), on: port)
    #expect(try none.reply(Ringstore_V1_MLRangeResponse.self).items.isEmpty)
    let many = Self.request(Array(repeating: "k", count: Limits().maxItems + 1))
    #expect(try OperationRun.refusal(.mLRange, many)?.reason == .tooManyItems)
    for (call, reason) in [(CommandID.mLRange, ErrorReason?.none), (.mSet, .unknownField)] {
      do {
        _ = try OperationRun(call, [0x78, 1], on: FakePort(shards: 1))
        #expect(reason == nil)
      } catch { #expect((error as? CallError)?.reason == reason) }
    }
  }
}
