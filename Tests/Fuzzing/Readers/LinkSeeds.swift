// Courses of events on links, from which FuzzRouters and FuzzShards begin: those of honest peers,
// and some in which they aren't.

import Commands

enum LinkSeeds {
  /// A list of steps, each with its arguments.
  fileprivate static func course(_ steps: [[UInt8]]...) -> [UInt8] {
    Array(steps.joined().joined())
  }

  /// The bits of a step: the bulk lane, the other peer.
  fileprivate static let bulk: UInt8 = 16
  fileprivate static let other: UInt8 = 32

  /// A value of a request.
  fileprivate static let value: [UInt8] = .field(2, [1, 2, 3])
  /// `wait_millis` of a pop.
  fileprivate static let wait: [UInt8] = [0x18, 0xff, 0x7f]
}

// MARK: - What routers do

private struct RouterSteps {
  /// Memory that is kept, and the end of a frame.
  static let kept: UInt8 = 64
  static let sent: UInt8 = 128
  static let bulk = LinkSeeds.bulk
  static let other = LinkSeeds.other

  static func step(
    _ step: RouterStep, _ flags: UInt8 = 0, _ arguments: [UInt8] = []
  ) -> [[UInt8]] {
    [[step.rawValue | flags] + arguments]
  }

  static func call(
    _ id: UInt8, _ command: CommandID, key: UInt8 = 0, _ rest: [UInt8] = [], _ flags: UInt8 = sent
  ) -> [[UInt8]] {
    step(.call, flags, [id, UInt8(command.rawValue), key] + rest.counted)
  }

  static func part(
    _ id: UInt8, _ method: InternalMethod, key: UInt8 = 128, _ rest: [UInt8] = []
  ) -> [[UInt8]] {
    step(.call, sent | bulk, [id, UInt8(method.rawValue), key] + rest.counted)
  }

  /// Both lanes greet, with a map of one shard, and the map comes into force.
  static func link(_ flags: UInt8 = 0) -> [[UInt8]] {
    let hello: [[UInt8]] = step(.hello, flags | sent, [0, 4])
    let second: [[UInt8]] = step(.hello, flags | bulk | sent, [0, 4])
    return hello + second + step(.offer, flags | sent, [3, 4, 0])
  }

  static let large: [[UInt8]] = step(.localWrite, 0, [0, 100, 0]) + step(.turns, 0, [5])
  static let list: [[UInt8]] =
    step(.localWrite, 0, [1, 20, 1]) + step(.localWrite, 0, [1, 40, 1])
}

extension LinkSeeds {
  static let routers: [[UInt8]] = simpleRouters + changingRouters + hostileRouters

  private typealias Steps = RouterSteps

  private static let simpleRouters: [[UInt8]] = [
    course(
      Steps.link(), Steps.call(1, .set, value), Steps.call(2, .get), Steps.step(.turns, 0, [3]),
      Steps.call(3, .delete)),
    course(
      Steps.link(), Steps.large, Steps.call(1, .get),
      Steps.step(.credit, bulk | Steps.sent, [1, 100]), Steps.step(.turns, 0, [9]),
      Steps.step(.credit, bulk | Steps.sent, [1, 208]), Steps.step(.turns, 0, [30])),
    course(
      Steps.link(), Steps.list, Steps.part(1, .listStreamPart, key: 1, [0x20, 1]),
      Steps.step(.credit, bulk | Steps.sent, [1, 209]), Steps.step(.turns, 0, [20]),
      Steps.step(.cancel, bulk | Steps.sent, [1])),
    course(
      Steps.link(), Steps.call(1, .lPop, key: 2, wait), Steps.call(2, .lPop, key: 2, wait),
      Steps.step(.localWrite, 0, [2, 1, 1]), Steps.step(.turns, 0, [5]),
      Steps.step(.cancel, Steps.sent, [2]), Steps.step(.time, 0, [200])),
    course(
      Steps.link(), Steps.link(other), Steps.call(1, .set, value, 0), Steps.call(2, .get, [], 0),
      Steps.call(3, .get, [], Steps.kept), Steps.step(.cancel, 0, [3]), Steps.step(.send),
      Steps.call(1, .get, [], other | Steps.sent)),
    course(
      Steps.link(), Steps.part(1, .keysPart, [0x20, 100]), Steps.part(2, .dbSizePart),
      Steps.part(3, .statsPart), Steps.part(4, .digestPart), Steps.part(5, .backupPart),
      Steps.part(6, .describePart), Steps.step(.turns, 0, [200])),
  ]

