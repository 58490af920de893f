// Requested passes (Cluster.Snapshot): which one counts for a call, and the parts of calls that
// wait for progress.
//
//   part without a number --ask--> replied at once: the pass's number
//   part with one -------> waiting --the pass has ended, or some time has passed--> replied
//
// The guarantee for a caller: when its pass is complete, everything that was acknowledged before
// the call is synced to disk, under every policy: in the pass, or in the log that is read with it.
// A pass counts only when the log is synced up to the position of its last image, and that image is
// taken after the call, even if the pass began before it.
//
// Belongs to a shard's core; its event loop.

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI

final class ShardSnapshots {
  /// A part gets its reply after this time even if the pass has not ended, so that callers see the
  /// progress.
  static let newsNanos: UInt64 = 200_000_000

  private unowned let core: ShardCore
  private let passes: ShardPasses
  /// Numbers of passes: all up to this one have ended,
  private var ended: UInt64 = 0
  /// and this is the newest that is complete.
  private var complete: UInt64 = 0
  private var waits: [ObjectIdentifier: SnapshotWait] = [:]
  private var isLeaving = false

  init(of core: ShardCore, _ passes: ShardPasses) {
    self.core = core
    self.passes = passes
    passes.whenEnded = { [unowned self] number, isComplete in
      ended = number
      if isComplete { complete = number }
      for wait in waits.values where wait.pass <= number { wait.respond() }
    }
  }

  /// Replies to a part at once, if there is something to report. Returns whether it did.
  func part(
    _ request: LinkV1.SnapshotPartRequest, into response: inout ByteBuffer
  ) throws(CallError) -> Bool {
    if isLeaving { throw .snapshotEnding(core.id) }
    guard request.pass > 0 else {
      if let log = core.log, log.hasFailed || log.isDiskFull { throw log.refusal(core.id) }
      try tell(of: passes.ask(), into: &response)
      return true
    }
    guard request.pass <= ended else { return false }
    try tell(of: request.pass, into: &response)
    return true
  }

  /// Replies to a part when there is news of its pass.
  func wait(_ request: LinkV1.SnapshotPartRequest, _ reply: ReplyHandle) {
    let wait = SnapshotWait(request.pass, reply, self, core)
    waits[ObjectIdentifier(wait)] = wait
    reply.worked(by: wait)
  }

  fileprivate func left(_ wait: SnapshotWait) { waits[ObjectIdentifier(wait)] = nil }

  /// Ends the waiting parts: the shard is stopping.
  func leave() {
    isLeaving = true
    for wait in waits.values { wait.respond() }
  }

  /// - Throws: the error of a pass that ended without being complete.
  fileprivate func tell(of pass: UInt64, into response: inout ByteBuffer) throws(CallError) {
    // A later pass contains everything of an earlier one.
    let isComplete = pass <= complete
    if pass <= ended, !isComplete {
      throw .snapshotDiskFull(core.id)
    }
    if isLeaving, !isComplete { throw .snapshotEnding(core.id) }
    var progress = V1.ShardSnapshot(
      complete: isComplete, keys: Int64(core.store.totalKeyCount))
    if isComplete {
      progress.keysDone = progress.keys
      progress.bytes = Int64(passes.newestBytes)
      progress.elapsedMillis = Int64(passes.newestNanos / 1_000_000)
    } else if pass == passes.number, let made = passes.progress {
      progress.keysDone = Int64(made.keys)
      progress.bytes = Int64(made.bytes)
      progress.elapsedMillis = Int64(made.nanos / 1_000_000)
    }
    var shard = core.id
    shard.withUTF8 { id in
      progress.shard = UnsafeRawBufferPointer(id)
      LinkV1.SnapshotPartReply(pass: pass, progress: progress).write(into: &response)
    }
  }
}

/// A part of a call that waits for news of its pass. Owned by the handle of its reply.
private final class SnapshotWait: ReplyWork, DeadlineTaker {
  let pass: UInt64
  private weak var reply: ReplyHandle?
  private unowned let snapshots: ShardSnapshots
  private unowned let core: ShardCore
  private var due: DeadlineQueue<Deadline>.Handle?

  init(_ pass: UInt64, _ reply: ReplyHandle, _ snapshots: ShardSnapshots, _ core: ShardCore) {
    self.pass = pass
    self.reply = reply
    self.snapshots = snapshots
    self.core = core
    due = core.deadlines.insert(
      deadlineNanos: core.clock() &+ ShardSnapshots.newsNanos, Deadline(taker: self, id: 0))
  }

  func deadlinePassed(_ id: UInt64) {
    due = nil
    respond()
  }

  func respond() {
    let reply = self.reply
    leave()
    var response = ByteBuffer()
    do throws(CallError) {
      try snapshots.tell(of: pass, into: &response)
      reply?.respond(response, after: .none)
    } catch {
      core.counters.failed(error)
      reply?.fail(error)
    }
  }

  func wake() {}

  func drop() { leave() }

  private func leave() {
    reply = nil
    if let due { core.deadlines.remove(due) }
    due = nil
    snapshots.left(self)
  }
}

extension ShardCore {
  /// - Returns: the rest of the work: the reply comes later.
  func snapshotPart(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) -> Remainder? {
    guard let snapshots else { throw .inMemoryOnly(id) }
    let request = try LinkV1.SnapshotPartRequest(request: message)
    return try snapshots.part(request, into: &response) ? nil : .part
  }

  func awaitSnapshot(_ request: ByteBuffer, to reply: ReplyHandle) {
    let part = request.withUnsafeReadableBytes { try? LinkV1.SnapshotPartRequest($0) }
    guard let snapshots, let part else { return reply.fail(.inMemoryOnly(id)) }
    snapshots.wait(part, reply)
  }
}

extension CallError {
  fileprivate static func inMemoryOnly(_ shard: String) -> CallError {
    CallError(
      code: .failedPrecondition,
      message: "Shard \(shard) keeps its keys in memory only (it has no data_dir), so there is "
        + "nothing to write them to.", shard: shard)
  }

  fileprivate static func snapshotEnding(_ shard: String) -> CallError {
    CallError(
      .shardUnavailable, "Shard \(shard) has stopped its snapshot, because it is exiting.",
      shard: shard)
  }

  fileprivate static func snapshotDiskFull(_ shard: String) -> CallError {
    CallError(
      .diskFull, "Shard \(shard) has stopped its snapshot, because its disk is full.",
      shard: shard, retryDelayMillis: 1_000)
  }
}
