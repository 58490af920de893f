// A client of the cluster: one that makes a call and waits for its end, or one with a Pipeline that
// sends batches and does not wait.
//
// Owns its own course; the router it talks to owns the calls' way. One thread.

import Commands
import RingstoreAPI

final class SimulatedClient {
  let number: Int
  let isPipeline: Bool
  unowned let router: SimulatedRouter
  let connection: ClientConnection
  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  private var underWay = 0
  /// Calls of a Pipeline that wait for values.
  private(set) var parked = 0
  private(set) var sequence = 0
  private var isPlanned = false

  init(
    number: Int, isPipeline: Bool, router: SimulatedRouter, connection: ClientConnection,
    context: SimulationContext, cluster: SimulatedCluster
  ) {
    self.number = number
    self.isPipeline = isPipeline
    self.router = router
    self.connection = connection
    self.context = context
    self.cluster = cluster
  }

  private var caller: CallGenerator.Caller {
    CallGenerator.Caller(client: number, sequence: sequence)
  }

  /// Continues after a pause, as long as clients make calls at all.
  func planNext() {
    guard !isPlanned else { return }
    isPlanned = true
    context.after(context.nanos(upTo: context.configuration.pauseNanosMax)) {
      [unowned self] in
      isPlanned = false
      act()
    }
  }

  private func act() {
    guard cluster.takesCalls else { return }
    guard isPipeline else {
      makeCall()
      return
    }
    sendBatch()
    planNext()
  }

  private func sendBatch() {
    guard underWay < context.configuration.callsOfPipelineMax else { return }
    send((0..<context.number(1...5)).map { _ in newOneKeyCall() })
  }

  /// A call of a client that makes one at a time.
  private func makeCall() {
    if context.configuration.takesBackups, context.chance(0.02) {
      return send([newCall(.backup(cluster.backups.begin()), [])])
    }
    let dice = context.number(0...199)
    switch dice {
    case ..<20:
      let calls = ManyKeyCalls.all[dice % ManyKeyCalls.all.count]
      let items = cluster.generator.items(of: calls, by: caller, random: &context.random)
      send([newCall(.manyKeys(calls), items)])
    case 20...27:
      let commands: [CommandID] = [.dbSize, .keys, .describe, .randomKey]
      send([newCall(.everyShard(commands[dice % 4]), [])])
    case 28:
      send([newCall(.everyShard(.reset), cluster.generator.keys.map { ($0.name, .wipe) })])
    case 29...40:
      let list = cluster.generator.list(random: &context.random)
      send([newCall(.listStream, [(list, cluster.generator.range(random: &context.random))])])
    case 41...56:
      let walk = cluster.takeOpenWalk() ?? ScanRecord(isScan: dice < 50, cluster)
      send([newCall(.scan(walk), [])])
    default:
      send([newOneKeyCall()])
    }
  }

  /// Walks over all keys, which has to succeed.
  func walk(isScan: Bool) {
    resume(ScanRecord(isScan: isScan, cluster))
  }

  /// Makes a backup that has to succeed.
  func backUp() {
    send([newCall(.backup(cluster.backups.begin()), [], mustSucceed: true)])
  }

  /// Makes the next call of a walk that has to succeed.
  func resume(_ walk: ScanRecord) {
    send([newCall(.scan(walk), [], mustSucceed: true)])
  }

  /// Makes one call on a key that has to get its reply.
  func read(_ key: [UInt8], _ call: KeyCall) {
    send([newCall(.oneKey, [(key, call)], mustSucceed: true)])
  }

  private func newOneKeyCall() -> SimulatedCall {
    let (key, call) = cluster.generator.oneKey(
      by: caller, wallMillis: context.wallMillis,
      waitMillisMax: context.configuration.waitMillisMax,
      // When a call was executed is seen where its reply leaves at once.
      countsTimes: !context.configuration.commitsLate,
      overLines: !connection.carriesDeadlines, knowledge: { cluster.knowledge[$0] ?? .init() },
      random: &context.random)
    return newCall(.oneKey, [(key, call)])
  }

