// Backups at a shard: a copy of its store at one moment (StoreCopy), read in pieces. Each piece is
// a slice that the router requests when its caller accepts more.
//
//   a part without a number --> a session --parts with its number--> pieces --the last one--> over
//                                   '--no part for a minute, too much changed--> abandoned
//
// Unlike other fan-outs this one keeps state between slices, because all of it must be from one
// moment. During a session the store sends its effects to the session and to the log (`EffectTee`);
// without one, backups cost nothing.
//
// Belongs to a shard's core; its event loop.

import GRPC
import Log
import NIOCore
import NodeCore
import RingstoreAPI
import Store

final class BackupSessions {
  /// Backups at one time; a further one is refused.
  static let sessionsMax = 2
  /// A session without requests for this long is abandoned.
  static let idleNanos: UInt64 = 60_000_000_000
  /// A session without requests for this long gives way to a new one: its caller may have gone, and
  /// a shard gets no event for that.
  static let stallNanos: UInt64 = 5_000_000_000

  private let store: Store
  private var sessions: [UInt64: BackupSession] = [:]
  private var lastID: UInt64 = 0
  /// Bytes of a piece, if messages may be that long.
  fileprivate var pieceBytes = 256 << 10
  private var tee: EffectTee?
  /// When one was last read to its end, in milliseconds since 1970; 0: none was.
  fileprivate(set) var completedMillis: Int64 = 0

  init(of store: Store) {
    self.store = store
  }

  var count: Int { sessions.count }

  fileprivate func session(_ id: UInt64, _ core: ShardCore) throws(CallError) -> BackupSession {
    if id > 0 {
      guard let session = sessions[id] else { throw .backupGone(core.id) }
      return session
    }
    if sessions.count >= Self.sessionsMax {
      let stalled = sessions.values.min { $0.requestedNanos < $1.requestedNanos }
      if let stalled, core.clock() &- stalled.requestedNanos >= Self.stallNanos { stalled.leave() }
    }
    guard sessions.count < Self.sessionsMax else {
      throw .overloaded(
        "Shard \(core.id) is already making \(sessions.count) backups; try "
          + "later.")
    }
    // Not from 1: after a restart another backup would get the number of one that is still read.
    if lastID == 0 { lastID = core.random.next() >> 1 }
    lastID += 1
    let session = BackupSession(lastID, core)
    sessions[lastID] = session
    observe()
    return session
  }

  fileprivate func end(_ session: BackupSession) {
    sessions[session.id] = nil
    observe()
  }

  /// Connects the store's observer to the sessions that need it.
  fileprivate func observe() {
    let copies = sessions.values.map(\.copy).filter { !$0.isTaken }
    if let tee {
      tee.copies = copies
      if copies.isEmpty {
        store.observer = tee.first
        self.tee = nil
      }
    } else if !copies.isEmpty {
      let tee = EffectTee(store.observer)
      tee.copies = copies
      store.observer = tee
      self.tee = tee
    }
  }
}

/// Tells effects to the observer that there was, and to copies.
private final class EffectTee: StoreObserver {
  let first: (any StoreObserver)?
  var copies: [StoreCopy] = []

  init(_ first: (any StoreObserver)?) {
    self.first = first
  }

  func willApply(_ effect: Effect) {
    first?.willApply(effect)
    for copy in copies { copy.willApply(effect) }
  }

  func groupEnded(slot: Int) {
    first?.groupEnded(slot: slot)
    for copy in copies { copy.groupEnded(slot: slot) }
  }
}

private final class BackupSession: DeadlineTaker {
  let id: UInt64
  let copy: StoreCopy
  private unowned let core: ShardCore
  private var due: DeadlineQueue<Deadline>.Handle?
  private var takenMillis: Int64 = 0
  /// When the latest piece was requested.
  private(set) var requestedNanos: UInt64 = 0

