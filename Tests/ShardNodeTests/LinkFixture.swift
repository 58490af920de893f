// A router by hand: its two connections to a shard's core, what it sends and what it gets.

import Commands
import Foundation
import GRPC
import LargeMemory
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import ShardNode

/// One connection of a router, and the shard's session of it.
final class Lane: LinkPort {
  private(set) var session: LinkSession?
  var isWritable = true
  private(set) var bytesReceived = 0
  /// Why the shard has closed the connection; nil as long as it has not.
  private(set) var closedBecause: String?
  /// The shard's clock that the router names; nil: what it is at the moment.
  var heardMillis: UInt64?
  /// What the shard has told of its clock.
  private(set) var clocks: [UInt64] = []
  private unowned let core: ShardCore
  /// Whether frames come in memory that the shard may keep.
  var givesBlocks = false
  /// After how many more frames it is full; nil: as `isWritable` says.
  var framesUntilFull: Int?
  /// What the shard has sent, since it was taken last.
  private var replies: [Ringstore_Internal_V1_LinkReply] = []
  private(set) var frameBytes: [Int] = []
  private(set) var hello: Ringstore_Internal_V1_HelloReply?
  private(set) var mapReplies: [Ringstore_Internal_V1_MapReply] = []
  private(set) var news: [Ringstore_Internal_V1_MapNews] = []

  init(_ lane: LinkLane, _ core: ShardCore) {
    self.core = core
    session = LinkSession(lane, core: core, port: self)
  }

  func send(_ frame: inout ByteBuffer) {
    frameBytes.append(frame.readableBytes)
    if let left = framesUntilFull {
      framesUntilFull = left - 1
      if left == 1 { isWritable = false }
    }
    do {
      let decoded = try Ringstore_Internal_V1_ShardFrame(
        serializedBytes: Array(frame.readableBytesView))
      if decoded.hasHello { hello = decoded.hello }
      if decoded.hasMapReply { mapReplies.append(decoded.mapReply) }
      if decoded.hasMapNews { news.append(decoded.mapNews) }
      replies += decoded.replies
      if decoded.clockMillis > 0 { clocks.append(decoded.clockMillis) }
    } catch {
      Issue.record("the shard has sent an undecodable frame")
    }
  }

  func take() -> [Ringstore_Internal_V1_LinkReply] {
    defer { replies = [] }
    return replies
  }

  /// Sends a frame.
  @discardableResult
  func give(_ fill: (inout RouterFrame) -> Void) -> LinkSession.AfterFrame {
    var frame = RouterFrame()
    fill(&frame)
    return give(frame)
  }

  func close(_ reason: String) {
    closedBecause = reason
  }

  func give(_ frame: RouterFrame) -> LinkSession.AfterFrame {
    var whole = ByteBuffer()
    whole.append(LinkV1.RouterFrame.Field.heardMillis, heardMillis ?? core.clockMillis)
    whole.writeImmutableBuffer(frame.bytes)
    bytesReceived += whole.readableBytes
    let owned = whole.withUnsafeReadableBytes { OwnedBytes(copying: $0) }
    return owned.withBytes { bytes in
      let after = session?.receive(bytes, in: givesBlocks ? owned.block : nil) ?? .proceed
      // What may not be kept is written over.
      if !givesBlocks {
        owned.block.base.initializeMemory(as: UInt8.self, repeating: 0xEE, count: bytes.count)
      }
      return after
    }
  }

  func greet(_ hello: Ringstore_Internal_V1_Hello) throws -> LinkSession.AfterFrame {
    let bytes: [UInt8] = try hello.serializedBytes()
    return give { frame in
      bytes.withUnsafeBytes { frame.bytes.append(LinkV1.RouterFrame.Field.hello, $0) }
    }
  }

  /// The router says that a map is in force.
  ///
  /// - Parameter versionsBelow: what shards have told it of their versions.
  func saysInForce(_ map: SlotMap, versionsBelow: UInt64 = 0) {
    give { frame in
      let offer = frame.bytes.beginLengthDelimited(LinkV1.RouterFrame.Field.offer)
      frame.bytes.write(LinkV1.MapOffer.Field.step, LinkV1.SlotMapStep.inForce)
      SlotMapMessage.write(
        map, LineageRecords(), as: LinkV1.MapOffer.Field.map, into: &frame.bytes)
      frame.bytes.write(LinkV1.MapOffer.Field.versionsBelow, versionsBelow)
      frame.bytes.endLengthDelimited(offer)
    }
  }

  /// The connection takes frames again.
  @discardableResult
  func drained() -> LinkSession.AfterFrame {
    isWritable = true
    return session?.writable() ?? .proceed
  }
}

/// An accepted link of two lanes.
struct Link {
  let calls: Lane
  let bulk: Lane

  init(calls: Lane, bulk: Lane) {
    self.calls = calls
    self.bulk = bulk
  }

  init(to shard: ShardFixture, router: String = "r/0", generation: UInt64 = 1) throws {
    calls = try Self.accepted(.calls, shard, router, generation)
    bulk = try Self.accepted(.bulk, shard, router, generation)
  }

