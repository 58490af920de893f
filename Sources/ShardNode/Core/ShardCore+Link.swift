// What the core does for links and Pipelines: greeting routers, replying to the calls of a batch.

import Commands
import LargeMemory
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Store

/// What a shard makes of a router's Hello.
enum HelloVerdict {
  /// - Parameter isNewMap: the map is new to the shard.
  case accepted(isNewMap: Bool)
  /// - Parameter detail: the shard's keys that would move, if that is the reason.
  case refused(LinkRefusal, detail: String = "")
}

extension ShardCore {
  /// Takes or refuses a router's Hello.
  ///
  /// - Parameter records: the router's records of the shards' data.
  func greet(
    _ hello: LinkV1.Hello, _ map: SlotMap, _ records: LineageRecords, lane: LinkLane
  ) -> HelloVerdict {
    let cluster = String(decoding: hello.cluster, as: UTF8.self)
    let router = String(decoding: hello.router, as: UTF8.self)
    let expectedShard = String(decoding: hello.expectedShard, as: UTF8.self)
    do throws(LinkRefusal) {
      guard hello.protocol == LinkProtocol.version else { throw .protocolVersion }
      // First check the cluster and shard: a router of another cluster may legitimately have
      // another seed.
      try ownership.checkMeant(cluster: cluster, expectedShard: expectedShard)
      let check = limits.hashSeed.check(
        cluster: cluster, router: router, generation: hello.generation, shard: expectedShard)
      guard hello.hashSeedCheck.elementsEqual(check) else { throw .wrongHashSeed }
      guard state != .loading else { throw .loading }
      try checkLineage(records)
    } catch {
      return .refused(error, detail: error == .loading ? detail : "")
    }
    do throws(MapRefusal) {
      let isNewMap = try adopt(map, records, inForceEpoch: hello.inForceEpoch)
      guard peers.admits(lane, router: router, generation: hello.generation),
        generations.introduce(router, hello.generation)
      else { throw MapRefusal(.staleGeneration) }
      return .accepted(isNewMap: isNewMap)
    } catch {
      return .refused(error.reason, detail: error.detail)
    }
  }

  /// Adopts or refuses a router's map, and informs the other routers. Returns whether it is new.
  ///
  /// - Parameters:
  ///   - records: the router's records of the shards' data; merged with the shard's.
  ///   - inForceEpoch: of the newest map that is in force, according to the router.
  func adopt(
    _ map: SlotMap, _ records: LineageRecords, inForceEpoch: UInt64,
    from peer: RouterSession? = nil
  ) throws(MapRefusal) -> Bool {
    let isNew = try keyspace.ownership.adopt(
      map, inForceEpoch: inForceEpoch,
      isFree: { peers.areGone && store.totalKeyCount == 0 }, keyCount: keyCount(ofSlot:))
    if learn(records, of: map) || isNew {
      log?.record(.slotMap(SlotMapMessage.encode(map, lineages)))
      if isNew { endParkedElsewhere() }
      tellNews(of: map, but: peer)
    }
    return isNew
  }

  /// Whether the shard has state that isn't durable yet. It must not be revealed, and no slot is
  /// gained by it, since a map comes into force only when all shards have confirmed that they hold
  /// it.
  var isStatePending: Bool { log?.isStatePending ?? false }

  /// All state is durable: what tells of it goes to the routers. Their connections may be read
  /// again (`LinkSession.writable`).
  package func stateIsDurable() {
    if let coming {
      self.coming = nil
      takeOver(coming)
    }
    peers.stateIsDurable()
  }

  /// Whether a router's map could be adopted.
  func check(_ map: SlotMap, inForceEpoch: UInt64) throws(MapRefusal) {
    _ = try ownership.check(map, inForceEpoch: inForceEpoch, keyCount: keyCount(ofSlot:))
  }

  /// Keys of a slot in all databases.
  private func keyCount(ofSlot slot: Int) -> Int {
    (0..<Int(limits.databases)).reduce(0) { $0 + store.keyCount(database: $1, slot: slot) }
  }

  /// Executes a call of a batch and appends its reply to the batch of replies.
  ///
  /// - Parameters:
  ///   - block: the block that contains the call, if it may be kept.
  ///   - bytesMin: a longer response is not appended.
  /// - Returns: the rest of the work for a later reply; nil if the reply was appended. `latestMark`
  ///   has the mark that it must wait for.
  package func reply(
    to call: some BatchedCall, in block: LargeBlock? = nil, into output: inout ByteBuffer,
    largerThan bytesMin: Int = .max, _ context: CallContext
  ) -> Remainder? {
    latestMark = .none
    let carrier = Swift.type(of: call).carrier
    let method = call.methodNumber
    let reply = output.beginReply(carrier, id: call.id, sizeHint: 0, more: false)
    do throws(CallError) {
      if let field = call.unservedField { throw .unservedField(field) }
      // A router's frames are our own; a client's call may have an unknown condition.
      if call.hasUnknownField, carrier == .pipeline { throw .unknownField }
      guard carrier == .link || keyspace.routes[method] != nil else {
        throw .unbatchable(method: method)
      }
      if let later = try execute(
        method, call.request, in: block, into: &output, largerThan: bytesMin, context)
      {
        output.abandonReply(reply)
        return later
      }
      output.endReply(reply)
    } catch {
      failed(method, error, context)
      output.abandonReply(reply)
      if error.reason == .wrongShard, let call = call as? LinkV1.LinkCall {
        if let slot = Self.slot(of: call) { returnedSlots.insert(slot) }
        output.writeReturned(call, error)
      } else {
        output.writeReply(carrier, id: call.id, error: error)
      }
    }
    return nil
  }

  /// The slot of a call's key; nil if it has none.
  static func slot(of call: LinkV1.LinkCall) -> Int? {
    guard let key = try? CommandTable.keyFields(ofMethod: call.method)?.find(in: call.request).key
    else { return nil }
    return Slots.slot(of: key)
  }

  /// Executes a slice for a router, and appends the reply.
  func reply(
    to method: UInt32, id: UInt64, _ request: UnsafeRawBufferPointer,
    into frame: inout ByteBuffer, _ context: CallContext
  ) {
    let reply = frame.beginReply(.link, id: id)
    do throws(CallError) {
      try execute(method, request, into: &frame, context)
      frame.endReply(reply)
    } catch {
      failed(method, error, context)
      frame.abandonReply(reply)
      frame.writeReply(.link, id: id, error: error)
    }
  }
}