  init(_ id: UInt64, _ core: ShardCore) {
    self.id = id
    self.core = core
    let lineage = Lineage(high: core.random.next(), low: core.random.next())
    copy = StoreCopy(
      of: core.store,
      header: FileHeader(
        kind: .pass, lineage: lineage, directory: 0, cluster: core.ownership.cluster,
        shard: core.id, seedDigest: core.limits.hashSeed.ofLog, life: core.random.next(),
        position: 0, committed: 0))
  }

  func next() throws(CallError) -> (piece: V1.BackupPiece, data: ByteBuffer) {
    keepAlive()
    if copy.hasOverflowed {
      leave()
      throw .backupTooSlow(core.id)
    }
    let endNanos = core.clock() &+ ShardCore.sliceNanosMax
    let bytesMax = min(core.backups.pieceBytes, core.limits.maxMessageBytes / 2)
    var data = ByteBuffer()
    let wasTaken = copy.isTaken
    let file = copy.next(bytes: bytesMax, hasTime: { core.clock() < endNanos }) {
      data.writeBytes($0)
    }
    if copy.isTaken, !wasTaken {
      takenMillis = core.wall.millis(atNanos: core.clock())
      core.backups.observe()
    }
    var piece = V1.BackupPiece(
      complete: copy.isDone, keysDone: Int64(copy.keysDone),
      keys: Int64(core.store.totalKeyCount), databases: UInt32(core.store.databaseCount))
    switch file {
    case .pass: piece.file = .pass
    case .log: piece.file = .log
    case nil: break
    }
    if copy.isDone {
      piece.takenUnixMillis = takenMillis
      core.backups.completedMillis = core.wall.millis(atNanos: core.clock())
      leave()
    }
    return (piece, data)
  }

  private func keepAlive() {
    requestedNanos = core.clock()
    if let due { core.deadlines.remove(due) }
    due = core.deadlines.insert(
      deadlineNanos: requestedNanos &+ BackupSessions.idleNanos, Deadline(taker: self, id: id))
  }

  func deadlinePassed(_ id: UInt64) {
    due = nil
    leave()
  }

  fileprivate func leave() {
    if let due { core.deadlines.remove(due) }
    due = nil
    core.backups.end(self)
  }
}

extension ShardCore {
  /// The largest piece of a backup, in bytes. A simulation sets it small.
  package var backupPieceBytes: Int {
    get { backups.pieceBytes }
    set { backups.pieceBytes = newValue }
  }

  func backupPart(
    _ message: UnsafeRawBufferPointer, into response: inout ByteBuffer
  ) throws(CallError) {
    let request = try LinkV1.BackupPartRequest(request: message)
    let session = try backups.session(request.backup, self)
    let next = try session.next()
    // Data that leaves the shard is committed, as for every reader.
    visitedAll()
    var shard = id
    shard.withUTF8 { id in
      next.data.withUnsafeReadableBytes { data in
        var piece = next.piece
        piece.shard = UnsafeRawBufferPointer(id)
        piece.data = data
        LinkV1.BackupPartReply(backup: session.id, piece: piece).write(into: &response)
      }
    }
  }
}

extension HashSeed {
  /// Tells whether a log's passes are ordered by this seed.
  var ofLog: UInt64 { digest(Array("ringstore log".utf8)) }
}

extension CallError {
  fileprivate static func backupGone(_ shard: String) -> CallError {
    CallError(
      .viewExpired,
      "Shard \(shard) was restarted, or has ended this backup, because nothing was read from it for "
        + "a minute, or for 5 seconds when another backup began. Start it again.", shard: shard)
  }

  fileprivate static func backupTooSlow(_ shard: String) -> CallError {
    CallError(
      .viewExpired,
      "During the backup more was written to shard \(shard) than it buffers "
        + "for slow readers (\(StoreCopy.logBytesMax >> 20) MiB). Start it again when the network or "
        + "the disk is faster, or when less is written.", shard: shard)
  }
}
