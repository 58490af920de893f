// Touch, Inspect, MSetIfAbsent and the draw of a key, at a shard.

import Commands
import Foundation
import NIOCore
import Placement
import ProtobufMessages
import RingstoreAPI
import Store
import Testing

@testable import ShardNode

@Suite struct KeyCommandTests {
  private let shard = ShardFixture()

  private func inspect(_ key: String) throws -> Ringstore_V1_InspectResponse {
    try shard.call(.inspect, Ringstore_V1_InspectRequest.with { $0.key = Data(key.utf8) })
  }

  // MARK: - Inspect and Touch

  @Test func anInspectionTellsWhatThereIsToKnow() throws {
    let version = try shard.set("text", "abc").version
    try shard.set("number", "-12")
    try shard.set("large", String(repeating: "x", count: 5_000))
    let _: Ringstore_V1_Status = try shard.call(.rPush, Requests.push("list", ["a", "b"]))
    let text = try inspect("text")
    #expect(text.found && text.type == .string && text.encoding == .inline && text.length == 3)
    #expect(text.version == version && text.shard == "a" && !text.hasTtlMillis)
    #expect(text.slot == Array("text".utf8).withUnsafeBytes { UInt32(Slots.slot(of: $0)) })
    #expect((24...80).contains(text.bytes))
    let number = try inspect("number")
    #expect(number.encoding == .integer && number.length == 3)
    let large = try inspect("large")
    #expect(large.encoding == .block && large.length == 5_000 && large.bytes > 5_000)
    let list = try inspect("list")
    #expect(list.type == .list && list.encoding == .chunks && list.length == 2)
    let none = try inspect("none")
    #expect(!none.found && none.shard == "a" && none.slot > 0 && none.bytes == 0)
  }

  @Test func anInspectionIsNoUseOfTheKeyAndATouchIs() throws {
    try shard.set("k", "v")
    shard.clock.advance(millis: 16_000)
    #expect(try inspect("k").idleMillis == 16_000)
    shard.clock.advance(millis: 16_000)
    #expect(try inspect("k").idleMillis == 32_000)
    let before = try inspect("k").version
    let touched: Ringstore_V1_Status = try shard.call(.touch, Requests.key("k"))
    #expect(touched.ok && touched.count == 1)
    let after = try inspect("k")
    #expect(after.idleMillis == 0 && after.version == before)
    let missing: Ringstore_V1_Status = try shard.call(.touch, Requests.key("none"))
    #expect(missing.ok && missing.count == 0 && shard.core.keyCount == 1)
  }

  @Test func anInspectionDeletesAKeyThatIsDue() throws {
    var set = Requests.set("k", "v")
    set.ttlMillis = 500
    let _: Ringstore_V1_Status = try shard.call(.set, set)
    #expect(try inspect("k").ttlMillis == 500)
    shard.clock.advance(millis: 2_000)
    #expect(try !inspect("k").found)
    #expect(shard.core.keyCount == 0)
  }

