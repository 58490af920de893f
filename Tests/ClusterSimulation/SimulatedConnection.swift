// One connection between a router's loop and a shard: two directions, each of which keeps the
// order of what it carries, and which break in every way that connections do.
//
// Owns what is in progress on it. One thread.

import NIOCore
import NodeCore

/// What travels.
enum NetworkItem {
  case connect
  case connected
  case refused
  case frame(ByteBuffer)
  case ping
  case pong
  /// The other side ended the stream or the connection, or the network says that it is gone.
  case closed(String)

  /// Bytes of a frame; 0 for all else.
  var byteCount: Int {
    if case .frame(let frame) = self { frame.readableBytes } else { 0 }
  }
}

final class SimulatedConnection {
  enum Phase {
    case connecting, open, closed
  }

  let number: Int
  let router: Int
  let shard: Int
  let lane: LinkLane
  let generation: UInt64
  /// As the router sees it.
  var phase = Phase.connecting
  /// As the shard sees it: whether it has accepted it and not heard of its end.
  var isOpenAtShard = false
  var lastHeardNanos: UInt64 = 0
  var pingSentNanos: UInt64?

  let toShard: Direction
  let toRouter: Direction

  init(
    number: Int, router: Int, shard: Int, lane: LinkLane, generation: UInt64,
    toShard: Direction, toRouter: Direction
  ) {
    self.number = number
    self.router = router
    self.shard = shard
    self.lane = lane
    self.generation = generation
    self.toShard = toShard
    self.toRouter = toRouter
  }
}

/// One direction. What is sent arrives in order, each after its own delay at least.
final class Direction {
  private let context: SimulationContext
  private var underWay: [(number: UInt64, dueNanos: UInt64, item: NetworkItem)] = []
  private var numbers: UInt64 = 0
  private var lastDueNanos: UInt64 = 0
  /// Bytes of frames that are in progress.
  private(set) var bytesUnderWay = 0
  /// Something has left the direction, by arriving or by being lost.
  var moved: () -> Void = {}
  /// Broken: nothing that is sent from now on arrives.
  private(set) var isCut = false
  private let delay: () -> UInt64
  /// Until when nothing arrives; then all of it does at once.
  private var heldUntilNanos: UInt64 = 0
  /// What everything sent from now on takes longer: packets get lost and are sent again, say.
  var jamNanos: UInt64 = 0
  var deliver: (NetworkItem) -> Void = { _ in }

  init(context: SimulationContext, delay: @escaping () -> UInt64) {
    self.context = context
    self.delay = delay
  }

  func send(_ item: NetworkItem) {
    guard !isCut else { return }
    let sabotage = context.configuration.sabotage
    if case .frame = item, sabotage == .losesFrames, context.chance(0.002) { return }
    let overtakes = sabotage == .reordersFrames && context.chance(0.1)
    let earliest = overtakes ? context.nowNanos : lastDueNanos
    enqueue(item, dueNanos: max(earliest, context.nowNanos + delay() + jamNanos))
  }

  /// Breaks it. Of what is in progress a part, drawn at random from none to all, still arrives, at
  /// most `lagNanos` late; then, if given, `notice`.
  func cut(lagNanos: UInt64 = 0, keepsNothing: Bool = false, notice: (NetworkItem, UInt64)? = nil) {
    guard !isCut else { return }
    isCut = true
    let kept = keepsNothing ? [] : underWay.prefix(context.number(0...underWay.count))
    underWay = []
    bytesUnderWay = 0
    lastDueNanos = context.nowNanos
    for entry in kept {
      enqueue(entry.item, dueNanos: max(entry.dueNanos + lagNanos, lastDueNanos))
    }
    if let (item, delayNanos) = notice {
      enqueue(item, dueNanos: max(lastDueNanos, context.nowNanos) + delayNanos)
    }
  }

  /// Holds what is in progress, and what is sent from now on, until then.
  func hold(untilNanos: UInt64) {
    heldUntilNanos = max(heldUntilNanos, untilNanos)
    let held = underWay
    underWay = []
    bytesUnderWay = 0
    for entry in held { enqueue(entry.item, dueNanos: entry.dueNanos) }
  }

  private func enqueue(_ item: NetworkItem, dueNanos: UInt64) {
    let dueNanos = max(dueNanos, heldUntilNanos)
    lastDueNanos = max(lastDueNanos, dueNanos)
    numbers += 1
    let number = numbers
    underWay.append((number, dueNanos, item))
    bytesUnderWay += item.byteCount
    context.at(dueNanos) { [self] in
      // Gone where the direction was cut meanwhile.
      guard let index = underWay.firstIndex(where: { $0.number == number }) else { return }
      let arrived = underWay.remove(at: index).item
      bytesUnderWay -= arrived.byteCount
      deliver(arrived)
      moved()
    }
  }
}
