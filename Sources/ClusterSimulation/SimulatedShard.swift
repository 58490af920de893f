// A shard: the real core and one real session for each connection, in a process that crashes, is
// stopped, drains and comes back.
//
// Owns the core and the sessions of the incarnation that runs. One thread.

import NIOCore
import RingstoreAPI
import ShardNode

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
  private var core: ShardCore
  private var sessions: [Int: ShardConnection] = [:]
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
    core = Self.newCore(id, limits, context)
  }

  private static func newCore(
    _ id: String, _ limits: Limits, _ context: SimulationContext
  ) -> ShardCore {
    ShardCore(
      cluster: SimulatedCluster.name, id: id, incarnation: context.random.next(), version: "0",
      limits: limits, uptimeMillis: { 0 })
  }

  // MARK: - Life

  var isHealthy: Bool { state == .up && !isStalled }

  func start() {
    state = .up
    incarnations += 1
    core = Self.newCore(id, limits, context)
    context.note(.restarted, number, incarnations)
  }

  /// The process is gone, with its memory and its connections.
  func crash() {
    state = .down
    isStalled = false
    sessions = [:]
    inbox = []
    context.note(.crashed, number)
    cluster.network.crash(shard: number)
  }

  /// The process is stopped: it takes nothing in until it goes on.
  func stall() {
    isStalled = true
    context.note(.stalled, number)
  }

  func resume() {
    isStalled = false
    context.note(.resumed, number)
    let arrived = inbox
    inbox = []
    for (item, connection) in arrived { handle(item, connection) }
  }

  /// The process was told to stop: it tells its routers, and goes on answering.
  func drain() {
    state = .draining
    context.note(.draining, number)
    for number in sessions.keys.sorted() { sendDraining(number) }
  }

  private func sendDraining(_ number: Int) {
    guard let known = sessions[number], let frame = known.session?.drainingFrame() else { return }
    cluster.network.sendToRouter(frame, known.connection)
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
    switch item {
    case .connect:
      let isRefused =
        state != .up || context.chance(context.configuration.network.connectFailure)
      guard !isRefused else {
        cluster.network.note(.refused, connection)
        connection.toRouter.send(.refused)
        return
      }
      connection.isOpenAtShard = true
      sessions[connection.number] = ShardConnection(connection, core)
      connection.toRouter.send(.connected)
    case .frame(let frame):
      receive(frame, connection)
    case .ping:
      if sessions[connection.number] != nil { connection.toRouter.send(.pong) }
    case .closed:
      sessions.removeValue(forKey: connection.number)?.session?.lost()
      connection.isOpenAtShard = false
    case .connected, .refused, .pong: break
    }
  }

  private func receive(_ frame: ByteBuffer, _ connection: SimulatedConnection) {
    guard let known = sessions[connection.number], let session = known.session else { return }
    let frame = context.configuration.sabotage == .ignoresFence ? withoutFence(frame) : frame
    let after = frame.withUnsafeReadableBytes { session.receive($0) }
    while core.runTurn() {}
    let output = known.takeOutput()
    let greeting = session.greeting
    session.greeting = nil
    cluster.probe.observed(frame, output, connection, endsStream: after != .goOn)
    for frame in output { cluster.network.sendToRouter(frame, connection) }
    switch greeting {
    case .accepted:
      cluster.network.note(.hello, connection)
      cluster.probe.greeted(connection, incarnation: incarnations)
      if state == .draining { sendDraining(connection.number) }
    case .refused(_, let reason):
      if reason == LinkRefusal.staleGeneration.rawValue {
        context.cover(.helloStale)
      } else {
        context.found(.unexpectedError, "shard \(id) refuses a router: \(reason)")
      }
    case nil: break
    }
    if case .end(let code, let message) = after {
      if code == .aborted { context.cover(.fenced) }
      cluster.network.note(.fenced, connection)
      sessions[connection.number] = nil
      cluster.network.end(connection, message)
    }
  }

  /// The frame, in which each connection comes as a router of its own: none is newer than another.
  private func withoutFence(_ frame: ByteBuffer) -> ByteBuffer {
    guard
      var message = try? Ringstore_Internal_V1_RouterFrame(
        serializedBytes: Array(frame.readableBytesView)), message.hasHello
    else { return frame }
    message.hello.router += " \(message.hello.generation)"
    guard let bytes: [UInt8] = try? message.serializedBytes() else { return frame }
    return ByteBuffer(bytes: bytes)
  }
}

/// A connection as the shard's process has it: the session, and what it has sent.
private final class ShardConnection: LinkPort {
  let connection: SimulatedConnection
  private(set) var session: LinkSession?
  private var output: [ByteBuffer] = []
  let isWritable = true

  init(_ connection: SimulatedConnection, _ core: ShardCore) {
    self.connection = connection
    session = LinkSession(.calls, core: core, port: self)
  }

  func send(_ frame: ByteBuffer) {
    output.append(frame)
  }

  func takeOutput() -> [ByteBuffer] {
    defer { output = [] }
    return output
  }
}
