// What a session does with a router's Hello, and with the slot maps that it offers later.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension LinkSession {
  // MARK: - Hello

  func greet(_ bytes: UnsafeRawBufferPointer) -> AfterFrame {
    guard phase == .awaitingHello else {
      return .end(.invalidArgument, "only the first frame may carry Hello")
    }
    guard let hello = try? LinkV1.Hello(bytes),
      let (map, records) = try? SlotMapMessage.decode(hello.map ?? V1.SlotMap())
    else {
      return .end(.invalidArgument, "Hello is malformed, or its slot map is inconsistent")
    }
    let router = String(decoding: hello.router, as: UTF8.self)
    let verdict = core.greet(hello, map, records, lane: lane)
    switch verdict {
    case .accepted(let isNewMap):
      phase = .open(router: router, generation: hello.generation)
      peer = core.peers.join(self, router: router, generation: hello.generation, core: core)
      greeting = .accepted(router: router, newMap: isNewMap)
    case .refused(let refusal, _):
      greeting = .refused(router: router, reason: refusal.rawValue)
    }
    tellsOfState()
    writeHelloReply(verdict, parkedCalls: lane == .calls ? hello.parkedCalls : RepeatedNumbers())
    output.append(LinkV1.ShardFrame.Field.clockMillis, core.clockMillis)
    guard case .refused(let refusal, _) = verdict else { return .proceed }
    return .end(.failedPrecondition, refusal.rawValue)
  }

  private func writeHelloReply(_ verdict: HelloVerdict, parkedCalls: RepeatedNumbers) {
    typealias Field = LinkV1.HelloReply.Field
    let reply = output.beginLengthDelimited(LinkV1.ShardFrame.Field.hello, sizeHint: 64)
    output.write(Field.shard, core.id)
    output.write(Field.incarnation, core.incarnation)
    output.write(Field.mapEpoch, core.ownership.map?.epoch ?? 0)
    switch verdict {
    case .accepted:
      output.write(Field.accepted, true)
      for id in parkedCalls where peer?.ran.mayHaveRun(id) != false {
        output.append(Field.ranCalls, id)
      }
      core.lineages.write(as: Field.lineages, into: &output)
      output.write(Field.versionsBelow, core.versionsBelow)
    case .refused(let refusal, let detail):
      output.write(Field.refusal, refusal.rawValue)
      if [.staleMap, .mapConflict].contains(refusal), let ours = core.ownership.map {
        SlotMapMessage.write(ours, core.lineages, as: Field.map, into: &output)
      }
      output.write(Field.detail, detail)
    }
    core.lineage?.write(as: Field.lineage, into: &output)
    output.write(Field.mapInForce, core.ownership.map != nil && core.ownership.isInForce)
    output.write(Field.serving, !core.ownership.states.owned.isEmpty)
    output.write(Field.recovers, core.log != nil)
    output.endLengthDelimited(reply)
  }

  // MARK: - Offers

  /// Takes a map that a router offers over a link that is open.
  func take(offer bytes: UnsafeRawBufferPointer) -> AfterFrame {
    guard let peer, !peer.isSuperseded else { return .proceed }
    guard let offer = try? LinkV1.MapOffer(bytes),
      let (map, records) = try? SlotMapMessage.decode(offer.map ?? V1.SlotMap())
    else { return Self.badOffer }
    var refusal: MapRefusal?
    do throws(MapRefusal) {
      switch offer.step {
      case .check: try core.check(map, inForceEpoch: offer.inForceEpoch)
      case .adopt: try core.take(map, records, inForceEpoch: offer.inForceEpoch, from: peer)
      case .inForce:
        core.comeIntoForce(map, versionsBelow: offer.versionsBelow, from: peer)
        return .proceed
      default: return Self.badOffer
      }
    } catch {
      refusal = error
    }
    tellsOfState()
    writeMapReply(offer, map.epoch, refusal)
    return .proceed
  }

  private static let badOffer = AfterFrame.end(
    .invalidArgument, "the offer of a slot map is malformed, or the map is inconsistent")

  private func writeMapReply(_ offer: LinkV1.MapOffer, _ epoch: UInt64, _ refusal: MapRefusal?) {
    typealias Field = LinkV1.MapReply.Field
    let reply = output.beginLengthDelimited(LinkV1.ShardFrame.Field.mapReply, sizeHint: 64)
    output.write(Field.step, offer.step)
    output.write(Field.epoch, epoch)
    if let refusal {
      output.write(Field.refusal, refusal.reason.rawValue)
      output.write(Field.detail, refusal.detail)
      if let ours = core.ownership.map {
        SlotMapMessage.write(ours, core.lineages, as: Field.map, into: &output)
      }
    } else {
      output.write(Field.accepted, true)
      core.lineages.write(as: Field.lineages, into: &output)
      output.write(Field.versionsBelow, core.versionsBelow)
    }
    output.write(Field.inForce, core.ownership.isInForce)
    output.write(Field.round, offer.round)
    output.endLengthDelimited(reply)
  }
}

extension ByteBuffer {
  /// Appends the news of a map to a ShardFrame.
  mutating func writeNews(
    of map: SlotMap, _ lineages: LineageRecords, isInForce: Bool, versionsBelow: UInt64
  ) {
    typealias Field = LinkV1.MapNews.Field
    let news = beginLengthDelimited(LinkV1.ShardFrame.Field.mapNews, sizeHint: 64)
    SlotMapMessage.write(map, lineages, as: Field.map, into: &self)
    write(Field.inForce, isInForce)
    write(Field.versionsBelow, versionsBelow)
    endLengthDelimited(news)
  }
}
