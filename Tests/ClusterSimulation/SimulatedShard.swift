// A shard: the real core and one real session for each connection, in a process that crashes, is
// stopped, drains and comes back.
//
// Owns the core and the sessions of the incarnation that runs. One thread.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import ShardNode
import Store

final class SimulatedShard {
  enum State {
    case up, draining, down
  }

  let number: Int
  let id: String
  private(set) var state = State.down
  private(set) var isStalled = false
  private(set) var incarnations = 0
  private let limits: Limits
  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  /// Its machine's.
  let wallClock: SimulatedClock
  private(set) var core: ShardCore
  private(set) lazy var saboteur = ShardFaultInjector(context, cluster.probe)
  private var sessions: [Int: ShardConnection] = [:]
  private var isTurnPlanned = false
  private var viewsPlannedNanos: UInt64 = .max
  /// Nil where replies wait for nothing.
  private var marks: SimulatedMarks?
  private var isCommitPlanned = false
  /// A look after the links was due while the process was stopped.
  private var owesWatch = false
  /// Nil if the shard is in memory only.
  private(set) var storage: SimulatedStorage?
  /// What has arrived while the process was stopped.
  private var inbox: [(item: NetworkItem, connection: SimulatedConnection)] = []

  init(
    number: Int, id: String, limits: Limits, context: SimulationContext, cluster: SimulatedCluster
  ) {
    self.number = number
    self.id = id
    self.limits = limits
    self.context = context
    self.cluster = cluster
    let wallClock = SimulatedClock(number, context, cluster)
    self.wallClock = wallClock
    core = Self.newCore(number, id, limits, context, wallClock)
    storage = SimulatedStorage(self, context, cluster)
  }

  /// Every other shard tells a lineage, always the same. Whatever is lost and however maps change,
  /// no router may take it for another one. What shards have on record goes with each process.
  private static func newCore(
    _ number: Int, _ id: String, _ limits: Limits, _ context: SimulationContext,
    _ wallClock: SimulatedClock
  ) -> ShardCore {
    var limits = limits
    if context.configuration.sabotage == .parksTooMany { limits.parkedCallsMax = .max }
    let core = ShardCore(
      cluster: SimulatedCluster.name, id: id, incarnation: context.random.next(), version: "0",
      limits: limits,
      versionsBegin: context.configuration.keepsData
        ? 0 : Store.versionsBegin(unixMillis: wallClock.read()),
      clock: { context.nowNanos }, wallMillis: { wallClock.read() }, uptimeMillis: { 0 })
    // Many pieces, so that much happens between the first and the last.
    if context.configuration.takesBackups { core.backupPieceBytes = context.number(50...1_000) }
    if number.isMultiple(of: 2) { core.lineage = DataLineage(high: 1, low: UInt64(number)) }
    return core
  }

  // MARK: - Life

  var isHealthy: Bool { state == .up && !isStalled }

  func start() {
    state = .up
    incarnations += 1
    core = Self.newCore(number, id, limits, context, wallClock)
    isTurnPlanned = false
    viewsPlannedNanos = .max
    isCommitPlanned = false
    marks = context.configuration.commitNanosMax > 0 ? SimulatedMarks() : nil
    core.marks = marks
    owesWatch = false
    planWatch()
    context.note(.restarted, number, incarnations)
    guard let storage else { return }
    storage.start(core)
    eventHandled()
  }

  /// The process is gone, with its memory and its connections.
  func crash(_ end: SimulatedStorage.End = .kill) {
    state = .down
    isStalled = false
    sessions = [:]
    inbox = []
    context.note(.crashed, number)
    cluster.presence.look(at: self)
    cluster.network.crash(shard: number)
    storage?.end(end)
  }

  /// The process is stopped: it takes nothing in until it continues.
  func stall() {
    isStalled = true
    context.note(.stalled, number)
  }

  func resume() {
    isStalled = false
    context.note(.resumed, number)
    let arrived = inbox
    inbox = []
    // Timers that are due come before or after what lies in the sockets.
    let watchesFirst = context.chance(0.5)
    if owesWatch, watchesFirst { watchLinks() }
    for (item, connection) in arrived { handle(item, connection) }
    if owesWatch, !watchesFirst { watchLinks() }
    for number in sessions.keys.sorted() { wake(number) }
    eventHandled()
  }

  /// The process was told to stop: it tells its routers, and continues replying.
  func drain() {
    state = .draining
    context.note(.draining, number)
    core.beginDraining()
    for number in sessions.keys.sorted() { sendDraining(number) }
    eventHandled()
  }

  private func sendDraining(_ number: Int) {
    guard let known = sessions[number], let frame = known.session?.drainingFrame() else { return }
    known.send(frame)
  }

  // MARK: - What the network brings

  func arrived(_ item: NetworkItem, _ connection: SimulatedConnection) {
    if isStalled {
      inbox.append((item, connection))
    } else {
      handle(item, connection)
    }
  }

