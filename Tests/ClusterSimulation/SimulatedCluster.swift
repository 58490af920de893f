// A whole cluster in one thread: the real cores of two routers' loops and three shards, with a
// virtual clock, a network that fails, clients that never tire, and a record of all that they did.
// One seed decides everything, so a run that found something can be had again.
//
// Reading order: SimulationConfiguration (what is simulated), SimulatedCluster (the course of a
// run), SimulatedCluster+Checks (what must hold), SimulatedRouter and SimulatedShard (around the
// cores), SimulatedNetwork, SimulatedFaults, SimulatedClient, ExecutionObserver.
//
// Owns all parts. One thread; a cluster is run once.

import NIOCore
import Placement
import RingstoreAPI

package final class SimulatedCluster {
  static let name = "simulated"
  static let shardIDs = (0..<26).map { String(UnicodeScalar(UInt8(ascii: "a") + $0)) }

  let seed: UInt64
  let context: SimulationContext
  let generator: CallGenerator
  private let map: SlotMap
  private let strangersMap: SlotMap
  private(set) var routers: [SimulatedRouter] = []
  private(set) var shards: [SimulatedShard] = []
  private(set) var clients: [SimulatedClient] = []
  private(set) var connections: [ClientConnection] = []
  private(set) lazy var network = SimulatedNetwork(context: context, cluster: self)
  private(set) lazy var presence = KeyPresence(self)
  private(set) lazy var backups = BackupWatch(self)
  /// Walks over the keys that continue with another call.
  private var openWalks: [ScanRecord] = []
  /// There from the start of a run.
  private(set) var faults: SimulatedFaults!
  private(set) lazy var probe = ExecutionObserver(context: context, cluster: self)
  private(set) var calls: [SimulatedCall] = []
  /// What clients know.
  var history = History()
  /// What the shards show.
  var observed = ObservedHistory()
  /// What clients were told last of each key.
  private(set) var knowledge: [[UInt8]: CallGenerator.Knowledge] = [:]
  private var versions = VersionsTold()
  private var callsUnderWay = 0
  private var callsSubmitted = 0
  /// Whether clients still make calls.
  private(set) var takesCalls = true

  /// - Throws: `PlacementError` for a number of shards that makes no slot map.
  package init(seed: UInt64, _ configuration: SimulationConfiguration) throws {
    self.seed = seed
    let context = SimulationContext(seed: seed, configuration)
    self.context = context
    generator = CallGenerator(keyCount: configuration.keys, random: &context.random)
    map = try Self.map(configuration, shift: 0)
    strangersMap = configuration.hasStranger ? try Self.map(configuration, shift: 1) : map
    build()
  }

  private static func map(
    _ configuration: SimulationConfiguration, shift: Int
  ) throws -> SlotMap {
    let descriptions = shardIDs.prefix(configuration.shards).map {
      ShardDescription(id: $0, address: "\($0):50061")
    }
    guard !configuration.usesInitialMap else { return try SlotMap.initial(descriptions) }
    let count = configuration.shards
    return try SlotMap(
      epoch: 1, shards: descriptions,
      ranges: descriptions.indices.map { index in
        SlotRange(
          first: index * Slots.count / count, last: (index + 1) * Slots.count / count - 1,
          shard: (index + shift) % count)
      })
  }

  private func build() {
    let configuration = context.configuration
    var limits = Limits()
    // One database: tables for sixteen would be most of what a restart costs.
    limits.databases = 1
    limits.bulkBytesMin = configuration.bulkBytesMin
    limits.pieceBytesMax = configuration.pieceBytesMax
    if context.chance(0.3) { limits.maxPinnedBytes = context.number(0...400) }
    if context.chance(0.3) { limits.viewNanosMax = 1 + context.nanos(upTo: 50_000_000) }
    if context.chance(0.5) { limits.searchStepsMax = context.number(1...5) }
    if context.chance(0.3) { limits.parkedCallsMax = context.number(1...4) }
    if context.chance(0.5) { limits.largeReplyMemoryBytesMax = context.number(1...500) }
    shards = map.shards.enumerated().map { index, shard in
      SimulatedShard(number: index, id: shard.id, limits: limits, context: context, cluster: self)
    }
    var linkLimits = configuration.linkLimits
    if context.chance(0.4) {
      linkLimits.parkedNanosMax = 1 + context.nanosOfAnyScale(upTo: 1_500_000_000)
    }
    routers = (0..<configuration.routers).map { index in
      let isObeyed = !configuration.hasStranger || index < configuration.routers - 1
      return SimulatedRouter(
        number: index, map: isObeyed ? map : strangersMap, isObeyed: isObeyed, limits: limits,
        linkLimits: linkLimits, context: context, cluster: self)
    }
    for router in routers {
      var connection = newConnection(router)
      for place in 0..<configuration.clientsPerRouter {
        // Two clients share a connection: when the one's call waits, the other isn't read.
        if place % 2 == 0 { connection = newConnection(router) }
        addClient(router, connection, isPipeline: false)
      }
      for _ in 0..<configuration.pipelinesPerRouter {
        addClient(router, newConnection(router), isPipeline: true)
      }
      for _ in 0..<configuration.lineClientsPerRouter {
        let lines = LineClientConnection(
          router: router, limits: limits, context: context, cluster: self)
        connections.append(lines)
        addClient(router, lines, isPipeline: true)
      }
    }
  }

  private func newConnection(_ router: SimulatedRouter) -> ClientConnection {
    let connection = ClientConnection(router: router, context: context)
    connections.append(connection)
    return connection
  }

  private func addClient(
    _ router: SimulatedRouter, _ connection: ClientConnection, isPipeline: Bool
  ) {
    clients.append(
      SimulatedClient(
        number: clients.count, isPipeline: isPipeline, router: router, connection: connection,
        context: context, cluster: self))
  }

  // MARK: - The course of a run

  /// Runs the cluster to its end and tells what was found.
  package func run() -> SimulationReport {
    let configuration = context.configuration
    for shard in shards { shard.start() }
    for router in routers {
      if router.isObeyed { router.start() } else { startStranger(router) }
    }
    let busyEnd = context.nowNanos + configuration.busyNanos
    let faults = SimulatedFaults(context: context, cluster: self, endNanos: busyEnd)
    self.faults = faults
    faults.planNext()
    let mapChanges = SimulatedMapChanges(context: context, cluster: self, endNanos: busyEnd)
    if configuration.changesMap { mapChanges.start() }
    for client in clients { client.planNext() }
    context.run(untilNanos: busyEnd)
    network.faultsHappen = false
    for shard in shards { shard.storage?.faultsEnd() }
    context.run(untilNanos: max(busyEnd, faults.overNanos) + configuration.calmNanos)
    takesCalls = false
    let limit =
      context.nowNanos + configuration.recoveryNanosMax
      + UInt64(configuration.waitMillisMax) * 1_000_000
    context.run(untilNanos: limit) { [self] in callsUnderWay == 0 && isReady }
    if isReady { readEverything() }
    check()
    context.forgetEvents()
    return report()
  }

  /// Shards obey the first map that they are shown: the stranger comes when all have one.
  private func startStranger(_ router: SimulatedRouter) {
    guard shards.contains(where: { $0.core.ownership.map == nil }) else {
      router.start()
      return
    }
    context.after(20_000_000) { [unowned self] in startStranger(router) }
  }

  /// Where there are two maps, one of them has to win: that of the stranger only if all shards lost
  /// their routers while they held no keys.
  private var isReady: Bool {
    guard network.isWhole else { return false }
    let (strangers, others) = (routers.filter { !$0.isObeyed }, routers.filter(\.isObeyed))
    return others.allSatisfy(serves) || !strangers.isEmpty && strangers.allSatisfy(serves)
  }

  /// Whether a router has a link to every shard, and uses them.
  func serves(_ router: SimulatedRouter) -> Bool {
    !router.core.isMapRefused && !router.core.isMapChanging
      && router.members.allSatisfy { router.core.unreachableDetail(shard: $0) == nil }
  }

  /// A shard with keys that a router's map may give to others.
  func shardWithKeysUnderAnotherMap(than router: Int) -> String? {
    guard context.configuration.hasStranger else { return nil }
    let map = routers[router].core.map
    return shards.first { shard in
      guard let other = shard.core.ownership.map, !other.sameContent(as: map) else { return false }
      return shard.core.keyCount > 0
    }?.id
  }

  /// What every key holds in the end, asked over every router: now that nothing fails, each read
  /// has to get its reply.
  private func readEverything() {
    context.freezeTrace()
    // Each read and each walk has the time limit for itself, a walk of many pages over slow links
    // may take most of it. After one that has not ended all the others are made at once.
    var limit = context.nowNanos + context.configuration.recoveryNanosMax
    func awaitEnd() {
      context.run(untilNanos: limit) { [self] in callsUnderWay == 0 }
      if callsUnderWay == 0 { limit = context.nowNanos + context.configuration.recoveryNanosMax }
    }
    for router in routers where serves(router) {
      guard let client = clients.first(where: { $0.router === router && !$0.isPipeline }) else {
        continue
      }
      for key in generator.keys {
        client.read(key.name, key.use == .list ? .wholeList : KeyCall(.get))
        awaitEnd()
      }
      for isScan in [true, false] {
        client.walk(isScan: isScan)
        awaitEnd()
      }
      guard context.configuration.takesBackups else { continue }
      // By then shards have ended the backups that were broken off, of which each may have two.
      context.run(untilNanos: context.nowNanos + Self.backupIdleNanos)
      limit = context.nowNanos + context.configuration.recoveryNanosMax
      client.backUp()
      awaitEnd()
    }
  }

  /// Longer than a shard keeps a backup from which nothing is read.
  private static let backupIdleNanos: UInt64 = 61_000_000_000

  // MARK: - Walks

  /// A walk without a call in progress, if there is one.
  func takeOpenWalk() -> ScanRecord? {
    openWalks.isEmpty ? nil : openWalks.remove(at: context.number(0...openWalks.count - 1))
  }

  /// A call of a walk has ended: another call may continue it.
  private func leave(_ walk: ScanRecord, _ call: SimulatedCall) {
    if walk.isOver { return }
    if call.mustSucceed {
      if walk.isScan || walk.isResumed {
        context.found(.notRecovered, "all is well, and yet it failed: \(call.text)")
        return
      }
      call.client.resume(walk)
    } else if takesCalls, context.chance(0.9) {
      openWalks.append(walk)
    } else {
      walk.giveUp(self)
    }
  }

  // MARK: - Calls

  func newCall(
    of client: SimulatedClient, _ kind: SimulatedCall.Kind,
    _ items: [(key: [UInt8], call: KeyCall)], timeoutNanos: UInt64?, mustSucceed: Bool
  ) -> SimulatedCall {
    let drawsKey = if case .everyShard(.randomKey) = kind { true } else { false }
    let call = SimulatedCall(
      number: calls.count, client: client, kind: kind, sequence: client.sequence,
      items: items.map { key, call in
        let (object, call) = (generator.object(of: key), generator.placed(call, on: key))
        return SimulatedCall.Item(
          key: key, object: object, call: call, checked: call,
          record: history.invoke(client: client.number, key: object, call: call),
          invoked: moment())
      }, timeoutNanos: timeoutNanos, nowNanos: context.nowNanos,
      presenceSince: drawsKey ? presence.begin() : nil, mustSucceed: mustSucceed)
    calls.append(call)
    for item in call.items {
      if let millis = CommandModel.moment(of: item.call) { planDue(item.key, millis) }
    }
    probe.began(call)
    callsUnderWay += 1
    context.note(.invoked, call.number)
    return call
  }

  /// A call names a moment at which its key expires.
  private func planDue(_ key: [UInt8], _ millis: Int64) {
    shards[owner(of: key)].wallClock.name(key, millis)
  }

  /// The place of a call that is about to be submitted.
  func nextOrder() -> Int {
    callsSubmitted += 1
    return callsSubmitted
  }

  func replied(to call: SimulatedCall, _ response: ByteBuffer) {
    let digest = response.withUnsafeReadableBytes { SimulationTrace.digest($0) }
    let outcomes = response.withUnsafeReadableBytes { self.outcomes(of: call, $0) }
    guard let outcomes, outcomes.count == call.items.count else {
      context.found(.unexpectedError, "a reply that can't be read, to \(call.text)")
      end(call, call.items.map { _ in .unknown }, digest)
      return
    }
    context.cover(.replied)
    end(call, outcomes, digest)
  }

  /// A client that reads lines has read the reply.
  func replied(_ call: SimulatedCall, _ outcome: Outcome) {
    context.cover(.replied)
    end(call, [outcome], 0)
  }

  func failed(_ call: SimulatedCall, _ error: CallError) {
    if case .scan(let walk) = call.kind { walk.isResumed = true }
    var outcome = self.outcome(of: error, to: call)
    if case .backup = call.kind, call.mustSucceed {
      context.found(.notRecovered, "all is well, and yet it failed: \(call.text): \(error.message)")
    }
    // A Reset that failed on one shard may have been executed by the others.
    if case .everyShard = call.kind { outcome = .unknown }
    end(call, call.items.map { _ in outcome }, UInt64(error.code.rawValue))
  }

  /// The client waits no longer.
  func gaveUp(_ call: SimulatedCall) {
    guard !call.hasEnded else { return }
    context.note(.gaveUp, call.number)
    if case .scan(let walk) = call.kind { walk.isResumed = true }
    call.client.router.cancel(call)
    end(call, call.items.map { _ in .unknown }, 0)
  }

  /// Every client that makes one call at a time loses patience at the same moment.
  func cancelStorm() {
    for call in calls where !call.hasEnded && !call.client.isPipeline && !call.mustSucceed {
      gaveUp(call)
    }
  }

  /// A slot that goes to another shard during a Reset may be emptied by both of them.
  private func mayHaveEmptiedTwice(_ call: SimulatedCall) -> Bool {
    guard case .everyShard(.reset) = call.kind else { return false }
    return context.configuration.changesMap
  }

  private func end(_ call: SimulatedCall, _ outcomes: [Outcome], _ word: UInt64) {
    guard call.end(nowNanos: context.nowNanos) else {
      context.found(.endedTwice, "a second outcome for \(call.text)")
      return
    }
    if call.holds > 0 {
      context.found(.pausesUnbalanced, "its connection is still held, but it ended: \(call.text)")
    }
    for (place, outcome) in outcomes.enumerated() {
      call.items[place].outcome = outcome
      let item = call.items[place]
      history.complete(item.record, outcome)
      observed.ended(item, call.client.number, outcome, moment(), isLost: probe.isLost(call))
      if mayHaveEmptiedTwice(call), case .ok = outcome {
        history.perhapsAgain(item.record)
        observed.perhapsExecuted(item, client: call.client.number, (item.invoked, moment()))
      }
      if case .ok(let reply) = outcome, let seen = item.seen, seen != reply {
        context.found(.wrongOutcome, "the shard replied \(seen), not: \(call.text)")
      }
      if case .ok(let reply) = outcome {
        learn(reply, to: item)
        cover(reply, to: item.call)
      }
      cover(outcome)
    }
    if call.presenceSince != nil { presence.end() }
    context.note(.ended, call.number, 0, word)
    if call.wasParked { probe.checkEnd(call) }
    if call.isParked {
      context.found(.leak, "it has ended, and its router has it wait: \(call.text)")
    }
    callsUnderWay -= 1
    let hasReplies = outcomes.allSatisfy { if case .ok = $0 { true } else { false } }
    if call.mustSucceed, !call.hasExpired, !hasReplies {
      let links = shards.compactMap { call.client.router.core.unreachableDetail(shard: $0.number) }
      context.found(
        .notRecovered, "all is well, and yet it failed: \(call.text); links away: \(links)")
    }
    call.client.callEnded()
    switch call.kind {
    case .scan(let walk): leave(walk, call)
    case .backup(let backup): backups.end(backup)
    case .oneKey, .manyKeys, .everyShard, .listStream: break
    }
  }

  /// A reply has come: clients know more of the key, and no version may have come twice.
  private func learn(_ reply: KeyReply, to item: SimulatedCall.Item) {
    knowledge[item.key, default: .init()].learn(item.call, reply)
    guard case .versioned = reply, let before = versions.note(item, reply),
      !shards[owner(of: item.key)].wallClock.wentBack
    else { return }
    context.found(
      .versionTwice, "\(HistoryOperation.text(item.key)) had it with \(before): \(reply)")
  }

  // MARK: - What shards do

  /// A shard loses its memory now. Returns the moment and the objects that it may have held, for
  /// `shardRestarts`.
  func shardCrashed(_ shard: SimulatedShard) -> (moment: UInt64, objects: Set<[UInt8]>) {
    probe.crashed(shard)
    guard !context.configuration.keepsData else { return (history.beginWipe(), []) }
    let objects = Set(generator.objects.filter { isKey($0, of: shard) })
    observed.lost(objects, moment())
    return (history.beginWipe(), objects)
  }

  func shardRestarts(
    _ shard: SimulatedShard, since crash: (moment: UInt64, objects: Set<[UInt8]>)
  ) {
    history.endWipe(since: crash.moment) { crash.objects.contains($0) }
  }

  private func isKey(_ key: [UInt8], of shard: SimulatedShard) -> Bool {
    guard context.configuration.changesMap else { return owner(of: key) == shard.number }
    // Only the owner of a slot has keys of it; one without a map has had no router.
    let ownership = shard.core.ownership
    return ownership.map != nil
      && key.withUnsafeBytes { ownership.owns(slot: Slots.slot(of: $0)) }
  }

  /// The number of the shard that a key lives on.
  func owner(of key: [UInt8]) -> Int {
    key.withUnsafeBytes { map.owner(ofSlot: Slots.slot(of: $0)) }
  }

  /// The present moment by the clock of the observed history.
  func moment() -> UInt64 {
    observed.begin(event: context.eventNumber)
    return observed.now()
  }

  /// The present event, from its beginning to its end, by the same clock.
  var presentEvent: (from: UInt64, to: UInt64) {
    observed.begin(event: context.eventNumber)
    return observed.presentEvent
  }

  /// A shard is seen to have executed a call just now: times to live count from there.
  func begins(_ call: SimulatedCall, at shard: Int) {
    let wall = shards[shard].core.context(nowNanos: context.nowNanos).wallMillis
    for place in call.items.indices {
      let item = call.items[place]
      guard let timed = CommandModel.timed(item.call, executedAt: wall) else { continue }
      call.items[place].checked = timed
      history.specify(item.record, timed)
      if let millis = CommandModel.moment(of: timed) { planDue(item.key, millis) }
      context.cover(.timeCounted)
    }
  }

  /// A shard has executed a call on one key, or a part of another call, for the first time, between
  /// two moments or at one; its client may know some day, or never will.
  func executed(
    _ call: SimulatedCall, item place: Int, _ reply: KeyReply,
    _ interval: (from: UInt64, to: UInt64), behindOthersOf connection: Int? = nil
  ) {
    call.items[place].seen = reply
    observed.executed(
      call.items[place], client: call.client.number, reply, interval, behindOthersOf: connection)
  }

  /// A shard has executed a call that waited, and its large reply may never come.
  func executedWithoutReply(_ call: SimulatedCall, _ interval: (from: UInt64, to: UInt64)) {
    call.items[0].isRecorded = true
    observed.executedWithoutReply(call.items[0], client: call.client.number, interval)
  }

  /// A shard that is gone may have executed a call that waited.
  func perhapsExecuted(_ call: SimulatedCall, _ interval: (from: UInt64, to: UInt64)) {
    observed.perhapsExecuted(call.items[0], client: call.client.number, interval)
  }

  /// Puts into the observed history what has no place in it yet: the parts of many-key calls and of
  /// Resets with unknown ids, and the calls whose large replies were not sent to the end, where
  /// their outcome is unknown.
  func noteUntold() {
    for call in calls {
      for item in call.items where item.outcome == .unknown || item.outcome == .pending {
        guard item.seen == nil, !item.isRecorded, probe.mayHaveHappened(item, of: call) else {
          continue
        }
        if let interval = probe.whenExecuted(item, of: call) {
          observed.executedWithoutReply(item, client: call.client.number, interval)
          continue
        }
        observed.mayHaveHappened(
          item, client: call.client.number, probe.whenPerhapsExecuted(item, of: call))
      }
    }
  }
}