  private func newCall(
    _ kind: SimulatedCall.Kind, _ items: [(key: [UInt8], call: KeyCall)], mustSucceed: Bool = false
  ) -> SimulatedCall {
    let hasDeadline = !mustSucceed && connection.carriesDeadlines && context.chance(0.2)
    let call = cluster.newCall(
      of: self, kind, items,
      timeoutNanos: hasDeadline ? 1_000_000 + context.nanosOfAnyScale(upTo: 2_000_000_000) : nil,
      mustSucceed: mustSucceed)
    sequence += 1
    underWay += 1
    return call
  }

  private func send(_ batch: [SimulatedCall]) {
    if !isPipeline { for call in batch { planGivingUp(call) } }
    connection.deliver(batch)
  }

  /// A client that makes one call at a time watches its deadline itself, as a gRPC library and the
  /// server's transport do, and may lose patience before.
  private func planGivingUp(_ call: SimulatedCall) {
    guard !call.mustSucceed else { return }
    if let timeout = call.timeoutNanos {
      context.after(timeout) { [unowned self] in
        if !call.hasEnded { context.cover(.deadlinePassed) }
        cluster.gaveUp(call)
      }
    }
    let waits = call.items.first?.call.model.waits ?? false
    if context.chance(waits ? 0.3 : 0.03) {
      let patience: UInt64 = waits ? 2_000_000_000 : 50_000_000
      context.after(context.nanosOfAnyScale(upTo: patience)) { [unowned self] in
        if !call.hasEnded { context.cover(.cancelled) }
        cluster.gaveUp(call)
      }
    }
  }

  // MARK: - Calls that wait for values

  /// One of its calls waits, and counts as in progress no more. Returns whether it may.
  func parks() -> Bool {
    guard isPipeline else { return true }
    guard parked < context.configuration.parkedOfPipelineMax else { return false }
    parked += 1
    underWay -= 1
    return true
  }

  func unparks() {
    guard isPipeline else { return }
    parked -= 1
    underWay += 1
  }

  // MARK: - Ends

  /// A call has ended. Now and then the client continues at once, inside the event that ended it.
  func callEnded() {
    underWay -= 1
    guard cluster.takesCalls else { return }
    if isPipeline {
      if context.chance(0.03) { sendBatch() }
    } else if context.chance(0.1) {
      makeCall()
    } else {
      planNext()
    }
  }
}

/// A client's connection to a router, as far as reading goes: what comes in while a call waits for
/// room on a link is read later.
class ClientConnection {
  unowned let router: SimulatedRouter
  let context: SimulationContext
  private var unread: [[SimulatedCall]] = []
  private var isPlanned = false
  private var isReading = false
  /// Calls of this connection that wait for room on a link.
  private(set) var holds = 0

  init(router: SimulatedRouter, context: SimulationContext) {
    self.router = router
    self.context = context
  }

  /// Whether calls can have deadlines.
  var carriesDeadlines: Bool { true }

  var isIdle: Bool { holds == 0 && unread.isEmpty }

  /// A batch arrives; batches are read in order, each to its end.
  func deliver(_ batch: [SimulatedCall]) {
    unread.append(batch)
    if holds > 0 {
      for call in batch { context.note(.unread, call.number) }
      context.cover(.heldUnread)
    }
    read()
  }

  private func read() {
    guard !isReading else { return }
    isReading = true
    while holds == 0, !unread.isEmpty { router.place(unread.removeFirst()) }
    isReading = false
  }

  func hold() {
    holds += 1
  }

  func release() {
    holds -= 1
    guard holds == 0, !isPlanned else { return }
    // Some transports continue reading inside the call that allows it.
    if context.chance(0.2) {
      read()
      return
    }
    isPlanned = true
    context.after(context.nanos(upTo: 20_000)) { [unowned self] in
      isPlanned = false
      read()
    }
  }
}