  private func handle(_ item: NetworkItem, _ connection: SimulatedConnection) {
    sessions[connection.number]?.itemsReceived += 1
    switch item {
    case .connect:
      let isRefused =
        state != .up || context.chance(context.configuration.network.connectFailure)
      guard !isRefused else {
        cluster.network.note(.refused, connection)
        connection.toRouter.send(.refused)
        return
      }
      accept(connection)
    case .frame(let frame):
      receive(frame, connection)
    case .ping:
      if sessions[connection.number] != nil { output { connection.toRouter.send(.pong) } }
    case .closed:
      cluster.probe.left(connection, incarnation: incarnations)
      sessions.removeValue(forKey: connection.number)?.session?.lost()
      connection.isOpenAtShard = false
    case .connected, .refused, .pong: break
    }
    eventHandled()
  }

  private func accept(_ connection: SimulatedConnection) {
    connection.isOpenAtShard = true
    sessions[connection.number] = ShardConnection(connection, core, cluster)
    let number = connection.number
    connection.toRouter.moved = { [unowned self] in
      guard !isStalled else { return }
      wake(number)
      eventHandled()
    }
    connection.toRouter.send(.connected)
  }

  private func receive(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    guard let session = sessions[connection.number]?.session else { return }
    let cancels = cancelled(by: frame)
    saboteur.noteParked(frame, connection)
    let frame = saboteur.received(frame, core, limits)
    cluster.probe.takes(frame, connection)
    let after = frame.withUnsafeReadableBytes { session.receive($0) }
    saboteur.hasRead(core)
    // What is held has not been read.
    if !session.holdsCalls {
      cluster.probe.callersGone(cancels, connection)
      cluster.probe.hasRead(
        connection, isOpen: after == .proceed, heldForState: session.heldForState)
    }
    let greeting = session.greeting
    session.greeting = nil
    switch greeting {
    case .accepted: greeted(connection)
    case .refused(_, let reason): refused(reason, connection)
    case nil: break
    }
    proceed(after, connection)
  }

  /// The calls whose callers a frame tells are gone.
  private func cancelled(by frame: ByteBuffer) -> [UInt64] {
    frame.withUnsafeReadableBytes { bytes in
      (try? LinkV1.RouterFrame(bytes)).map { Array($0.cancels) } ?? []
    }
  }

  private func greeted(_ connection: SimulatedConnection) {
    cluster.network.note(.hello, connection)
    cluster.probe.greeted(connection, incarnation: incarnations)
    if state == .draining { sendDraining(connection.number) }
  }

  private func refused(_ reason: String, _ connection: SimulatedConnection) {
    switch LinkRefusal(rawValue: reason) {
    case .loading where storage != nil:
      context.cover(.loadingRefused)
    case .staleGeneration:
      context.cover(.helloStale)
    case .mapConflict where context.configuration.hasStranger:
      context.cover(.mapConflict)
    case .staleMap where context.configuration.changesMap,
      .mapConflict where context.configuration.changesMap:
      break
    default:
      context.found(.unexpectedError, "shard \(id) refuses a router: \(reason)")
    }
  }

  /// Deals with what a session has come to.
  private func proceed(_ after: LinkSession.AfterFrame, _ connection: SimulatedConnection) {
    guard case .end(let code, let message) = after else { return }
    if code == .aborted { context.cover(.fenced) }
    cluster.network.note(.fenced, connection)
    cluster.probe.left(connection, incarnation: incarnations)
    sessions[connection.number] = nil
    output { [cluster] in cluster.network.end(connection, message) }
  }

  /// Something goes out over a connection, as soon as anything may.
  fileprivate func output(_ send: @escaping () -> Void) {
    if let storage { storage.send(send) } else { send() }
  }

  // MARK: - What the shard's loop does between

  /// What waited for the log to be synced may continue.
  func stateIsDurable() {
    for number in sessions.keys.sorted() {
      guard let known = sessions[number], let session = known.session else { continue }
      resume(known, session)
    }
  }

  /// A connection that was full takes frames again.
  private func wake(_ number: Int) {
    guard let known = sessions[number], known.wasFull, known.isWritable,
      let session = known.session
    else { return }
    known.wasFull = false
    context.cover(.linkFull)
    resume(known, session)
  }

  private func resume(_ known: ShardConnection, _ session: LinkSession) {
    let after = session.writable()
    if !session.holdsCalls {
      cluster.probe.hasRead(
        known.connection, isOpen: after == .proceed, heldForState: session.heldForState)
    }
    proceed(after, known.connection)
  }

  /// To be called after anything that may have changed the store or given the loop work to do.
  func eventHandled() {
    cluster.presence.look(at: self)
    cluster.backups.look(at: self)
    cluster.probe.eventHandled()
    if core.parkedCount > limits.parkedCallsMax {
      context.found(.tooManyParked, "\(core.parkedCount) calls wait at shard \(id)")
    }
    planTurn()
    planViews()
    planCommit()
    storage?.plan()
  }

  var isRunning: Bool { state != .down && !isStalled }

