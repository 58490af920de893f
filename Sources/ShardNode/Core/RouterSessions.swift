// The two connections of a link: a reply to a call of one lane may be sent on the other. When a
// newer link of the same router loop sends its Hello, both are fenced off and their work in
// progress is dropped.
//
//   RouterSessions 1--n RouterSession (router, generation) 1--2 LinkSession (lane)
//                           1--n replies to come: queued slices, large and streamed ones
//
// Sessions belong to the drivers of the connections; peers hold them weakly.

import NIOCore
import NodeCore
import RingstoreAPI

/// The links with open connections.
struct RouterSessions {
  /// The number of checks for which executed parked calls of a disconnected router's loop are
  /// remembered: longer than the loop itself keeps such calls.
  static let looksRemembered = 40

  private var peers: [String: RouterSession] = [:]
  /// Of loops without a connection; with the looks since they had one.
  private var ended: [String: (ran: RanCalls, looks: Int)] = [:]
  /// Looks in a row that have found no router connected.
  private var emptyLooks = 0

  /// Whether all routers are lost. A router whose connections have only broken comes back and
  /// relies on the map that it sent to the shard; it has as much time as a silent one.
  var areGone: Bool { peers.isEmpty && emptyLooks >= LinkProtocol.silentLooksMax }

  /// Whether there is anything to look after.
  var needLooks: Bool { !areGone || !ended.isEmpty }

  /// A look begins.
  mutating func noteLook() {
    emptyLooks = peers.isEmpty ? emptyLooks + 1 : 0
    for router in Array(ended.keys) {
      ended[router]?.looks += 1
      if let looks = ended[router]?.looks, looks > Self.looksRemembered { ended[router] = nil }
    }
  }

  /// Whether a connection may join: there is no newer link of the router, and this link doesn't
  /// have the lane yet. A second one would execute calls that the first has lost.
  func admits(_ lane: LinkLane, router: String, generation: UInt64) -> Bool {
    guard let peer = peers[router], peer.generation >= generation else { return true }
    return peer.generation == generation && peer.session(lane) == nil
  }

  /// An accepted connection joins the others of its link. Those of an older generation are fenced
  /// off.
  mutating func join(
    _ session: LinkSession, router: String, generation: UInt64, core: ShardCore
  ) -> RouterSession {
    var ran = ended.removeValue(forKey: router)?.ran
    if let peer = peers[router] {
      if peer.generation == generation {
        peer.add(session)
        return peer
      }
      peer.supersede()
      ran = peer.ran
    }
    let peer = RouterSession(
      router: router, generation: generation,
      ran: ran ?? RanCalls(clockMillis: core.clockMillis), core: core)
    peer.add(session)
    peers[router] = peer
    emptyLooks = 0
    return peer
  }

  /// Sends the shard's clock to each router, and closes the links whose routers are lost.
  func watch(clockMillis: UInt64) {
    // In an order that is the same in every run of a simulation.
    for peer in peers.values.sorted(by: { $0.router < $1.router }) {
      peer.watch(clockMillis: clockMillis)
    }
  }

  /// Tells every router but one something of the shard's state over its calls lane.
  func tell(but told: RouterSession?, _ write: (inout ByteBuffer) -> Void) {
    for peer in peers.values.sorted(by: { $0.router < $1.router }) where peer !== told {
      guard let session = peer.session(.calls) else { continue }
      session.tellsOfState()
      session.emit(write)
    }
  }

  /// All state is durable: frames that waited for that are sent.
  func stateIsDurable() {
    for peer in peers.values.sorted(by: { $0.router < $1.router }) {
      for lane in LinkLane.allCases { peer.session(lane)?.stateIsDurable() }
    }
  }

  /// A link has lost a connection.
  mutating func left(_ peer: RouterSession) {
    guard !peer.hasSessions, peers[peer.router] === peer else { return }
    peers[peer.router] = nil
    ended[peer.router] = (peer.ran, 0)
    if ended.count > LinkGenerations.routersMax,
      let oldest = ended.max(by: { $0.value.looks < $1.value.looks })
    {
      ended[oldest.key] = nil
    }
  }
}

/// One link: the connections of a router's loop that share a generation.
final class RouterSession {
  let router: String
  let generation: UInt64
  let ran: RanCalls
  /// The newest clock of the shard that the router has named over the calls lane; when the link was
  /// made as long as it has named none.
  private(set) var heardMillis: UInt64
  /// A newer link of the router's loop has introduced itself: nothing more is executed.
  private(set) var isSuperseded = false
  private weak var calls: LinkSession?
  private weak var bulk: LinkSession?
  private unowned let core: ShardCore
  private var inProgress: [UInt64: ReplyHandle] = [:]
  /// Replies that have credit and wait until their lane accepts more.
  private var stalled: [ReplyHandle] = []

  init(router: String, generation: UInt64, ran: RanCalls, core: ShardCore) {
    self.router = router
    self.generation = generation
    self.ran = ran
    heardMillis = core.clockMillis
    self.core = core
  }

  // MARK: - Connections

  var hasSessions: Bool { calls != nil || bulk != nil }
  var hasBulkLane: Bool { bulk != nil }

  func session(_ lane: LinkLane) -> LinkSession? {
    lane == .calls ? calls : bulk
  }

  func add(_ session: LinkSession) {
    switch session.lane {
    case .calls: calls = session
    case .bulk: bulk = session
    }
  }

  /// Sends the shard's clock to the router, or closes both connections if one of them is silent.
  func watch(clockMillis: UInt64) {
    let sessions = [calls, bulk].compactMap { $0 }
    // Each of them is looked at.
    let isSilent = sessions.count { $0.looksSilent() } > 0
    guard isSilent else {
      calls?.emit { $0.append(LinkV1.ShardFrame.Field.clockMillis, clockMillis) }
      return
    }
    for session in sessions { session.close("nothing came from the router for too long") }
  }

  func supersede() {
    isSuperseded = true
    calls?.dropHeldReplies()
    bulk?.dropHeldReplies()
    drop()
  }

  /// A connection is lost. Its router closes the other one too, so no reply is needed any more.
  func lost(_ lane: LinkLane) {
    switch lane {
    case .calls: calls = nil
    case .bulk: bulk = nil
    }
    drop()
  }

  private func drop() {
    let dropped = inProgress
    inProgress = [:]
    stalled = []
    for call in dropped.values { call.drop() }
  }

  /// A frame of the calls lane has named a clock of the shard.
  func heard(_ millis: UInt64) {
    heardMillis = max(heardMillis, millis)
    ran.heard(millis)
  }

  // MARK: - Calls in progress

  func isInProgress(_ id: UInt64) -> Bool { inProgress[id] != nil }

  func began(_ reply: ReplyHandle) {
    inProgress[reply.id] = reply
  }

  func ended(_ id: UInt64) {
    inProgress[id] = nil
  }

  func cancel(_ id: UInt64) {
    inProgress[id]?.cancel()
  }

  func grant(_ id: UInt64, _ bytes: UInt64) {
    inProgress[id]?.grant(Int(clamping: bytes))
  }

  // MARK: - Back-pressure

  func stall(_ reply: ReplyHandle) {
    stalled.append(reply)
  }

  /// The bulk lane accepts more.
  func wakeStalled() {
    let replies = stalled
    stalled = []
    for reply in replies { reply.wake() }
  }
}
