// The links' connections: opened and closed for the core, with their events passed to it, and
// events for the operator logged.

import GRPC
import Logging
import NIOCore
import NodeCore
import RingstoreAPI
import TextForms

extension RouterService {
  func connect(shard: Int, address: String, generation: UInt64) {
    logger.debug(
      "connecting to a shard",
      metadata: ["shard": "\(core.shardID(ofLink: shard))", "address": "\(address)"])
    let link = RouterLinkStreams(shard: shard, generation: generation, service: self)
    while links.count <= shard { links.append(RouterLinkStreams()) }
    links[shard] = link
    guard let server = HostPort(address) else {
      core.linkLost(
        shard: shard, lane: .calls, generation: generation,
        reason: "the address \(address) is not of the form host:port")
      return
    }
    for lane in LinkLane.allCases {
      link[lane]?.connect(
        host: server.host, port: server.port, on: eventLoop, configuration: linkConfiguration,
        flusher: flusher)
    }
  }

  func disconnect(shard: Int, generation: UInt64) {
    guard links.indices.contains(shard) else { return }
    let link = links[shard]
    guard link.calls?.generation == generation else { return }
    links[shard] = RouterLinkStreams()
    link.drop()
  }

  func linkConnected(_ link: RouterLinkStream) {
    core.linkConnected(shard: link.shard, lane: link.lane, generation: link.generation)
    eventHandled()
  }

  func linkReceived(_ link: RouterLinkStream, _ frame: UnsafeRawBufferPointer) {
    core.linkReceived(
      shard: link.shard, lane: link.lane, generation: link.generation, frame: frame)
    front.flushPipelines()
    // A frame may end the link (refusal, drained, undecodable): the next attempt needs a wake-up.
    eventHandled()
  }

  func linkLost(_ link: RouterLinkStream, _ ending: LinkEnding) {
    core.linkLost(
      shard: link.shard, lane: link.lane, generation: link.generation, reason: ending.reason,
      refusal: ending.refusal)
    front.flushPipelines()
    eventHandled()
  }

  func note(_ event: RouterEvent) {
    switch event {
    case .linkReady(let shard, let incarnation):
      linkCounters.ready(shard)
      guard loops.linkReady(shard: shard, of: self) else { return }
      logger.info(
        "link ready", metadata: ["shard": "\(shard)", "incarnation": "\(incarnation)"])
    case .shardRestarted(let shard, let incarnation, let keepsData):
      guard loops.isNewRestart(shard: shard, incarnation: incarnation) else { return }
      linkCounters.shardRestarts += 1
      logger.warning(
        keepsData
          ? "shard restarted, with the data that it keeps on disk"
          : "shard restarted, what it held in memory is gone",
        metadata: ["shard": "\(shard)", "incarnation": "\(incarnation)"])
    case .linkRefused(let shard, let reason, let advice):
      loops.linkLost(shard: shard, of: self)
      guard loops.isNewTrouble(shard: shard, reason: reason, of: self) else { return }
      logger.log(
        // It ends without action.
        level: reason == LinkRefusal.loading.rawValue ? .notice : .error, "link refused",
        metadata: ["shard": "\(shard)", "reason": "\(reason)", "advice": "\(advice)"])
    case .linkLost(let shard, let reason):
      loops.linkLost(shard: shard, of: self)
      guard loops.isNewTrouble(shard: shard, reason: reason, of: self) else { return }
      var metadata: Logger.Metadata = ["shard": "\(shard)", "reason": "\(reason)"]
      if let advice = LinkTrouble.advice(reason) { metadata["advice"] = "\(advice)" }
      logger.warning("link lost", metadata: metadata)
    case .linkDraining(let shard):
      loops.linkLost(shard: shard, of: self)
      logger.info("shard is draining", metadata: ["shard": "\(shard)"])
    case .mapPending(let epoch):
      logger.debug("a newer slot map is spreading", metadata: ["epoch": "\(epoch)"])
    case .mapInForce(let epoch):
      guard loops.isNewMap(epoch: epoch) else { return }
      logger.notice("the slot map has changed", metadata: ["epoch": "\(epoch)"])
    case .shardDropped(let shard):
      loops.linkLost(shard: shard, of: self)
      logger.info("link ended, the shard was dropped", metadata: ["shard": "\(shard)"])
    case .lossAccepted(let shard):
      logger.notice(
        "the loss of a shard's data was accepted: its current data is used",
        metadata: ["shard": "\(shard)"])
    }
  }
}