  /// Whatever arrives in the meantime comes first.
  private func planTurn() {
    guard isRunning, core.hasTurns, !isTurnPlanned else { return }
    isTurnPlanned = true
    let incarnation = incarnations
    context.after(context.nanos(upTo: 50_000)) { [unowned self] in
      guard incarnation == incarnations else { return }
      isTurnPlanned = false
      guard isRunning else { return }
      core.runTurn()
      eventHandled()
    }
  }

  /// Commits what was changed so far, some time later; replies that wait for it leave then.
  private func planCommit() {
    guard isRunning, !isCommitPlanned, let batch = marks?.takeBatch() else { return }
    isCommitPlanned = true
    let incarnation = incarnations
    commit(batch, incarnation)
  }

  private func commit(_ batch: ReplyMark, _ incarnation: Int) {
    context.after(context.nanos(upTo: context.configuration.commitNanosMax)) { [unowned self] in
      guard incarnation == incarnations, state != .down else { return }
      // A process that is stopped lets nothing go.
      guard !isStalled else { return commit(batch, incarnation) }
      if !core.gate.isEmpty { context.cover(.heldReply) }
      isCommitPlanned = false
      core.gate.open(to: batch)
      eventHandled()
    }
  }

  private func planWatch() {
    let incarnation = incarnations
    context.after(LinkProtocol.clockIntervalNanos) { [unowned self] in
      guard incarnation == incarnations, state != .down else { return }
      if isStalled { owesWatch = true } else { watchLinks() }
    }
  }

  /// Tells routers the clock, and closes the links of those that are gone.
  private func watchLinks() {
    owesWatch = false
    core.watchLinks()
    eventHandled()
    planWatch()
  }

  /// A session has closed its connection.
  fileprivate func closed(_ connection: SimulatedConnection, _ reason: String) {
    context.cover(.closedSilent)
    cluster.network.note(.fenced, connection)
    cluster.probe.left(connection, incarnation: incarnations)
    sessions[connection.number] = nil
    output { [cluster] in cluster.network.end(connection, reason) }
  }

  private func planViews() {
    guard isRunning, let due = core.dueNanos, due < viewsPlannedNanos else { return }
    viewsPlannedNanos = due
    let incarnation = incarnations
    context.at(due) { [unowned self] in
      guard incarnation == incarnations else { return }
      viewsPlannedNanos = .max
      guard isRunning else { return }
      core.endExpired()
      eventHandled()
    }
  }

  /// Whether it can be told what the shard holds: one that keeps its data has it while it is away.
  var showsKeys: Bool { storage == nil || state != .down && core.state != .loading }

  /// Whether the shard holds a key now, whatever routers know of it.
  func holds(_ key: [UInt8]) -> Bool {
    guard state != .down else { return false }
    var request = ByteBuffer()
    key.withUnsafeBytes { V1.Key(key: $0).write(into: &request) }
    var response = ByteBuffer()
    _ = request.withUnsafeReadableBytes {
      try? core.execute(
        UInt32(CommandID.exists.rawValue), $0, into: &response,
        core.context(nowNanos: context.nowNanos))
    }
    return response.withUnsafeReadableBytes { (try? V1.Status($0).count) ?? 0 } > 0
  }
}

/// A connection as the shard's process has it: the session, and the way out.
private final class ShardConnection: LinkPort {
  /// Frames that may be on their way before the connection counts as full, in bytes.
  private static let underWayBytesMax = 600

  let connection: SimulatedConnection
  private(set) var session: LinkSession?
  /// The session was told that the connection is full, and waits to hear that it is not any more.
  var wasFull = false
  /// Items rather than bytes: any sign that the router lives.
  var itemsReceived = 0
  /// Bytes of frames that wait for the log.
  private var heldBytes = 0
  private unowned let cluster: SimulatedCluster

  init(_ connection: SimulatedConnection, _ core: ShardCore, _ cluster: SimulatedCluster) {
    self.connection = connection
    self.cluster = cluster
    session = LinkSession(connection.lane, core: core, port: self)
  }

  var isWritable: Bool {
    let takes = connection.toRouter.bytesUnderWay + heldBytes < Self.underWayBytesMax
    if !takes { wasFull = true }
    return takes
  }

  /// A shard without the watch finds something new at each look.
  var bytesReceived: Int {
    if cluster.context.configuration.sabotage == .ignoresAge { itemsReceived += 1 }
    return itemsReceived
  }

  func close(_ reason: String) {
    cluster.shards[connection.shard].closed(connection, reason)
  }

  func send(_ frame: inout ByteBuffer) { send(frame) }

  func send(_ frame: ByteBuffer) {
    let byteCount = frame.readableBytes
    heldBytes += byteCount
    let newest = cluster.probe.newestGeneration(of: connection)
    cluster.shards[connection.shard].output { [self, cluster] in
      heldBytes -= byteCount
      for frame in cluster.shards[connection.shard].saboteur.sent(frame, connection) {
        cluster.probe.sends(frame, connection, newest: newest)
        cluster.network.sendToRouter(frame, connection)
      }
    }
  }
}
