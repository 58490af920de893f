// What the core asks of the world: answers to clients, connections to shards, log lines.

import GRPC
import Logging
import NIOCore
import NodeCore
import RingstoreAPI

extension RouterService: RouterDriver {
  typealias Caller = RouterCaller

  // MARK: - Answers

  func answer(_ caller: RouterCaller, response: UnsafeRawBufferPointer) {
    switch caller {
    case .unary(let call):
      call.respond(message: response)
    case .pipelined(let pipeline, let id):
      pipeline.answer(id, response: response)
      gotReply(pipeline)
    }
  }

  func fail(_ caller: RouterCaller, error: CallError) {
    switch caller {
    case .unary(let call):
      call.fail(error.status)
    case .pipelined(let pipeline, let id):
      pipeline.fail(id, error: error)
      gotReply(pipeline)
    }
  }

  private func gotReply(_ pipeline: RouterPipeline) {
    guard pipelinesWithReplies.last !== pipeline else { return }
    pipelinesWithReplies.append(pipeline)
    flusher.markDirty(self)
  }

  func pauseReading(for caller: RouterCaller) {
    // A call that waits has a time limit; the end of the tick sees to the wake-up.
    flusher.markDirty(self)
    switch caller {
    case .unary(let call):
      let connection = call.connection
      let waiting = (callsWaiting[ObjectIdentifier(connection)] ?? 0) + 1
      callsWaiting[ObjectIdentifier(connection)] = waiting
      if waiting == 1 { connection.pauseReading() }
    case .pipelined(let pipeline, _):
      pipeline.hold()
    }
  }

  func resumeReading(for caller: RouterCaller) {
    switch caller {
    case .unary(let call):
      let connection = call.connection
      let waiting = (callsWaiting[ObjectIdentifier(connection)] ?? 1) - 1
      callsWaiting[ObjectIdentifier(connection)] = waiting == 0 ? nil : waiting
      if waiting == 0 { connection.resumeReading() }
    case .pipelined(let pipeline, _):
      pipeline.release()
    }
  }

  // MARK: - Links

  func connect(shard: Int, address: String, generation: UInt64) {
    let link = RouterLinkStream(shard: shard, generation: generation, service: self)
    links[shard] = link
    guard let (host, port) = HostAndPort.parse(address) else {
      linkLost(link, "the address \(address) is not of the form host:port")
      return
    }
    link.connect(
      host: host, port: port, on: eventLoop, configuration: linkConfiguration, flusher: flusher)
  }

  func disconnect(shard: Int, generation: UInt64) {
    guard let link = links[shard], link.generation == generation else { return }
    links[shard] = nil
    link.drop()
  }

  func linkHasOutput(shard: Int) {
    outputReady(shard: shard)
  }

  func linkConnected(_ link: RouterLinkStream) {
    core.linkConnected(shard: link.shard, generation: link.generation)
    eventHandled()
  }

  func linkReceived(_ link: RouterLinkStream, _ frame: UnsafeRawBufferPointer) {
    core.linkReceived(shard: link.shard, generation: link.generation, frame: frame)
    flushPipelines()
    // A frame may end the link (refusal, drained, undecodable): the next attempt needs a wake-up.
    eventHandled()
  }

  func linkLost(_ link: RouterLinkStream, _ reason: String) {
    if links[link.shard] === link { links[link.shard] = nil }
    core.linkLost(shard: link.shard, generation: link.generation, reason: reason)
    flushPipelines()
    eventHandled()
  }

  func note(_ event: RouterEvent) {
    switch event {
    case .linkReady(let shard, let incarnation):
      logger.info(
        "link ready", metadata: ["shard": "\(shard)", "incarnation": "\(incarnation)"])
    case .shardRestarted(let shard, let incarnation):
      logger.warning(
        "shard restarted, what it held in memory is gone",
        metadata: ["shard": "\(shard)", "incarnation": "\(incarnation)"])
    case .linkRefused(let shard, let reason):
      logger.error("link refused", metadata: ["shard": "\(shard)", "reason": "\(reason)"])
    case .linkLost(let shard, let reason):
      logger.warning("link lost", metadata: ["shard": "\(shard)", "reason": "\(reason)"])
    case .linkDraining(let shard):
      logger.info("shard is draining", metadata: ["shard": "\(shard)"])
    }
  }
}
