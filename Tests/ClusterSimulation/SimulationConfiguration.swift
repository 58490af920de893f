// What a simulated cluster is made of and what happens to it. The seed decides all the rest.
//
// Owns nothing. Values; any thread.

import RingstoreAPI
import RouterNode

package struct SimulationConfiguration: Sendable {
  package var name = "ordinary"

  // MARK: The cluster

  package var routers = 2
  package var shards = 3
  /// The bounds of the routers' links.
  package var linkLimits = LinkLimits()
  /// The slot map that a new cluster gets; otherwise one of three ranges, whose Hello is a
  /// thousand times shorter.
  package var usesInitialMap = false
  /// The last router was started with another list of shards: the shards obey the others.
  package var hasStranger = false

  /// Whether wall clocks of shards may be set. It is known of each key whose clock it goes by only
  /// where keys stay with their shards.
  package var clocksJump: Bool { !changesMap && !hasStranger && !keepsData }

  /// Routers change the list of shards while calls are in progress.
  package var changesMap = false

  /// Requests and responses longer than this go over the bulk lane, and large ones in pieces of
  /// the other size: small bounds, so that small clusters meet them.
  package var bulkBytesMin = 64
  package var pieceBytesMax = 24

  /// Shards commit what was changed after this long at most, and hold replies until then; 0: what
  /// is executed is committed.
  package var commitNanosMax: UInt64 = 0

  /// Shards keep their data on disks, and have it again after a crash.
  package var keepsData = false

  /// Clients make backups now and then.
  package var takesBackups = false

  /// Replies leave later than what they tell of is executed.
  var commitsLate: Bool { commitNanosMax > 0 || keepsData }

  // MARK: Its clients

  package var keys = 10
  /// Clients that make one call at a time, of each router.
  package var clientsPerRouter = 4
  /// Clients that send batches without waiting for replies, of each router.
  package var pipelinesPerRouter = 2
  /// Clients that send lines without waiting for replies, of each router.
  package var lineClientsPerRouter = 0
  /// Longest time between a reply and the client's next call.
  package var pauseNanosMax: UInt64 = 80_000_000
  package var callsOfPipelineMax = 12
  /// How long calls wait for values at most, and how many of a Pipeline do.
  package var waitMillisMax = 3_000
  package var parkedOfPipelineMax = 2

  // MARK: The course of events

  /// Calls are made and faults happen for this long ...
  package var busyNanos: UInt64 = 2_200_000_000
  /// ... and calls alone for this long.
  package var calmNanos: UInt64 = 200_000_000
  /// The longest that the cluster may take from the end of the last fault until each link is ready
  /// and each call has ended: a dead peer (2 s), a connect and a Hello that hang (3 s and 5 s), and
  /// the longest back-offs between.
  package var recoveryNanosMax: UInt64 = 15_000_000_000
  package var faults = FaultConfiguration()
  package var network = NetworkConfiguration()

  /// A defect put in on purpose, to see that it is found.
  package var sabotage: Sabotage?

  package init() {
    linkLimits.handedOverBytesMin = 2 * bulkBytesMin
  }

  /// Links that are nearly always full: calls wait, clients aren't read, calls are refused.
  package static var overloaded: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "overloaded"
    configuration.linkLimits.callsInFlightMax = 4
    configuration.linkLimits.bytesInFlightMax = 400
    configuration.linkLimits.bulkCallsInFlightMax = 2
    configuration.linkLimits.bulkBytesInFlightMax = 400
    configuration.linkLimits.waitNanosMax = 60_000_000
    configuration.linkLimits.waitingBytesMax = 600
    configuration.linkLimits.frameBytes = 48
    configuration.pauseNanosMax = 8_000_000
    configuration.waitMillisMax = 150
    configuration.busyNanos = 200_000_000
    configuration.calmNanos = 50_000_000
    configuration.faults.intervalNanosMax = 40_000_000
    configuration.faults.downNanosMax = 100_000_000
    configuration.faults.stallNanosMax = 300_000_000
    configuration.faults.drainNanosMax = 100_000_000
    configuration.callsOfPipelineMax = 20
    configuration.network.delayNanosMax = 8_000_000
    return configuration
  }

  /// The same with clients that speak lines.
  package func withLines() -> SimulationConfiguration {
    var configuration = self
    configuration.name += ", lines"
    configuration.lineClientsPerRouter = 2
    return configuration
  }

  /// The same with shards that keep their data.
  package func withData() -> SimulationConfiguration {
    var configuration = self
    configuration.name += ", disks"
    configuration.keepsData = true
    configuration.commitNanosMax = 0
    // They don't forget which of two maps they obey.
    configuration.faults.shardsDie = true
    return configuration
  }

  /// The same with backups.
  package func withBackups() -> SimulationConfiguration {
    var configuration = self
    configuration.name += ", backups"
    configuration.takesBackups = true
    return configuration
  }

  /// The same with shards that die all the time, and are soon back.
  package func withManyDeaths() -> SimulationConfiguration {
    var configuration = self
    configuration.faults.intervalNanosMax = 60_000_000
    configuration.faults.downNanosMax = 100_000_000
    return configuration
  }

  /// Two routers with different slot maps. Shards that forget the map they obey would take the
  /// other one, so they stay.
  package static var withStranger: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "two maps"
    configuration.hasStranger = true
    configuration.faults.shardsDie = false
    return configuration
  }

  /// A network, and shards, that hold what routers send for much longer than these wait.
  package static var withHeldLinks: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "held links"
    configuration.faults.holdNanosMax = 30_000_000_000
    configuration.faults.stallNanosMax = 15_000_000_000
    configuration.pauseNanosMax = 400_000_000
    configuration.waitMillisMax = 20_000
    return configuration
  }

  /// A network whose connections get stuck again and again before they break: much of what was sent
  /// arrives when a newer connection is there already, at shards that are still the same.
  package static var withLateFrames: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "late frames"
    configuration.faults.shardsDie = false
    configuration.faults.intervalNanosMax = 100_000_000
    configuration.network.breaksYoung = 0.3
    configuration.network.jamNanosMax = 2_000_000_000
    return configuration
  }

  /// Shards that commit late: each reply that tells of a change waits for it.
  package static var withLateCommits: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "late commits"
    configuration.commitNanosMax = 30_000_000
    return configuration
  }

  /// The ordinary cluster with the slot map of a new one. Slower: each Hello carries it.
  package static var withInitialMap: SimulationConfiguration {
    var configuration = SimulationConfiguration()
    configuration.name = "initial map"
    configuration.usesInitialMap = true
    return configuration
  }
}