  private static let changingRouters: [[UInt8]] = [
    course(
      Steps.link(), Steps.step(.takesOutput, 0, [0]), Steps.call(1, .get), Steps.call(2, .get),
      Steps.step(.takesOutput, 0, [1]), Steps.step(.lost), Steps.step(.connects),
      Steps.step(.hello, Steps.sent, [1, 4])),
    course(
      Steps.link(), Steps.step(.offer, Steps.sent, [2, 9, 0]),
      Steps.step(.offer, Steps.sent, [3, 9, 0]), Steps.call(1, .get, key: 1),
      Steps.call(2, .get, key: 2), Steps.call(3, .get, key: 3), Steps.step(.placedAgain, 0, [1]),
      Steps.call(1, .get, key: 1)),
    course(
      Steps.link(), Steps.call(1, .lPop, key: 2, wait), Steps.step(.drain, 0, [1]),
      Steps.step(.time, 0, [250])),
  ]

  private static let hostileRouters: [[UInt8]] = [
    course(
      Steps.link(), Steps.step(.rawFrame, 0, [UInt8]([0x32, 4, 8, 1, 16, 2]).counted),
      Steps.step(.rawParts, Steps.sent, [UInt8]([0x32, 2, 8, 9, 0x3a, 4, 8, 1, 16, 5]).counted),
      Steps.call(1, .get, key: 96, [3])),
    course(
      Steps.step(.rawFrame, 0, [UInt8]([0x0a, 4, 8, 5, 0x12, 0]).counted),
      Steps.step(.hello, Steps.sent, [4, 4]), Steps.step(.connects),
      Steps.step(.hello, Steps.sent, [8, 4])),
    // One id for two calls in progress.
    course(
      Steps.link(), Steps.call(1, .lPop, key: 2, wait), Steps.call(1, .lPop, key: 3, wait),
      Steps.large, Steps.call(1, .get), Steps.step(.credit, bulk | Steps.sent, [1, 208])),
  ]
}

// MARK: - What shards do

private struct ShardSteps {
  static let bulk = LinkSeeds.bulk
  static let other = LinkSeeds.other

  static func step(
    _ step: ShardStep, _ flags: UInt8 = 0, _ arguments: [UInt8] = []
  ) -> [[UInt8]] {
    [[step.rawValue | flags] + arguments]
  }

  static func submit(_ command: CommandID, key: UInt8 = 0, _ rest: [UInt8] = []) -> [[UInt8]] {
    step(.submit, 0, [UInt8(command.rawValue), 0, key] + rest.counted)
  }

  static func operation(_ choice: UInt8, _ rest: [UInt8] = []) -> [[UInt8]] {
    step(.operation, 0, [choice, 0, 128] + rest.counted)
  }

  /// Both shards reply to one of the calls that they have.
  static func reply(_ call: UInt8, _ flags: UInt8 = 0) -> [[UInt8]] {
    let response: [UInt8] = [call] + [UInt8]([8, 1]).counted
    return step(.reply, flags, response) + step(.reply, flags | other, response)
  }

  static func both(_ what: ShardStep, _ flags: UInt8, _ arguments: [UInt8]) -> [[UInt8]] {
    step(what, flags, arguments) + step(what, flags | other, arguments)
  }

