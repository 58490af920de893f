// A router's core and the cores of its shards, the real ones, with connections between them that a
// transcript's commands control. Each command returns the events, line by line.
//
//   cluster a b             makes shards, and a router with these shards; nothing is started yet
//   start                   starts the router
//   advance 50ms            advances the clock, and runs the timers that are due
//   connect a [lane]        opens both connections to a shard, or one
//   unreachable a           the connections can't be opened
//   deliver [a]             delivers all frames in transit, and those that follow (only to a shard)
//   lose a                  the router loses its connections; the shard doesn't know it yet
//   late a                  delivers frames in transit to the shard on lost connections
//   break a                 both sides lose the connections, with the frames in transit
//   call 1 SET @a v         a client's call; @a is a key of shard a
//   cancel 1                the client of call 1 disconnects
//   leave                   the router's process drains: no call waits for values any longer
//   watch a [times]         the shard checks its links, as it does every half second
//   drain a, restart a      the shard's process drains; is restarted, and empty
//   stranger a cluster      the shard belongs to another cluster from now on, and is empty
//   foreign a a b c         another router with these shards sends a Hello, and disconnects
//   garbage a               a shard sends an undecodable frame
//   disk a 2                the shard's process is restarted with its second data directory; 0:
//                           with none
//   router                  the router's process ends, and another one starts
//   accept a                an operator accepts that the shard has lost its data
//   stabilize               opens connections and delivers frames for some seconds; returns only
//                           the log, and what callers and operators get
//   links                   the state of the links, as the router has it
//
// One thread.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import RouterNode
import ShardNode

final class LinkWorld {
  /// An unknown command.
  struct Misspelt: Error { let command: String }

  private(set) var names: [String] = []
  private(set) var map: SlotMap!
  private(set) var core: RouterCore<TranscriptDriver>!
  private var driver: TranscriptDriver!
  var shards: [ShardCore] = []
  var incarnations: [UInt64] = []
  var folders: [ShardFolder] = []
  private var routersBegun = 0
  var nowNanos: UInt64 = 1_000_000_000
  /// The router's current connections, by shard and lane.
  var connections: [[LinkLane: WireConnection]] = []
  /// Connections that the router has closed or lost, and that their shards still have.
  var lost: [WireConnection] = []
  private(set) var calls: [Int: TranscriptCall] = [:]
  var log: [String] = []

  func say(_ line: String) { log.append(line) }

  /// Executes a command.
  func run(_ command: String) throws -> [String] {
    log = []
    let words = command.split(separator: " ").map(String.init)
    if let shard = words.dropFirst().first.flatMap(names.firstIndex(of:)) {
      try run(words, command, shard)
    } else {
      try runWithoutShard(words, command)
    }
    if core != nil { flush() }
    return log
  }

  private func runWithoutShard(_ words: [String], _ command: String) throws {
    switch (words[0], words.count) {
    case ("cluster", 2...): try makeCluster(Array(words.dropFirst()))
    case ("start", 1): core.tick()
    case ("advance", 2):
      guard let millis = UInt64(words[1].dropLast(2)) else { throw Misspelt(command: command) }
      nowNanos += millis * 1_000_000
      core.tick()
      for shard in shards { shard.endExpired() }
    case ("call", 4...): try call(words)
    case ("cancel", 2):
      if let id = calls[Int(words[1]) ?? 0]?.id { core.cancel(id) }
    case ("leave", 1): core.endParked()
    case ("router", 1): beginRouter()
    case ("stabilize", 1): stabilize()
    case ("links", 1): reportLinks()
    case ("deliver", 1): while deliverToShards(names.indices) || deliverToRouter() {}
    default: throw Misspelt(command: command)
    }
  }

  private func run(_ words: [String], _ command: String, _ shard: Int) throws {
    let number = words.count > 2 ? Int(words[2]) : nil
    switch words[0] {
    case "connect":
      let lane = words.count > 2 ? LinkLane(rawValue: words[2]) : nil
      for lane in lane.map({ [$0] }) ?? LinkLane.allCases { connect(shard, lane) }
    case "unreachable": lose(shard, "connection refused")
    case "lose": lose(shard, "connection reset")
    case "late": deliverLate(shard)
    case "break":
      endConnections(of: shard)
      lose(shard, "connection reset")
    case "deliver": _ = deliverToShards(shard...shard)
    case "watch":
      for _ in 0..<(number ?? 1) {
        nowNanos += LinkProtocol.clockIntervalNanos
        shards[shard].watchLinks()
      }
    case "drain":
      shards[shard].state = .draining
      shards[shard].endParked()
      for lane in LinkLane.allCases {
        guard let connection = connections[shard][lane] else { continue }
        if var frame = connection.session?.drainingFrame() { connection.send(&frame) }
      }
    case "restart": restart(shard, cluster: "test")
    case "stranger": restart(shard, cluster: "other")
    case "foreign": try greetAsAnother(shard, knowing: Array(words.dropFirst(2)))
    case "garbage": garbage(shard)
    case "disk": exchangeDisk(of: shard, number ?? 0)
    case "accept": accept(shard)
    default: throw Misspelt(command: command)
    }
  }

