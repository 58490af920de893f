// The links' side of the core: dialing, greeting, answers, loss.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import SwiftProtobuf

extension RouterCore {
  // MARK: - Events of the transport

  /// The stream to a shard is open. The core answers with its Hello.
  package func linkConnected(shard: Int, generation: UInt64) {
    guard isCurrent(shard, generation) else { return }
    links[shard].state.connected()
    links[shard].helloDueNanos = nowNanos + linkLimits.helloNanosMax
    let hello = helloFrame(shard)
    links[shard].append { $0.writeBytes(hello) }
    driver.linkHasOutput(shard: shard)
  }

  /// The connection could not be made, or is gone.
  package func linkLost(shard: Int, generation: UInt64, reason: String) {
    guard isCurrent(shard, generation) else { return }
    // Further attempts that fail like the one before are no news.
    if links[shard].state.phase == .ready || links[shard].state.detail != reason {
      driver.note(.linkLost(shard: shardIDs[shard], reason: reason))
    }
    lose(shard, reason)
    settle()
  }

  /// A ShardFrame has arrived; `frame` is valid during the call only.
  package func linkReceived(shard: Int, generation: UInt64, frame: UnsafeRawBufferPointer) {
    guard isCurrent(shard, generation) else { return }
    do throws(WireError) {
      var reader = ShardFrameReader(frame)
      while let part = try reader.next() {
        switch part {
        case .hello(let bytes): greeted(shard, generation, bytes)
        case .reply(let reply): answered(shard, reply)
        case .draining(let isDraining): if isDraining { drainingBegan(shard) }
        }
        // A refusal, or an answer that made us drop the link, ends the frame as well.
        guard isCurrent(shard, generation) else { break }
      }
      admitWaiting(shard)
      endDrained(shard, generation)
    } catch {
      driver.disconnect(shard: shard, generation: generation)
      driver.note(.linkLost(shard: shardIDs[shard], reason: "undecodable frame"))
      lose(shard, "the shard sent an undecodable frame")
    }
    settle()
  }

  /// The next frame for a shard, or nil where there is nothing to send.
  package func takeFrame(shard: Int) -> ByteBuffer? {
    links[shard].takeFrame()
  }

  /// Whether the first attempt to reach every shard has come to an end, well or not.
  package var haveLinksSettled: Bool {
    links.allSatisfy { link in
      switch link.state.phase {
      case .waiting(let until): until > 0
      case .connecting, .greeting: false
      case .ready, .draining: true
      }
    }
  }

  /// Why a shard takes no calls now; nil where it does.
  package func unreachableDetail(shard: Int) -> String? {
    links[shard].state.isReady ? nil : links[shard].state.detail
  }

  // MARK: - What the core does about them

  func connect(_ shard: Int) {
    links[shard].state.beginConnecting()
    driver.connect(
      shard: shard, address: links[shard].address, generation: links[shard].state.generation)
  }

  private func isCurrent(_ shard: Int, _ generation: UInt64) -> Bool {
    guard links.indices.contains(shard), links[shard].state.generation == generation else {
      return false
    }
    if case .waiting = links[shard].state.phase { return false }
    return true
  }

  private func helloFrame(_ shard: Int) -> [UInt8] {
    var frame = Ringstore_Internal_V1_RouterFrame()
    frame.hello.protocol = LinkProtocol.version
    frame.hello.cluster = identity.cluster
    frame.hello.router = identity.router
    frame.hello.generation = links[shard].state.generation
    frame.hello.expectedShard = shardIDs[shard]
    frame.hello.map = SlotMapMessage.encode(map)
    // Serialising our own message fails only where a required field is missing; proto3 has none.
    return (try? frame.serializedBytes()) ?? []
  }

  private func greeted(_ shard: Int, _ generation: UInt64, _ bytes: UnsafeRawBufferPointer) {
    guard links[shard].state.phase == .greeting,
      let reply = try? Ringstore_Internal_V1_HelloReply(serializedBytes: Array(bytes))
    else {
      refuse(shard, generation, "the shard's answer to Hello is malformed")
      return
    }
    guard reply.accepted else {
      refuse(shard, generation, reply.refusal)
      return
    }
    if links[shard].state.accepted(incarnation: reply.incarnation) {
      driver.note(.shardRestarted(shard: shardIDs[shard], incarnation: reply.incarnation))
    }
    driver.note(.linkReady(shard: shardIDs[shard], incarnation: reply.incarnation))
  }

  private func refuse(_ shard: Int, _ generation: UInt64, _ reason: String) {
    driver.disconnect(shard: shard, generation: generation)
    driver.note(.linkRefused(shard: shardIDs[shard], reason: reason))
    lose(shard, reason)
  }

  private func drainingBegan(_ shard: Int) {
    guard links[shard].state.phase == .ready else { return }
    links[shard].state.startedDraining()
    driver.note(.linkDraining(shard: shardIDs[shard]))
    while let waiter = links[shard].takeWaiting() {
      end(waiter.id, wasWaiting: true, error: unavailable(shard))
    }
  }

  /// A draining shard that has answered everything waits for nothing but the end of the link.
  private func endDrained(_ shard: Int, _ generation: UInt64) {
    guard links[shard].state.phase == .draining, links[shard].callsInFlight == 0 else { return }
    driver.disconnect(shard: shard, generation: generation)
    lose(shard, links[shard].state.detail)
  }

  private func answered(_ shard: Int, _ reply: ReplyView) {
    guard !reply.more, let call = calls.removeSent(reply.id, shard: shard) else { return }
    links[shard].callEnded(bytes: call.bytes)
    if let timer = call.timer { _ = timers.remove(timer) }
    switch call.target {
    case .abandoned:
      break
    case .caller(let caller):
      if let error = reply.error {
        driver.fail(caller, error: error)
      } else {
        driver.answer(caller, response: reply.response)
      }
    case .part(let operation, let tag):
      guard operations[operation.handle] != nil else { return }
      if let error = reply.error {
        operation.part(tag, failed: error, on: self)
      } else {
        operation.part(tag, answered: reply.response, on: self)
      }
    }
  }

  /// The connection is gone: ends all that depended on it, by the retry rule of SAFETY.
  private func lose(_ shard: Int, _ reason: String) {
    let sent = links[shard].sent
    links[shard].clear()
    links[shard].state.lost(reason, nowNanos: nowNanos)
    for id in calls.ids(ofShard: shard) {
      guard let call = calls[id] else { continue }
      let wasSent = call.order.map { $0 <= sent } ?? false
      let error: CallError =
        wasSent && call.isWrite ? .outcomeUnknown(shardIDs[shard]) : unavailable(shard)
      end(id, wasWaiting: call.order == nil, error: error)
    }
  }

  func unavailable(_ shard: Int) -> CallError {
    .shardUnavailable(shardIDs[shard], links[shard].state.detail)
  }

  /// Drops a connection whose shard doesn't answer Hello.
  func dropUngreeted(_ shard: Int, nowNanos: UInt64) {
    guard links[shard].state.phase == .greeting, links[shard].helloDueNanos <= nowNanos else {
      return
    }
    driver.disconnect(shard: shard, generation: links[shard].state.generation)
    lose(shard, "the shard did not answer Hello in time")
  }
}