  static func accepted(
    _ lane: LinkLane, _ shard: ShardFixture, _ router: String = "r/0", _ generation: UInt64 = 1
  ) throws -> Lane {
    let connection = Lane(lane, shard.core)
    _ = try connection.greet(try hello(router: router, generation: generation))
    let reply = try #require(connection.hello)
    #expect(reply.accepted, "\(reply.refusal)")
    connection.saysInForce(try Maps.of(["a"]))
    return connection
  }

  static func hello(
    cluster: String = "test", expected: String = "a", epoch: UInt64 = 1, router: String = "r/0",
    generation: UInt64 = 1
  ) throws -> Ringstore_Internal_V1_Hello {
    var hello = Ringstore_Internal_V1_Hello()
    hello.protocol = LinkProtocol.version
    hello.cluster = cluster
    hello.router = router
    hello.generation = generation
    hello.expectedShard = expected
    hello.map = try Maps.of(["a"], epoch: epoch).message
    return hello.sealed(by: .publicSeed)
  }

  /// Sends one call over the calls lane and takes the replies of that lane.
  func call(
    _ id: UInt64, _ command: CommandID, _ request: some Message
  ) -> [Ringstore_Internal_V1_LinkReply] {
    calls.give { $0.call(id, command, request) }
    return calls.take()
  }

  func grant(_ id: UInt64, _ bytes: Int) {
    bulk.give {
      $0.bytes.append(
        LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: id, bytes: UInt64(bytes)))
    }
  }

  /// Streams a list over the bulk lane.
  func streamList(_ id: UInt64, _ request: Ringstore_V1_ListRange, credit: Int) {
    bulk.give { frame in
      frame.part(id, .listStreamPart, request)
      frame.bytes.append(
        LinkV1.RouterFrame.Field.credits, LinkV1.Credit(id: id, bytes: UInt64(credit)))
    }
  }
}

struct RouterFrame {
  var bytes = ByteBuffer()

  mutating func call(
    _ id: UInt64, _ command: CommandID, _ request: some Message, deadlineMillis: UInt64 = 0
  ) {
    append(id, UInt32(command.rawValue), request, deadlineMillis: deadlineMillis)
  }

  mutating func part(
    _ id: UInt64, _ part: InternalMethod, _ request: some Message, deadlineMillis: UInt64 = 0
  ) {
    append(id, part.rawValue, request, deadlineMillis: deadlineMillis)
  }

  mutating func offer(_ offer: Ringstore_Internal_V1_MapOffer) {
    guard let encoded: [UInt8] = try? offer.serializedBytes() else { return }
    encoded.withUnsafeBytes { bytes.append(LinkV1.RouterFrame.Field.offer, $0) }
  }

  /// A slice that asks for every key.
  mutating func keysPart(_ id: UInt64, maxVisits: UInt32 = 100) {
    var part = LinkV1.KeysPartRequest()
    part.maxVisits = maxVisits
    part.maxBytes = 1 << 20
    var request = ByteBuffer()
    part.write(into: &request)
    request.withUnsafeReadableBytes {
      bytes.writeCall(.link, id: id, method: InternalMethod.keysPart.rawValue, request: $0)
    }
  }

  private mutating func append(
    _ id: UInt64, _ method: UInt32, _ request: some Message, deadlineMillis: UInt64 = 0
  ) {
    guard let encoded: [UInt8] = try? request.serializedBytes() else { return }
    encoded.withUnsafeBytes {
      bytes.writeCall(.link, id: id, method: method, request: $0, timeMillis: deadlineMillis)
    }
  }
}

extension Ringstore_Internal_V1_Hello {
  /// The Hello of a router that knows the seed.
  func sealed(by seed: HashSeed) -> Self {
    var sealed = self
    sealed.hashSeedCheck = Data(
      seed.check(
        cluster: cluster, router: router, generation: generation, shard: expectedShard))
    return sealed
  }
}

extension Ringstore_Internal_V1_LinkReply {
  /// The size that a notice names; nil if it is none.
  var noticedBytes: Int? {
    guard more, code == 0 else { return nil }
    return Array(response).withUnsafeBytes { bytes in
      (try? LinkV1.LargeReplyNotice(bytes)).map { Int($0.totalBytes) }
    }
  }
}

extension SlotMap {
  /// The map as SwiftProtobuf reads it.
  var message: Ringstore_V1_SlotMap {
    get throws {
      var buffer = ByteBuffer()
      SlotMapMessage.write(
        self, LineageRecords(), as: V1.DescribeResponse.Field.map, into: &buffer)
      return try Ringstore_V1_DescribeResponse(serializedBytes: Array(buffer.readableBytesView)).map
    }
  }
}

// Comparisons of much text, of which a failure does not print all.
extension Data {
  func holds(_ text: String) -> Bool { String(decoding: self, as: UTF8.self) == text }
}

extension [Data] {
  func hold(_ texts: some Collection<String>) -> Bool {
    count == texts.count && zip(self, texts).allSatisfy { $0.holds($1) }
  }
}

/// Text that tells its place.
func pattern(_ count: Int, _ salt: Int = 0) -> String {
  var text = ""
  text.reserveCapacity(count + 8)
  var number = 10_000_000 + salt
  while text.utf8.count < count {
    text += String(number)
    number += 1
  }
  return String(text.prefix(count))
}