  // MARK: - The cluster

  private func makeCluster(_ names: [String]) throws {
    self.names = names
    map = try Self.map(of: names)
    makeRouter()
    incarnations = names.map { _ in 1 }
    shards = names.indices.map { newShard($0, cluster: "test") }
    folders = names.map { _ in ShardFolder() }
    connections = names.map { _ in [:] }
  }

  private func makeRouter() {
    driver = TranscriptDriver(self)
    core = RouterCore(
      identity: RouterIdentity(cluster: "test", router: "r/\(routersBegun)"), map: map,
      limits: Limits(), linkLimits: LinkLimits(), firstGeneration: 1, seed: 1,
      clock: { [unowned self] in nowNanos }, driver: driver)
    routersBegun += 1
  }

  private func beginRouter() {
    for shard in names.indices {
      endConnections(of: shard)
      giveUp(shard)
      lost = []
    }
    makeRouter()
    core.tick()
  }

  private static func map(of names: [String]) throws -> SlotMap {
    try SlotMap.initial(names.map { ShardDescription(id: $0, address: "\($0):50061") })
  }

  func newShard(_ shard: Int, cluster: String) -> ShardCore {
    var limits = Limits()
    limits.databases = 1
    return ShardCore(
      cluster: cluster, id: names[shard], incarnation: incarnations[shard], version: "0",
      limits: limits, clock: { [unowned self] in nowNanos }, uptimeMillis: { 0 })
  }

  private func restart(_ shard: Int, cluster: String) {
    endConnections(of: shard)
    incarnations[shard] += 1
    shards[shard] = newShard(shard, cluster: cluster)
    lose(shard, "connection reset")
  }

  private func greetAsAnother(_ shard: Int, knowing names: [String]) throws {
    typealias Field = LinkV1.Hello.Field
    let connection = WireConnection(self, shard, .calls, generation: 1)
    connection.accept()
    var hello = ByteBuffer()
    let mark = hello.beginLengthDelimited(LinkV1.RouterFrame.Field.hello)
    hello.write(Field.protocol, UInt64(LinkProtocol.version))
    hello.write(Field.cluster, "test")
    hello.write(Field.router, "r/other")
    hello.write(Field.generation, 1)
    hello.write(Field.expectedShard, self.names[shard])
    SlotMapMessage.write(
      try Self.map(of: names), LineageRecords(), as: Field.map, into: &hello)
    Limits().hashSeed.check(
      cluster: "test", router: "r/other", generation: 1, shard: self.names[shard]
    ).withUnsafeBytes { hello.write(Field.hashSeedCheck, $0) }
    hello.endLengthDelimited(mark)
    connection.receive(hello)
    for frame in connection.toRouter {
      say("\(self.names[shard]) to the other router: \(text(frame))")
    }
    connection.end()
  }

  // MARK: - Calls

  private func call(_ words: [String]) throws {
    guard let number = Int(words[1]),
      let (command, form) = Array(words[2].utf8).withUnsafeBytes(CommandTable.form(called:)),
      let method = command.method
    else { throw Misspelt(command: words.joined(separator: " ")) }
    var request = ByteBuffer()
    let said = words.dropFirst(2).map { Array(meant($0).utf8) }
    try CommandWords.withWords(said) { words throws(ArgumentError) in
      try form.call?(words, 0).write(into: &request)
    }
    calls[number] = TranscriptCall(command: command, form: form, request: request)
    let id = request.withUnsafeReadableBytes {
      core.submit(method, message: $0, in: nil, CallContext(), endsAtDeadline: true, caller: number)
    }
    calls[number]?.id = id
  }

  /// A word; `@a` is a key of shard a.
  private func meant(_ word: String) -> String {
    guard word.first == "@", let shard = names.firstIndex(of: String(word.dropFirst())) else {
      return word
    }
    return key(of: shard)
  }

  private func key(of shard: Int) -> String {
    for number in 0...10_000 {
      let key = "key\(number)"
      let slot = Array(key.utf8).withUnsafeBytes { Slots.slot(of: $0) }
      if map.owner(ofSlot: slot) == shard { return key }
    }
    preconditionFailure("no key belongs to shard \(names[shard])")
  }

  /// A text in which keys are named after their shards.
  func shown(_ text: String) -> String {
    names.indices.reduce(text) { $0.replacing(key(of: $1), with: "@\(names[$1])") }
  }

  /// The number of the call with this id.
  func number(of id: UInt64) -> String {
    calls.first { $0.value.id == id }.map { "call \($0.key)" } ?? "a part"
  }

  // MARK: - State

  private func reportLinks() {
    for (place, name) in names.enumerated() {
      say("\(name): \(core.unreachableDetail(shard: place) ?? "ready")")
    }
    if let reason = core.notServingReason { say("not serving: \(shown(reason))") }
    if core.callsUnderWay > 0 { say("calls in progress: \(core.callsUnderWay)") }
  }
}

/// A client's call.
struct TranscriptCall {
  let command: Command
  let form: CommandForm
  let request: ByteBuffer
  var id: UInt64?
}