  /// Both lanes of both shards are connected and accepted.
  static let accepted: [[UInt8]] =
    both(.connected, 0, []) + both(.connected, bulk, []) + both(.hello, 0, [16, 5])
    + both(.hello, bulk, [16, 5])
}

extension LinkSeeds {
  static let shards: [[UInt8]] = shardsThatReply + shardsThatChange

  private typealias Shard = ShardSteps
  private static let get = UInt8(CommandID.get.rawValue)
  private static let lPop = UInt8(CommandID.lPop.rawValue)
  private static let request: [UInt8] = .field(1, [0x6b, 0x31])

  private static let shardsThatReply: [[UInt8]] = [
    course(
      Shard.accepted, Shard.submit(.get), Shard.submit(.set, value), Shard.reply(0),
      Shard.reply(1)),
    course(
      Shard.accepted, Shard.submit(.get), Shard.submit(.get, key: 1),
      Shard.both(.notice, 0, [0, 40]), Shard.both(.notice, 0, [1, 40]),
      Shard.both(.part, bulk, [0, 5, 0]), Shard.both(.part, bulk, [1, 5, 0]),
      Shard.both(.part, bulk, [0, 5, 1]), Shard.both(.part, bulk, [1, 5, 1])),
    course(
      Shard.accepted, Shard.submit(.lPop, key: 1, wait), Shard.submit(.lPop, key: 2, wait),
      Shard.both(.parked, 0, [0, lPop] + wait.counted), Shard.step(.lost),
      Shard.step(.time, 0, [20]), Shard.step(.connected), Shard.step(.connected, bulk),
      Shard.step(.hello, 0, [16, 5]), Shard.step(.hello, bulk, [16, 5]), Shard.reply(0)),
    course(
      Shard.accepted, Shard.operation(15, request), Shard.both(.part, bulk, [0, 9, 0]),
      Shard.step(.callerReads, 0, [0]), Shard.both(.part, bulk, [0, 90, 0]),
      Shard.step(.callerReads, 0, [0]), Shard.both(.part, bulk, [0, 9, 1])),
    course(
      Shard.accepted, Shard.operation(2), Shard.operation(3), Shard.operation(6), Shard.reply(0),
      Shard.reply(0, bulk), Shard.reply(1), Shard.reply(1, bulk)),
  ]

  private static let shardsThatChange: [[UInt8]] = [
    course(
      Shard.accepted, Shard.submit(.get), Shard.submit(.get, key: 1),
      Shard.step(.callerGoes, 0, [0]), Shard.both(.returned, 0, [0, get] + request.counted),
      Shard.step(.time, 0, [3]), Shard.reply(0)),
    course(
      Shard.accepted, Shard.step(.map, 0, [33, 10, 0]), Shard.both(.map, 0, [2, 10, 1, 0]),
      Shard.submit(.get), Shard.step(.hello, 0, [1, 5]), Shard.step(.time, 0, [255])),
    course(
      Shard.accepted, Shard.submit(.set, key: 64), Shard.submit(.get), Shard.submit(.set, key: 64),
      Shard.submit(.get), Shard.both(.error, bulk, [0, 1]), Shard.step(.lost, bulk),
      Shard.step(.lost, other)),
    course(
      Shard.accepted, Shard.submit(.get),
      Shard.step(.rawFrame, 0, [UInt8]([0x12, 4, 8, 1, 0x1a, 0]).counted),
      Shard.step(.rawFrame, other, [UInt8]([0x18, 1, 0x20, 9]).counted)),
    // A reply that has begun is returned.
    course(
      Shard.accepted, Shard.submit(.get), Shard.both(.notice, 0, [0, 40]),
      Shard.both(.part, bulk, [0, 5, 0]), Shard.both(.returned, bulk, [0, get] + request.counted)),
    course(
      Shard.step(.connected), Shard.step(.hello, 0, [3, 5]), Shard.step(.time, 0, [100]),
      Shard.step(.connected), Shard.step(.hello, 0, [17, 9]), Shard.submit(.get)),
  ]
}
