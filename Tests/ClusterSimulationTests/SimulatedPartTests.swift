// Parts of the simulation in situations that few runs come to: what a stop on a disk that fails
// leaves, and which calls count as executed whose replies were not sent.
//
// Owns nothing. Any thread; a cluster of each test's own.

import Commands
import LogFiles
import NIOCore
import NodeCore
import RingstoreAPI
import ShardNode
import SimulatedDisk
import Testing

@testable import ClusterSimulation

@Suite struct SimulatedPartTests {
  private static let key = Array("k".utf8)
  private static let waitNanosMax: UInt64 = 1_000_000_000

  /// A shard with this policy, which has loaded its data.
  private func started(_ policy: FsyncPolicy) throws -> (SimulatedCluster, SimulatedShard) {
    let clusters = try (1...20).map {
      try SimulatedCluster(seed: $0, SimulationConfiguration().withData())
    }
    for cluster in clusters {
      guard let shard = cluster.shards.first(where: { $0.storage?.policy == policy }) else {
        continue
      }
      start(shard, of: cluster)
      return (cluster, shard)
    }
    throw NotFound()
  }

  private struct NotFound: Error {}

  private func start(_ shard: SimulatedShard, of cluster: SimulatedCluster) {
    shard.start()
    run(cluster) { shard.core.state != .loading }
  }

  private func run(_ cluster: SimulatedCluster, until isDone: () -> Bool) {
    cluster.context.run(untilNanos: cluster.context.nowNanos + Self.waitNanosMax, isDone: isDone)
  }

  /// The process sets the key, and may reply.
  private func set(at shard: SimulatedShard, of cluster: SimulatedCluster) throws {
    let call = KeyCall(.set, [Array("v".utf8)])
    var (request, response) = (ByteBuffer(), ByteBuffer())
    call.write(key: Self.key, into: &request)
    _ = try request.withUnsafeReadableBytes {
      try shard.core.execute(
        UInt32(CommandID.set.rawValue), $0, into: &response,
        shard.core.context(nowNanos: cluster.context.nowNanos))
    }
    shard.eventHandled()
    let log = try #require(shard.core.log)
    run(cluster) { shard.core.gate.committed >= log.latest }
    #expect(shard.core.gate.committed >= log.latest)
  }

  /// What was acknowledged is in the system's cache at least. The process ends with an error, and
  /// the machine continues.
  @Test(arguments: FsyncPolicy.allCases, [true, false])
  func aStopKeepsWhatWasAcknowledgedEvenIfTheDiskFails(policy: FsyncPolicy, fails: Bool) throws {
    let (cluster, shard) = try started(policy)
    defer { cluster.context.forgetEvents() }
    let disk = try #require(shard.storage).disk
    try set(at: shard, of: cluster)
    if fails {
      disk.setFault(.error(FileErrorCode.inputOutput), atCall: disk.calls + 1)
    }
    shard.crash(.clean)
    let isClean = cluster.context.coverage[.closedClean] != nil
    // Only `never` is sure to have something left to sync.
    if policy == .never { #expect(isClean == !fails) }
    start(shard, of: cluster)
    #expect(shard.holds(Self.key))
  }

  @Test(arguments: [true, false])
  func aCallWhoseRefusalIsHeldDoesNotCountAsExecuted(isRefused: Bool) throws {
    let cluster = try SimulatedCluster(seed: 1, SimulationConfiguration().withData())
    let connection = cluster.network.connect(router: 0, shard: 0, lane: .calls, generation: 1)
    let request = ByteBuffer()
    var (frame, held) = (ByteBuffer(), ByteBuffer())
    request.withUnsafeReadableBytes {
      frame.append(
        LinkV1.RouterFrame.Field.calls,
        LinkV1.LinkCall(id: 1, method: UInt32(CommandID.incrBy.rawValue), request: $0))
      if isRefused {
        held.writeReply(.link, id: 1, error: .shardUnavailable("a", "it is not ready"))
      } else {
        held.writeReply(.link, id: 1, response: $0)
      }
    }
    cluster.probe.takes(frame, connection)
    cluster.probe.hasRead(connection, isOpen: true, heldForState: held)
    let call = ExecutionObserver.CallKey(router: 0, id: 1)
    #expect((cluster.probe.heldCalls[call] == nil) == isRefused)
  }
}
