// A router's loop: the front on one side, the links on the other, the pure core between. Everything
// here is on one event loop; the loops of a router share only `RouterLoops`.
//
// Its memory is bounded: the list of lanes with output by the number of lanes, the waiting calls by
// the core's limits.

import Front
import GRPC
import Logging
import MetricTypes
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import Tracing
import Users

final class RouterService: Flushable {
  let eventLoop: any EventLoop
  let flusher: FlushCoalescer
  let logger: Logger
  let loops: RouterLoops
  private let linkConfigurationAtStart: ClientConfiguration
  /// The router's current token for shards; nil: none.
  private let linkToken: (@Sendable () -> String?)?
  let describeSelf: () -> NodeDescription
  /// Set once, at the end of init: the core and its driver need each other.
  private(set) var core: RouterCore<RouterService>!
  private(set) var front: Front!

  var links: [RouterLinkStreams]
  private var lanesWithOutput: [(shard: Int, lane: LinkLane)] = []
  var isMarkedDirty = false
  /// What this loop's clients have called.
  var nodeCounters = NodeCounters()
  /// What has become of this loop's links.
  var linkCounters = LinkCounters()
  /// The node's connections, on the loop whose counters those of the node are added to.
  var connections: NodeConnections?
  /// What is counted of users, on that loop as well.
  var accessLedger: AccessLedger?
  /// The slot map as this loop described it last.
  let encodedMap = EncodedSlotMap()
  /// The counters of all loops, for the Stats call that is being started.
  var counters: [String: Int64] = [:]

  private var wakeup: Scheduled<Void>?
  private var wakeupNanos: UInt64 = .max
  private var whenLinksTried: (() -> Void)?
  private(set) var isStopped = false

  /// - Parameters:
  ///   - firstGeneration: a number that no earlier connection of this loop has borne.
  ///   - seed: for the jitter of reconnects.
  ///   - slowLog: the settings of the slow log.
  ///   - authorizer: the users; nil: no restrictions.
  ///   - audit: the audit log; nil: none.
  ///   - tracer: the loop's; nil: no call is traced.
  ///   - describeSelf: the router's own line in Describe.
  init(
    identity: RouterIdentity, map: SlotMap, limits: Limits, linkLimits: LinkLimits,
    linkTLS: ClientTLS? = nil, firstGeneration: UInt64, seed: UInt64,
    slowLog: SlowLog = SlowLog(), eventLoop: any EventLoop,
    loops: RouterLoops, logger: Logger, authorizer: Authorizer? = nil, audit: AuditLog? = nil,
    tracer: Tracer? = nil, linkToken: (@Sendable () -> String?)? = nil,
    describeSelf: @escaping () -> NodeDescription
  ) {
    self.linkToken = linkToken
    self.eventLoop = eventLoop
    self.loops = loops
    self.logger = logger
    self.describeSelf = describeSelf
    flusher = FlushCoalescer(eventLoop: eventLoop)
    links = Array(repeating: RouterLinkStreams(), count: map.shards.count)
    var linkConfiguration = ClientConfiguration.link(silenceNanosMax: linkLimits.silenceNanosMax)
    linkConfiguration.maxMessageBytes = LinkProtocol.messageBytesMax(limits)
    linkConfiguration.tls = linkTLS
    linkConfigurationAtStart = linkConfiguration
    core = RouterCore(
      identity: identity, map: map, limits: limits, linkLimits: linkLimits,
      firstGeneration: firstGeneration, seed: seed, slowLog: slowLog,
      clock: { NIODeadline.now().uptimeNanoseconds }, driver: self)
    core.tracer = tracer
    front = Front(
      self, authorizer: authorizer, audit: audit, tracer: tracer, eventLoop: eventLoop)
  }

  /// For the next connection to a shard.
  var linkConfiguration: ClientConfiguration {
    var configuration = linkConfigurationAtStart
    configuration.token = linkToken?()
    return configuration
  }

  // MARK: - Life

  /// Connects to every shard; `linksTried` is called when each first attempt has ended, with
  /// success or not.
  func start(linksTried: @escaping () -> Void) {
    whenLinksTried = linksTried
    core.tick()
    eventHandled()
  }

  /// Ends the calls that wait for values.
  func beginDraining() {
    front.standard.beginDraining()
    core.endParked()
    eventHandled()
  }

  /// Closes the links. Calls in progress were drained before.
  func stop() {
    isStopped = true
    wakeup?.cancel()
    for link in links { link.drop() }
    links = Array(repeating: RouterLinkStreams(), count: links.count)
  }

  /// Call it after everything that may have changed the core's next wake-up.
  func eventHandled() {
    scheduleWakeup()
    if let linksTried = whenLinksTried, core.haveLinksBeenTried {
      whenLinksTried = nil
      linksTried()
    }
  }

  private func scheduleWakeup() {
    guard !isStopped, let next = core.nextWakeupNanos, next < wakeupNanos else { return }
    wakeup?.cancel()
    wakeupNanos = next
    wakeup = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(next)) { [self] in
      wakeupNanos = .max
      core.tick()
      front.flushPipelines()
      eventHandled()
    }
  }

  // MARK: - Output

  func linkHasOutput(shard: Int, lane: LinkLane) {
    lanesWithOutput.append((shard, lane))
    flusher.markDirty(self)
  }

  /// The end of the tick: each lane with something to send sends it, once.
  func flushNow() {
    front.flushPipelines()
    if !lanesWithOutput.isEmpty {
      // A connection that is written to may be found lost, and calls may then go elsewhere.
      var lanes: [(shard: Int, lane: LinkLane)] = []
      swap(&lanes, &lanesWithOutput)
      for (shard, lane) in lanes { links[shard][lane]?.sendFrames(of: core) }
      if lanesWithOutput.isEmpty {
        lanes.removeAll(keepingCapacity: true)
        swap(&lanes, &lanesWithOutput)
      }
    }
    scheduleWakeup()
  }

  // MARK: - About the node

  /// This loop's counters by name.
  var ownCounters: [String: Int64] {
    nodeCounters.entries(prefix: NodeCounters.routerPrefix)
      .merging(linkCounters.entries) { own, _ in own }
      .merging(["\(NodeCounters.routerPrefix)parked_calls": Int64(core.callsParked)]) { own, _ in
        own
      }
      .merging(connections?.entries(prefix: NodeCounters.routerPrefix) ?? [:]) { own, _ in own }
      .merging(accessLedger?.entries(prefix: NodeCounters.routerPrefix) ?? [:]) { own, _ in own }
  }

  func endNode() {
    loops.endNode()
  }
}
