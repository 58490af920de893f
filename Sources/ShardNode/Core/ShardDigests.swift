// Digest at a shard: a walk over all keys, in turns of the loop, whose reply comes at its end.
// Writes continue; a slot that changes while the walk is in it is reported as changed.
//
// Belongs to a shard's core; its event loop. The reply's handle owns the walk: it ends when its
// caller disconnects.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Store

final class DigestTask: CooperativeTask, ReplyWork {
  /// Walks at one time; a further one is refused.
  static let walksMax = 4
  /// Work of a turn, as the store counts it: nanoseconds, roughly.
  private static let workPerTurn = 400_000

  var isQueued = false
  private unowned let core: ShardCore
  private weak var reply: ReplyHandle?
  private let tellsSlots: Bool
  private var walk: DigestWalk
  private var slots: [SlotDigest] = []

  init(_ request: V1.DigestRequest, to reply: ReplyHandle, core: ShardCore) {
    self.core = core
    self.reply = reply
    tellsSlots = request.slots
    walk = DigestWalk(
      ofContents: !request.withVersions, nowMillis: core.wall.millis(atNanos: core.clock()))
    core.digestWalks += 1
    reply.worked(by: self)
  }

  deinit { core.digestWalks -= 1 }

  func runSlice() -> Turn {
    guard let reply else { return .unused }
    guard core.store.advance(&walk, work: Self.workPerTurn, { slots.append($0) }) else {
      return .more
    }
    var response = ByteBuffer()
    write(into: &response)
    // The data that it reveals must be committed, as for every reader.
    let mark = core.marks?.latest ?? .none
    if response.readableBytes > core.limits.maxMessageBytes {
      reply.fail(.responseTooLarge(streamingCall: nil))
    } else {
      reply.respond(response, after: mark)
    }
    return .used
  }

  private func write(into response: inout ByteBuffer) {
    var sum = V1.ShardDigest()
    for slot in slots {
      sum.keys += Int64(slot.keys)
      sum.expiringKeys += Int64(slot.expiringKeys)
      sum.digest &+= slot.value ?? 0
      sum.lastingDigest &+= slot.lasting ?? 0
      if slot.value == nil { sum.slotsChanged += 1 }
    }
    var shard = core.id
    shard.withUTF8 { id in
      sum.shard = UnsafeRawBufferPointer(id)
      sum.write(into: &response)
    }
    guard tellsSlots else { return }
    for slot in slots where slot.keys > 0 || slot.value == nil {
      response.append(
        V1.ShardDigest.Field.slots,
        V1.SlotDigest(
          slot: UInt32(slot.slot), keys: Int64(slot.keys), expiringKeys: Int64(slot.expiringKeys),
          digest: slot.value ?? 0, lastingDigest: slot.lasting ?? 0, changed: slot.value == nil))
    }
  }

  func wake() {}

  func drop() { reply = nil }
}

extension ShardCore {
  /// - Returns: the rest of the work.
  func digestPart(_ message: UnsafeRawBufferPointer) throws(CallError) -> Remainder? {
    _ = try V1.DigestRequest(request: message)
    guard digestWalks < DigestTask.walksMax else {
      throw .overloaded("Shard \(id) makes \(digestWalks) digests already; try later.")
    }
    return .part
  }

  func walkForDigest(_ request: ByteBuffer, to reply: ReplyHandle) {
    let task = request.withUnsafeReadableBytes { bytes in
      (try? V1.DigestRequest(bytes)).map { DigestTask($0, to: reply, core: self) }
    }
    guard let task else { return reply.fail(.unbatchable(method: 0)) }
    turns.enqueue(task)
  }
}
