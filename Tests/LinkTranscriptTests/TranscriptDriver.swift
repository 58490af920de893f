// A router's driver that writes the core's calls into the transcript. Callers are numbers.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import RouterNode

final class TranscriptDriver: RouterDriver {
  private unowned let world: LinkWorld
  private var replies: [Int: ByteBuffer] = [:]

  init(_ world: LinkWorld) {
    self.world = world
  }

  // MARK: - Replies

  func reply(to caller: Int, response: UnsafeRawBufferPointer) {
    tell(caller, ByteBuffer(bytes: response))
  }

  /// Replies are shown as the line protocol shows them.
  private func tell(_ caller: Int, _ response: ByteBuffer) {
    guard let call = world.calls[caller], let form = call.form.reply else { return }
    var line = ByteBuffer()
    call.request.withUnsafeReadableBytes { request in
      response.withUnsafeReadableBytes { response in
        guard let reply = try? call.command.reply(response) else { return }
        form.write(reply, of: (try? V1.Key(request))?.key ?? noBytes, into: &line)
      }
    }
    let text = String(buffer: line).split(separator: "\r\n").joined(separator: " ")
    world.say("call \(caller) gets \(world.shown(text))")
  }

  func fail(_ caller: Int, error: CallError) {
    let name = error.reason?.rawValue ?? error.code.name
    world.say("call \(caller) fails: \(name), \(world.shown(error.message))")
  }

  func takesPieces(_ caller: Int) -> Bool { true }

  func beginReply(_ caller: Int, byteCount: Int) {
    world.say("call \(caller) gets a reply of \(byteCount) bytes")
    replies[caller] = ByteBuffer()
  }

  func appendToReply(_ caller: Int, _ piece: UnsafeRawBufferPointer) {
    replies[caller]?.writeBytes(piece)
  }

  func finishReply(_ caller: Int) {
    tell(caller, replies[caller] ?? ByteBuffer())
  }

  func failReply(_ caller: Int, error: CallError) { fail(caller, error: error) }
  func emit(_ caller: Int, message: UnsafeRawBufferPointer) {}
  func finishStream(_ caller: Int) {}
  func takesMore(_ caller: Int, id: UInt64) -> Bool { true }
  func expect(_ byteCount: Int, for caller: Int) {}

  // MARK: - Links

  func connect(shard: Int, address: String, generation: UInt64) {
    world.say("router dials \(world.names[shard]), generation \(generation)")
    world.dial(shard, generation: generation)
  }

  func disconnect(shard: Int, generation: UInt64) {
    world.say("router closes its connections to \(world.names[shard])")
    world.giveUp(shard)
  }

  func linkHasOutput(shard: Int, lane: LinkLane) {}
  func pauseReading(for caller: Int) { world.say("call \(caller) waits, its client is not read") }
  func resumeReading(for caller: Int) { world.say("call \(caller) waits no longer") }

  // MARK: - The node

  var counters: [String: Int64] { [:] }
  func endNode() {}

  func note(_ event: RouterEvent) {
    switch event {
    case .linkReady(let shard, let incarnation):
      world.say("log: \(shard) is ready, incarnation \(incarnation)")
    case .shardRestarted(let shard, let incarnation, _):
      world.say("log: \(shard) has restarted, incarnation \(incarnation)")
    case .linkRefused(let shard, let reason, _): world.say("log: \(shard) refuses: \(reason)")
    case .linkLost(let shard, let reason): world.say("log: \(shard) is lost: \(reason)")
    case .linkDraining(let shard): world.say("log: \(shard) drains")
    default: world.say("log: \(event)")
    }
  }
}
