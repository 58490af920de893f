// A router with two shards, and the map that a third one makes of theirs.

import Foundation
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@testable import RouterNode

final class ChangeFixture {
  let router: RouterFixture
  let before: SlotMap
  let next: SlotMap

  var core: RouterCore<RecordingDriver> { router.core }
  var driver: RecordingDriver { router.driver }

  init(
    shards: [String] = ["a", "b"], newcomer: String = "c", accepts: Bool = true,
    linkLimits: LinkLimits = LinkLimits()
  ) throws {
    router = try RouterFixture(shards: shards, linkLimits: linkLimits)
    before = router.core.map
    next = try before.rebalanced(
      to: before.shards + [ShardDescription(id: newcomer, address: "h:9", weight: 1)])
    if accepts { try router.acceptAll() }
    if accepts { for shard in shards.indices { _ = try router.sent(to: shard) } }
  }

  // MARK: - Keys

  private func key(where isMeant: (Int) -> Bool) -> String {
    (0...).lazy.map { "key\($0)" }.first { key in
      isMeant(Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) })
    } ?? ""
  }

  /// A key whose slot goes to the newcomer, and its owner before.
  var movingKey: (key: String, from: Int) {
    let moved = before.slotsMoved(to: next)
    let key = key { moved.contains($0) }
    return (key, owner(of: key))
  }

  var stayingKey: (key: String, owner: Int) {
    let moved = before.slotsMoved(to: next)
    let key = key { !moved.contains($0) }
    return (key, owner(of: key))
  }

  private func owner(of key: String) -> Int {
    before.owner(ofSlot: Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) })
  }

  func request(_ key: String) -> Data {
    (try? Ringstore_V1_Key.with { $0.key = Data(key.utf8) }.serializedData()) ?? Data()
  }

  /// The id of a call that is in progress.
  func lastStaying(caller: Int) -> UInt64 {
    core.calls.ids { call in
      if case .caller(caller) = call.target { return true }
      return false
    }.first ?? 0
  }

  // MARK: - What shards say

  private func receive(_ frame: Ringstore_Internal_V1_ShardFrame, from shard: Int) {
    #expect(throws: Never.self) { try router.receive(frame, from: shard) }
  }

  /// News of a map that another router has brought.
  func push(_ map: SlotMap, inForce: Bool = false, from shard: Int) {
    receive(
      .with { frame in
        frame.mapNews.map = Self.message(map)
        frame.mapNews.inForce = inForce
      }, from: shard)
  }

  /// A shard has adopted the map that was offered last, or holds it still.
  ///
  /// - Parameters:
  ///   - inForce: whether it says that the map is in force.
  ///   - round: of the offer; nil: the latest.
  ///   - versionsBelow: what it tells of its versions.
  func adopted(
    _ shard: Int, inForce: Bool = false, round: UInt64? = nil, versionsBelow: UInt64 = 0
  ) throws {
    receive(
      .with { frame in
        frame.mapReply.step = .adopt
        frame.mapReply.accepted = true
        frame.mapReply.inForce = inForce
        frame.mapReply.round = round ?? core.agreement.round
        frame.mapReply.versionsBelow = versionsBelow
      }, from: shard)
  }

  /// A shard tells that the next map is in force, and again when it is asked for others.
  func comesIntoForce(from shard: Int) throws {
    push(next, inForce: true, from: shard)
    try adopted(shard, inForce: true)
  }

  /// The shards have adopted a map, and hold it still when they are asked again.
  func adoptAndHold(_ shards: [Int]) throws {
    for _ in 0..<2 { for shard in shards { try adopted(shard) } }
  }

  func checked(_ shard: Int, epoch: UInt64 = 2, refusal: String = "", detail: String = "") {
    receive(
      .with { frame in
        frame.mapReply.step = .check
        frame.mapReply.epoch = epoch
        frame.mapReply.accepted = refusal.isEmpty
        frame.mapReply.refusal = refusal
        frame.mapReply.detail = detail
      }, from: shard)
  }

  func refuses(
    _ shard: Int, epoch: UInt64, _ refusal: String, theirs: SlotMap, inForce: Bool = false
  ) throws {
    receive(
      .with { frame in
        frame.mapReply.step = .adopt
        frame.mapReply.epoch = epoch
        frame.mapReply.round = core.agreement.round
        frame.mapReply.refusal = refusal
        frame.mapReply.map = Self.message(theirs)
        frame.mapReply.inForce = inForce
      }, from: shard)
  }

  /// A Hello is on its way.
  func greet(_ shard: Int, _ lane: LinkLane = .calls) throws {
    core.linkConnected(
      shard: shard, lane: lane, generation: try #require(driver.connections[shard]))
    _ = try router.sent(to: shard, lane)
  }

  /// Refuses a Hello.
  func refuse(_ shard: Int, _ refusal: String, theirs: SlotMap, inForce: Bool) throws {
    try greet(shard)
    try replyRefused(shard, refusal, theirs: theirs, inForce: inForce)
  }

  func replyRefused(_ shard: Int, _ refusal: String, theirs: SlotMap, inForce: Bool) throws {
    receive(
      .with { frame in
        frame.hello.refusal = refusal
        frame.hello.map = Self.message(theirs)
        frame.hello.mapInForce = inForce
      }, from: shard)
  }

  func dial() { router.advance(millis: 1) }

  /// The newcomer is dialed, and adopts the pending map with its Hello.
  func acceptNewcomer(clockMillis: UInt64 = 1) throws {
    dial()
    try router.accept(2, inForce: false)
    if clockMillis > 1 {
      receive(.with { $0.clockMillis = clockMillis }, from: 2)
      _ = try router.sent(to: 2)
    }
  }

  /// A shard doesn't execute a call: its slot isn't the shard's.
  func returnCall(
    _ call: Ringstore_Internal_V1_LinkCall, from shard: Int, _ lane: LinkLane = .calls
  ) throws {
    var frame = Ringstore_Internal_V1_ShardFrame()
    frame.replies = [
      .with { reply in
        reply.id = call.id
        reply.code = 9
        reply.message = "not here"
        reply.more = true
        reply.response = (try? call.serializedData()) ?? Data()
        reply.details = Data(CallError.wrongShard(owner: "c").details())
      }
    ]
    try router.receive(frame, from: shard, lane)
  }

  func returnCall(_ id: UInt64, _ key: String, from shard: Int) throws {
    try returnCall(
      .with { call in
        call.id = id
        call.method = 2
        call.request = request(key)
      }, from: shard)
  }

  // MARK: - What the router sends

  private var frames: [Int: [Ringstore_Internal_V1_RouterFrame]] = [:]

  private func takeFrames(of shard: Int) throws {
    while let frame = core.takeFrame(shard: shard, lane: .calls) {
      frames[shard, default: []].append(
        try .init(serializedBytes: Array(frame.joined.readableBytesView)))
    }
  }

  /// The offers sent since the last look; each comes alone.
  func offers(to shard: Int) throws -> [Ringstore_Internal_V1_MapOffer] {
    try takeFrames(of: shard)
    let all = frames[shard] ?? []
    frames[shard] = all.filter { !$0.hasOffer }
    let offers = all.filter(\.hasOffer)
    #expect(offers.allSatisfy { $0.calls.isEmpty && !$0.hasHello })
    return offers.map(\.offer)
  }

  /// The calls sent since the last look.
  func callsSent(to shard: Int) throws -> [Ringstore_Internal_V1_LinkCall] {
    try takeFrames(of: shard)
    let all = frames[shard] ?? []
    frames[shard] = all.filter(\.hasOffer)
    return all.flatMap(\.calls)
  }

  private static func message(_ map: SlotMap) -> Ringstore_V1_SlotMap {
    .with { message in
      message.epoch = map.epoch
      message.shards = map.shards.map { shard in
        .with {
          $0.id = shard.id
          $0.address = shard.address
          $0.weight = shard.weight
        }
      }
      message.ranges = map.ranges.map { range in
        .with {
          $0.first = UInt32(range.first)
          $0.last = UInt32(range.last)
          $0.shard = UInt32(range.shard)
        }
      }
    }
  }
}
