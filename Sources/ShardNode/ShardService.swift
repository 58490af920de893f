// A shard's loop: the front and the links of routers on one side, the core on the other. This does
// the core's remaining work. One event loop.

import Commands
import Front
import GRPC
import LargeMemory
import Logging
import NIOCore
import NodeCore
import RingstoreAPI
import Tracing
import Users

final class ShardService: LinkService {
  let core: ShardCore
  let eventLoop: any EventLoop
  private let logger: Logger
  let flusher: FlushCoalescer
  private var onShutdown: (() -> Void)?
  private(set) var front: Front!
  /// The reply of the call that is being executed.
  var response = ByteBuffer()
  /// Memory for the replies of a Pipeline's batch, which change places with those being sent.
  var batchReplies = ByteBuffer()
  let ahead: ReadAhead<V1.Call>
  /// Calls with later replies, by their ids.
  var later: [UInt64: LaterReply] = [:]
  var lastID: UInt64 = 0
  /// Replies to unary calls that wait at the gate, by ascending mark.
  var heldUnary: [HeldUnaryReplies] = []
  var lastHeldNumber: UInt32 = 0
  private var links: [ObjectIdentifier: LinkStream] = [:]
  private let refusals = RefusalLog()
  private var isDraining = false
  /// The slot map as it was described last.
  let encodedMap = EncodedSlotMap()
  private var isTurnScheduled = false
  /// When the next time limit is looked at.
  private var expiryDueNanos = UInt64.max
  private var isWatchScheduled = false

  /// Where the shard keeps its data; nil: in memory only.
  var storage: ShardStorage? {
    didSet {
      storage?.afterWork = { [unowned self] in afterWork() }
      storage?.output = flusher
      storage?.afterStateDurable = { [unowned self] in
        for link in links.values { link.writable() }
      }
    }
  }

  /// - Parameters:
  ///   - onShutdown: called once, on the loop, after a caller has requested the node to stop and
  ///     has its reply.
  ///   - authorizer: the users; nil: no restrictions.
  ///   - audit: the audit log; nil: none.
  ///   - tracer: the loop's; nil: no call is traced.
  init(
    core: ShardCore, eventLoop: any EventLoop, logger: Logger, authorizer: Authorizer? = nil,
    audit: AuditLog? = nil, tracer: Tracer? = nil, onShutdown: (() -> Void)? = nil
  ) {
    core.tracer = tracer
    self.core = core
    ahead = ReadAhead(core.keyspace)
    self.eventLoop = eventLoop
    self.logger = logger
    self.onShutdown = onShutdown
    flusher = FlushCoalescer(eventLoop: eventLoop)
    flusher.scheduler.meter.calls = core.meter
    front = Front(
      self, links: self, authorizer: authorizer, audit: audit, tracer: tracer,
      eventLoop: eventLoop)
    core.gate.afterRelease = { [unowned self] in
      core.boundViews()
      afterWork()
    }
  }

  /// Informs the routers that the shard is stopping; they send nothing new and end their streams.
  /// Replies that are still held after `limit` are abandoned. Returns whether there may be any.
  func beginDraining(givingUpAfter limit: TimeAmount) -> Bool {
    front.standard.beginDraining()
    isDraining = true
    core.beginDraining()
    core.snapshots?.leave()
    for link in links.values { link.sendDraining() }
    guard core.marks != nil || core.log != nil else { return false }
    eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
      core.gate.giveUp()
    }
    return true
  }

  // MARK: - Links

  func linkOpened(_ call: ServerCall, _ caller: StreamCaller?) {
    let link = LinkStream(call, caller, core: core, logger: logger, refusals: refusals) {
      [unowned self] in isDraining
    }
    links[ObjectIdentifier(link)] = link
    scheduleWatch()
    afterEvent(link)
  }

  func link(_ call: ServerCall, received frame: UnsafeRawBufferPointer) {
    guard let link = call.context as? LinkStream else { return }
    link.received(frame)
    afterEvent(link)
  }

  func linkHalfClosed(_ call: ServerCall) {
    guard let link = call.context as? LinkStream else { return }
    link.halfClosed()
    afterEvent(link)
  }

  func linkWritable(_ call: ServerCall) {
    guard let link = call.context as? LinkStream else { return }
    link.writable()
    afterEvent(link)
  }

  func linkEnded(_ call: ServerCall) {
    guard let link = call.context as? LinkStream else { return }
    link.ended()
    afterEvent(link)
  }

  /// Users have lost credentials or rights. A router that is none any more may send nothing for
  /// seconds, so its links are not left until their next frame.
  func endRevokedLinks() {
    for link in Array(links.values) {
      link.checkCaller()
      afterEvent(link)
    }
  }

  private func afterEvent(_ link: LinkStream) {
    if link.call == nil { links[ObjectIdentifier(link)] = nil }
    core.boundViews()
    afterWork()
  }

  // MARK: - Turns

  /// Does the core's remaining work. Called after everything that may have given it work.
  func afterWork() {
    if core.hasTurns, !isTurnScheduled {
      isTurnScheduled = true
      flusher.scheduler.yieldThenRun { [self] in
        isTurnScheduled = false
        core.runTurn()
        afterWork()
      }
    }
    if core.hasTimeLimits { scheduleExpiry() }
    if core.awaitsDisk { scheduleWatch() }
    if core.shutdownRequested, let onShutdown {
      self.onShutdown = nil
      onShutdown()
    }
  }

  private func scheduleExpiry() {
    guard let dueNanos = core.dueNanos, dueNanos < expiryDueNanos else { return }
    expiryDueNanos = dueNanos
    // A time beyond the clock's range is checked again in a year.
    let deadline = min(dueNanos, NIODeadline.now().uptimeNanoseconds &+ 31_536_000_000_000_000)
    eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(deadline)) { [self] in
      // An earlier one may have been added after it.
      if expiryDueNanos == dueNanos { expiryDueNanos = .max }
      core.endExpired()
      afterWork()
    }
  }

  /// Watches the links as long as there are any, and the disk as long as it has something to do.
  /// The loop looks at its sockets between two timers.
  private func scheduleWatch() {
    guard !isWatchScheduled else { return }
    isWatchScheduled = true
    let interval = TimeAmount.nanoseconds(Int64(LinkProtocol.clockIntervalNanos))
    eventLoop.assumeIsolated().scheduleTask(in: interval) { [self] in
      isWatchScheduled = false
      core.watchLinks()
      links = links.filter { $0.value.call != nil }
      if !links.isEmpty || core.needsWatch { scheduleWatch() }
      afterWork()
    }
  }
}