/// How often something breaks. A run takes part of the kinds only, drawn from its seed: rare
/// combinations come up sooner that way than with all kinds at once.
package struct FaultConfiguration: Sendable {
  /// Time from one fault to the next, at most.
  package var intervalNanosMax: UInt64 = 350_000_000
  /// Whether shards crash and drain.
  package var shardsDie = true
  /// How long a crashed shard stays away, at most.
  package var downNanosMax: UInt64 = 1_500_000_000
  /// How long a stopped shard stays stopped, at most: longer than a router waits for a sign of
  /// life.
  package var stallNanosMax: UInt64 = 3_500_000_000
  /// How long a shard that is asked to stop still replies, at most.
  package var drainNanosMax: UInt64 = 600_000_000
  /// Whether disks stall, where shards have any.
  package var disksStall = false
  /// How long the network holds what a router sends to a shard, at most.
  package var holdNanosMax: UInt64 = 0

  package init() {}
}

package struct NetworkConfiguration: Sendable {
  /// What a frame takes at most, on a good day.
  package var delayNanosMax: UInt64 = 1_000_000
  /// What frames take at most that got stuck.
  package var stuckNanosMax: UInt64 = 300_000_000
  /// What frames take at most on a connection that is about to break.
  package var jamNanosMax: UInt64 = 700_000_000
  /// How likely it is that a connect fails though the shard is there.
  package var connectFailure = 0.05
  /// How likely it is that a connection breaks soon after it has come up.
  package var breaksYoung = 0.06

  package init() {}
}

/// Defects of routers, shards or the network that the simulation has to find.
package enum Sabotage: Sendable, CaseIterable {
  /// The router sends a write whose outcome is unknown a second time, over the next connection.
  case resendsWrites
  /// The router says of writes that were sent, and may have been executed, that they were not.
  case hidesUnknownOutcomes
  /// The router replies to reads now and then with what it heard last.
  case repliesFromMemory
  /// The shard executes what older connections bring after a newer one's Hello.
  case ignoresFence
  /// The shard executes what comes too late, and keeps connections on which nothing comes.
  case ignoresAge
  /// The shard takes the map of each router for the one that it has.
  case ignoresMaps
  /// The shard serves what a map gives it before the map is in force.
  case servesTooSoon
  /// Frames of one connection overtake each other.
  case reordersFrames
  /// A frame gets lost and the connection lives on.
  case losesFrames
  /// A frame to a shard arrives twice.
  case repeatsFrames
  /// The router puts large calls aside and sends them later, past smaller ones on their keys.
  case delaysLargeCalls
  /// The shard sends the end of a large reply twice.
  case repliesTwice
  /// The shard leaves the keys out of a slice.
  case skipsSlices
  /// The router puts a part of an older view of the list into a stream.
  case mixesViews
  /// The replies to two lines change places.
  case mixesLines
  /// The shard appends what it is to append twice.
  case appendsTwice
  /// The shard's wall clock is behind, so that keys are seen after their time.
  case expiresLate
  /// The shard doesn't notice that its wall clock was set.
  case missesClockJumps
  /// The shard takes no notice of the version, or the value, that a key must have.
  case ignoresVersions, ignoresValues
  /// The shard replies to a Set with another value than the one before.
  case tellsOtherPrevious
  /// The versions that the shard tells come again and again.
  case repeatsVersions
  /// The shard's replies to Touch count a key too many.
  case miscountsTouched
  /// The shard takes lists for strings where it is to inspect them.
  case inspectsWrong
  /// The shard leaves out the last key of an MSetIfAbsent.
  case setsSomeKeys
  /// The router replies to RandomKey with a key that there isn't.
  case drawsMissingKeys
  /// The shard's replies to Append and StrLen count a byte too many.
  case miscounts
  /// The shard gives a value to another than the one that has waited longest.
  case servesOutOfTurn
  /// The shard gives what one call takes that waited to another as well.
  case servesTwice
  /// The shard takes values for calls that waited and tells them that there was nothing.
  case losesValues
  /// The shard never ends calls that wait.
  case neverEndsWaits
  /// The shard doesn't hear that callers are gone.
  case losesCancels
  /// The shard has more calls wait than it may.
  case parksTooMany
  /// The shard doesn't know which calls that waited have run when their link broke, and calls none
  /// of them so, or all.
  case forgetsRuns, knowsNoRuns
  /// The shard lets replies go before what they tell of is written.
  case repliesBeforeWrite
  /// The shard forgets at its start what it has written last.
  case forgetsLastBatch
  /// The shard keeps its data, and tells routers that it doesn't.
  case hidesThatItRecovers
  /// A key of each shard is missing in backups.
  case leavesKeysOut
}
