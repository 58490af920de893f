// The connections of a transcript's cluster: frames are sent when they are made, and arrive when
// the transcript delivers them.

import NIOCore
import NodeCore
import RingstoreAPI
import RouterNode
import ShardNode

/// A connection of a link: the frames in transit in both directions, and the shard's session.
final class WireConnection: LinkPort {
  let shard: Int
  let lane: LinkLane
  let generation: UInt64
  var toShard: [ByteBuffer] = []
  var toRouter: [ByteBuffer] = []
  private(set) var session: LinkSession?
  private unowned let world: LinkWorld
  private(set) var bytesReceived = 0
  private(set) var wasAccepted = false

  init(_ world: LinkWorld, _ shard: Int, _ lane: LinkLane, generation: UInt64) {
    self.world = world
    self.shard = shard
    self.lane = lane
    self.generation = generation
  }

  var isWritable: Bool { true }
  private var name: String { "\(world.names[shard]) \(lane)" }

  /// The shard has accepted it.
  func accept() {
    wasAccepted = true
    session = LinkSession(lane, core: world.shards[shard], port: self)
  }

  func send(_ frame: inout ByteBuffer) {
    toRouter.append(frame)
  }

  /// A frame arrives at the shard.
  func receive(_ frame: ByteBuffer) {
    bytesReceived += frame.readableBytes
    guard let session else { return }
    if case .end(_, let reason) = frame.withUnsafeReadableBytes({ session.receive($0) }) {
      world.say("\(name): the shard ends it: \(reason)")
      self.session = nil
    }
  }

  func close(_ reason: String) {
    world.say("\(name): the shard closes it: \(reason)")
    session = nil
  }

  /// The shard loses the connection.
  func end() {
    session?.lost()
    session = nil
    (toShard, toRouter) = ([], [])
  }
}

extension LinkWorld {
  func dial(_ shard: Int, generation: UInt64) {
    for lane in LinkLane.allCases {
      connections[shard][lane] = WireConnection(self, shard, lane, generation: generation)
    }
  }

  func connect(_ shard: Int, _ lane: LinkLane) {
    guard let connection = connections[shard][lane] else { return }
    connection.accept()
    core.linkConnected(shard: shard, lane: lane, generation: connection.generation)
  }

  /// The router loses its connections, or closes them.
  func giveUp(_ shard: Int) {
    for lane in LinkLane.allCases {
      guard let connection = connections[shard].removeValue(forKey: lane) else { continue }
      if connection.session != nil { lost.append(connection) }
    }
  }

  func lose(_ shard: Int, _ reason: String) {
    let had = connections[shard]
    giveUp(shard)
    for lane in LinkLane.allCases {
      guard let connection = had[lane] else { continue }
      core.linkLost(
        shard: shard, lane: lane, generation: connection.generation, reason: reason)
    }
  }

  /// The shard loses all its connections.
  func endConnections(of shard: Int) {
    for lane in LinkLane.allCases { connections[shard][lane]?.end() }
    for connection in lost where connection.shard == shard { connection.end() }
    lost.removeAll { $0.shard == shard }
  }

  /// Sends the router's frames.
  func flush() {
    for shard in names.indices {
      for lane in LinkLane.allCases {
        while let frame = core.takeFrame(shard: shard, lane: lane) {
          connections[shard][lane]?.toShard.append(frame.joined)
        }
      }
    }
  }

  /// Returns whether any frame was in transit.
  func deliverToShards(_ among: some Sequence<Int>) -> Bool {
    var isAny = false
    for shard in among {
      for lane in LinkLane.allCases {
        guard let connection = connections[shard][lane] else { continue }
        let frames = connection.toShard
        connection.toShard = []
        for frame in frames {
          isAny = true
          say("\(names[shard]) \(lane) <- \(text(toShard: frame))")
          connection.receive(frame)
        }
      }
    }
    return isAny
  }

  func deliverToRouter() -> Bool {
    var isAny = false
    for shard in names.indices {
      for lane in LinkLane.allCases {
        guard let connection = connections[shard][lane] else { continue }
        let frames = connection.toRouter
        connection.toRouter = []
        for frame in frames where connections[shard][lane] === connection {
          isAny = true
          say("\(names[shard]) \(lane) -> \(text(frame))")
          frame.withUnsafeReadableBytes {
            core.linkReceived(
              shard: shard, lane: lane, generation: connection.generation, frame: $0)
          }
          flush()
        }
      }
    }
    return isAny
  }

  /// Delivers frames that were in transit to the shard when the router lost its connections.
  func deliverLate(_ shard: Int) {
    for connection in lost where connection.shard == shard {
      let frames = connection.toShard
      connection.toShard = []
      for frame in frames {
        say("\(names[shard]) \(connection.lane), late <- \(text(toShard: frame))")
        connection.receive(frame)
      }
      for frame in connection.toRouter {
        say("\(names[shard]) \(connection.lane), discarded -> \(text(frame))")
      }
      connection.toRouter = []
    }
  }

  func garbage(_ shard: Int) {
    guard let connection = connections[shard][.calls] else { return }
    [UInt8](repeating: 0xff, count: 9).withUnsafeBytes {
      core.linkReceived(shard: shard, lane: .calls, generation: connection.generation, frame: $0)
    }
  }
}
