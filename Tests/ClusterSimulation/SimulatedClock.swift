// The wall clock of one shard's machine, which may be set, and what that means for keys that
// expire.
//
// A shard asks for it now and then. From the moment at which it has been told another time than it
// had to expect, its keys go by that: an operation of its own in each of their histories.
//
// Owns how far the clock is off, and the moments at which keys may be due. One thread.

final class SimulatedClock {
  private let context: SimulationContext
  private unowned let cluster: SimulatedCluster
  private let shard: Int
  /// How far it is ahead of the simulation's, as its shard knows and as it is.
  private var known: Int64 = 0
  private var real: Int64 = 0
  /// How often the shard has noticed that it was set.
  private var timesSet = 0
  /// Moments at which keys expire, and which of them the shard may be at.
  private var moments: [(key: [UInt8], millis: Int64)] = []
  private var underWay = 0
  /// Whether it was ever set back.
  private(set) var wentBack = false

  init(_ shard: Int, _ context: SimulationContext, _ cluster: SimulatedCluster) {
    (self.shard, self.context, self.cluster) = (shard, context, cluster)
  }

  /// The shard asks.
  func read() -> Int64 {
    // While some key's moment has come, and it isn't certain that the shard has seen it, the jump
    // waits until the shard asks again.
    if real != known, underWay == 0 { notice() }
    let late: Int64 = context.configuration.sabotage == .expiresLate ? 60 : 0
    let missed = context.configuration.sabotage == .missesClockJumps ? known : 0
    return context.wallMillis + known - missed - late
  }

  /// It is set.
  func set(byMillis change: Int64) {
    // What has expired is gone by then.
    lookAtAll()
    real += change
  }

  private func notice() {
    context.cover(real > known ? .clockSetForward : .clockSetBack)
    wentBack = wentBack || real < known
    known = real
    timesSet += 1
    let now = context.wallMillis + known
    cluster.clockWasSet(of: shard, to: now)
    for (key, millis) in moments where millis > now { plan(key, millis) }
  }

  private func lookAtAll() {
    let shard = cluster.shards[shard]
    for key in cluster.generator.keys where cluster.owner(of: key.name) == shard.number {
      _ = shard.holds(key.name)
    }
  }

  // MARK: - Moments

  /// A call has named a moment at which a key expires.
  func name(_ key: [UInt8], _ millis: Int64) {
    moments.append((key, millis))
    plan(key, millis)
  }

  /// From a moment of the wall clock on a key that expires then isn't there: an operation of its
  /// own in the key's history. A shard may see the moment a millisecond late.
  private func plan(_ key: [UInt8], _ millis: Int64) {
    let due = max(context.nanos(ofWall: millis - known), 1)
    let number = timesSet
    context.at(due - 1) { [unowned self] in
      guard number == timesSet else { return }
      // A clock that was set, which the shard may not have noticed, would leave it open whether it
      // has seen the moment.
      if real != known { _ = cluster.shards[shard].holds(key) }
      guard number == timesSet else { return }
      underWay += 1
      let moment = cluster.becomesDue(key, millis)
      context.at(due + Self.dueNanosMax) { [unowned self] in
        if real != known { _ = cluster.shards[shard].holds(key) }
        underWay -= 1
        cluster.wasDue(moment)
      }
    }
  }

  private static let dueNanosMax: UInt64 = 2_000_000
}

extension SimulatedCluster {
  /// An object in which a key may be due.
  struct DueMoment {
    let object: [UInt8]
    let call: KeyCall
    let record: History.CallID
    let from: UInt64
  }

  /// A shard goes by another time from now on.
  func clockWasSet(of shard: Int, to millis: Int64) {
    for object in generator.objects where owner(of: object) == shard {
      let call = KeyCall.clock(millis)
      let record = history.invoke(client: HistoryOperation.wiper, key: object, call: call)
      history.complete(record, .ok(.done))
      let now = moment()
      observed.wasDue(object, call, now, now)
    }
  }

  func becomesDue(_ key: [UInt8], _ millis: Int64) -> DueMoment {
    let (object, call) = (generator.object(of: key), generator.placed(.due(millis), on: key))
    let record = history.invoke(client: HistoryOperation.wiper, key: object, call: call)
    return DueMoment(object: object, call: call, record: record, from: moment())
  }

  func wasDue(_ due: DueMoment) {
    history.complete(due.record, .ok(.done))
    observed.wasDue(due.object, due.call, due.from, moment())
    context.cover(.keyDue)
    for shard in shards { presence.look(at: shard) }
  }
}