  @Test func anInspectionOfNoKeyIsRefused() {
    #expect(
      shard.failure(.inspect, Ringstore_V1_InspectRequest())?.reason == .invalidKey)
    let elsewhere = Ringstore_V1_InspectRequest.with { ($0.key, $0.database) = (Data([1]), 99) }
    #expect(shard.failure(.inspect, elsewhere)?.reason == .noSuchDatabase)
  }

  // MARK: - MSetIfAbsent

  private func items(_ items: (String, String)...) -> Ringstore_V1_MSetIfAbsentRequest {
    .with { request in
      (request.key, request.value) = (Data(items[0].0.utf8), Data(items[0].1.utf8))
      request.others = items.dropFirst().map { item in
        .with { ($0.key, $0.value) = (Data(item.0.utf8), Data(item.1.utf8)) }
      }
    }
  }

  private func setIfAbsent(
    _ request: Ringstore_V1_MSetIfAbsentRequest
  ) throws -> Ringstore_V1_Status {
    try shard.call(Command.mSetIfAbsent.id, request)
  }

  @Test func allKeysAreStoredOrNone() throws {
    let stored = try setIfAbsent(items(("{t}a", "1"), ("{t}b", "text"), ("{t}c", "")))
    #expect(stored.ok && stored.count == 3)
    #expect(try shard.get("{t}b").value == Data("text".utf8))
    #expect(try shard.get("{t}c").found && shard.get("{t}c").version == stored.version)
    let refused = try setIfAbsent(items(("{t}new", "1"), ("{t}b", "2"), ("{t}d", "3")))
    #expect(!refused.ok && refused.count == 0)
    #expect(try refused.version == shard.get("{t}b").version)
    #expect(try !shard.get("{t}new").found && !shard.get("{t}d").found)
    #expect(shard.core.keyCount == 3)
  }

  @Test func aKeyThatComesTwiceGetsItsLastValue() throws {
    #expect(try setIfAbsent(items(("k", "1"), ("k", "2"))).ok)
    #expect(try shard.get("k").value == Data("2".utf8))
  }

  @Test func whatCanNotBeIsRefusedAndChangesNothing() throws {
    let request = items(("{t}a", "1"), ("elsewhere", "2"))
    let error = try #require(shard.failure(Command.mSetIfAbsent.id, request))
    #expect(error.reason == .crossSlot && error.message.contains("{hash tag}"))
    let long = "{t}" + String(repeating: "x", count: 70_000)
    let tooLong = items(("{t}a", "1"), (long, "2"))
    #expect(shard.failure(Command.mSetIfAbsent.id, tooLong)?.reason == .invalidKey)
    let empty = items(("{t}a", "1"), ("", "2"))
    #expect(shard.failure(Command.mSetIfAbsent.id, empty)?.reason == .invalidKey)
    var many = items(("{t}a", "1"))
    many.others = Array(
      repeating: many.others.first ?? .with { $0.key = Data("{t}b".utf8) }, count: 10_000)
    #expect(shard.failure(Command.mSetIfAbsent.id, many)?.reason == .tooManyItems)
    #expect(shard.core.keyCount == 0)
  }

  /// A key that is due is none; it goes as an effect of its own, before the group.
  @Test func allThatIsStoredIsOneGroupOfEffects() throws {
    final class Groups: StoreObserver {
      var groups: [Int] = []
      private var effects = 0
      func willApply(_ effect: Effect) { effects += 1 }
      func groupEnded(slot: Int) {
        groups.append(effects)
        effects = 0
      }
    }
    var set = Requests.set("{t}b", "v")
    set.ttlMillis = 500
    let _: Ringstore_V1_Status = try shard.call(.set, set)
    shard.clock.advance(millis: 2_000)
    let observer = Groups()
    shard.core.store.observer = observer
    #expect(try setIfAbsent(items(("{t}a", "1"), ("{t}b", "2"), ("{t}c", "3"))).ok)
    #expect(observer.groups == [1, 3])
    #expect(try !setIfAbsent(items(("{t}a", "1"), ("{t}d", "2"))).ok)
    #expect(observer.groups == [1, 3])
  }

  @Test func largeValuesAreStoredWhole() throws {
    let large = String(repeating: "x", count: 1_500_000)
    #expect(try setIfAbsent(items(("{t}a", large), ("{t}b", large))).ok)
    let length: Ringstore_V1_Status = try shard.call(Command.strLen.id, Requests.key("{t}a"))
    #expect(length.count == 1_500_000)
  }

  // MARK: - A key by lot

  private func draw(seed: UInt64, database: UInt32 = 0) throws
    -> Ringstore_Internal_V1_RandomKeyPartReply
  {
    let request = Ringstore_Internal_V1_RandomKeyPartRequest.with {
      ($0.database, $0.seed) = (database, seed)
    }
    var response = ByteBuffer()
    try shard.execute(InternalMethod.randomKeyPart.rawValue, request, into: &response)
    return try .init(serializedBytes: Array(response.readableBytesView))
  }

  @Test func aKeyIsDrawnWithTheNumberOfKeys() throws {
    #expect(try draw(seed: 1) == .init())
    for number in 0..<20 { try shard.set("key:\(number)", "v") }
    try shard.set("other", "v", database: 3)
    var seen: Set<Data> = []
    for seed in 1...500 as ClosedRange<UInt64> {
      let reply = try draw(seed: seed)
      #expect(reply.found && reply.keys == 20 && !reply.again)
      seen.insert(reply.key)
    }
    #expect(seen.count == 20)
    #expect(try draw(seed: 1, database: 3).key == Data("other".utf8))
    #expect(try draw(seed: 5) == draw(seed: 5), "a seed says what is drawn")
  }

  @Test func keysThatAreDueAreDeletedAndOneIsRequestedAgain() throws {
    for number in 0..<200 {
      var set = Requests.set("due:\(number)", "v")
      set.ttlMillis = 500
      let _: Ringstore_V1_Status = try shard.call(.set, set)
    }
    shard.clock.advance(millis: 2_000)
    var rounds = 0
    var reply = try draw(seed: 1)
    while reply.again {
      rounds += 1
      #expect(!reply.found)
      reply = try draw(seed: UInt64(rounds))
    }
    #expect(reply == .init() && shard.core.keyCount == 0 && rounds > 5)
  }
}
