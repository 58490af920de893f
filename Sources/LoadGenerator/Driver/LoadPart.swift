// One event loop's part of a load: its connections, and the core that selects the next call.
// Everything happens on the loop, in callbacks; a call needs no task, promise or timer.
//
// Room is counted in calls that could be sent now, over all connections. A closed loop refills the
// connection that has room, in batches; an open loop uses the connections in turn while calls are
// due, a batch for each.

import GRPC
import NIOCore

final class LoadPart {
  /// The result of a part.
  struct Outcome: Sendable {
    var tally: LoadTally
    var measuredFromNanos: UInt64
    /// When it ended: the end of its time, or of its last call.
    var endNanos: UInt64
    /// CPU time of the thread by the time that passed, both since the warm-up.
    var cpuShare: Double
    var connectionsLost: Int
    /// No connection could be made for as long as a call may take.
    var wasUnreachable: Bool
  }

  /// The settings of a part.
  struct Task: Sendable {
    var core: LoadCore
    var span: LoadSpan
    var isOpenLoop: Bool
    /// Calls in progress on each connection.
    var inFlight: Int
    /// Whether a Get must find its key.
    var mustFind: Bool
  }

  let eventLoop: any EventLoop
  let settings: LoadSettings
  private let target: LoadTarget
  private let requests: LoadRequests
  private let flusher: FlushCoalescer
  var connections: [LoadConnection] = []
  /// Connects that are in progress or due before the first task, and the promise that waits for
  /// them.
  var connecting: (left: Int, promise: EventLoopPromise<Void>)?
  var notBegun: [LoadConnection] = []
  var isClosing = false

  var task: (span: LoadSpan, isOpenLoop: Bool, promise: EventLoopPromise<Outcome>)?
  private var core = LoadCore.none
  var room = 0
  private var roomSinceNanos: UInt64 = 0
  var underWay = 0
  private var place = 0
  var timer: (dueNanos: UInt64, scheduled: Scheduled<Void>)?
  var watch: Scheduled<Void>?
  private var lastEndNanos: UInt64 = 0
  /// When no more calls were sent.
  private var overNanos: UInt64 = 0
  private var isCutShort = false
  var wasUnreachable = false
  var connectionsLost = 0
  var unreachableSinceNanos: UInt64?
  private var cpuFrom: (atNanos: UInt64, cpuNanos: UInt64)?
  private var cpuShare: Double?

  init(
    _ settings: LoadSettings, _ target: LoadTarget, connections count: Int,
    eventLoop: any EventLoop
  ) {
    self.settings = settings
    self.target = target
    self.eventLoop = eventLoop
    requests = LoadRequests(settings)
    flusher = FlushCoalescer(eventLoop: eventLoop)
    connections = (0..<count).map { _ in LoadConnection(self, inFlight: settings.inFlight) }
  }

  var nowNanos: UInt64 { NIODeadline.now().uptimeNanoseconds }

  func makeTransport(owner: LoadConnection) -> any LoadTransport {
    switch settings.way {
    case .unary: UnaryTransport(target, requests, flusher, owner: owner)
    case .pipeline: PipelineTransport(target, requests, flusher, owner: owner)
    case .line:
      OrderedTransport(
        target, LineDialect(target, requests, settings), eventLoop: eventLoop, owner: owner)
    case .resp:
      OrderedTransport(
        target, RESPDialect(target, requests, settings), eventLoop: eventLoop, owner: owner)
    }
  }

  // MARK: - A task

  func begin(_ task: Task) -> EventLoopFuture<Outcome> {
    let promise = eventLoop.makePromise(of: Outcome.self)
    self.task = (task.span, task.isOpenLoop, promise)
    core = task.core
    connectionsLost = 0
    cpuFrom = nil
    cpuShare = nil
    lastEndNanos = 0
    isCutShort = false
    wasUnreachable = false
    requests.mustFind = task.mustFind
    for connection in connections { connection.setInFlight(task.inFlight) }
    room = connections.reduce(0) { $0 + $1.room }
    roomSinceNanos = nowNanos
    arm(task.span.startNanos)
    watchSilence()
    return promise.futureResult
  }

  /// Ends the task early. Calls in progress are waited for.
  func stop() {
    guard task != nil, !core.isOver else { return }
    isCutShort = true
    noMore(at: nowNanos)
  }

  /// The result until now.
  var tally: LoadTally { core.tally }
  var span: LoadSpan? { task?.span }

  private func arm(_ dueNanos: UInt64) {
    if let timer {
      if timer.dueNanos <= dueNanos { return }
      timer.scheduled.cancel()
    }
    let scheduled = eventLoop.assumeIsolated().scheduleTask(
      deadline: .uptimeNanoseconds(dueNanos)
    ) {
      self.timer = nil
      self.pump(at: self.nowNanos)
    }
    timer = (dueNanos, scheduled)
  }

  private func pump(at nowNanos: UInt64) {
    guard let task else { return }
    if cpuFrom == nil, nowNanos >= task.span.measuredFromNanos {
      cpuFrom = (nowNanos, ThreadTime.cpuNanos())
    }
    if task.isOpenLoop {
      spread(at: nowNanos)
    } else {
      for connection in connections where connection.room > 0 { refill(connection, at: nowNanos) }
    }
    // Without calls and replies, the warm-up and the time must still end.
    if self.task != nil, !core.isOver {
      if nowNanos < task.span.measuredFromNanos {
        arm(task.span.measuredFromNanos)
      } else if let end = task.span.endNanos {
        if nowNanos >= end { noMore(at: nowNanos) } else { arm(end) }
      }
    }
  }

  func roomCame(_ connection: LoadConnection, at nowNanos: UInt64) {
    guard let task else { return }
    if task.isOpenLoop { spread(at: nowNanos) } else { refill(connection, at: nowNanos) }
  }

  private func refill(_ connection: LoadConnection, at nowNanos: UInt64) {
    let batch = settings.batch
    while connection.room >= batch {
      for _ in 0..<batch {
        guard makeNext(core.next(at: nowNanos), on: connection, at: nowNanos) else { return }
      }
      connection.flush()
    }
  }

  private func spread(at nowNanos: UInt64) {
    while room > 0 {
      let connection = connections[place]
      place = place + 1 < connections.count ? place + 1 : 0
      var left = min(settings.way == .unary ? 1 : settings.batch, connection.room)
      while left > 0 {
        left -= 1
        let next = core.next(at: nowNanos, roomSinceNanos: roomSinceNanos)
        guard makeNext(next, on: connection, at: nowNanos) else { return }
      }
      connection.flush()
    }
  }

  /// Makes the next call. Returns false if there is none now.
  private func makeNext(
    _ next: LoadCore.Next, on connection: LoadConnection, at nowNanos: UInt64
  ) -> Bool {
    switch next {
    case .call(let call):
      send(call, on: connection, at: nowNanos)
      return true
    case .wait(let until):
      arm(until)
      connection.flush()
    case .over:
      connection.flush()
      noMore(at: nowNanos)
    }
    return false
  }

  private func send(_ call: PlannedCall, on connection: LoadConnection, at nowNanos: UInt64) {
    underWay += 1
    room -= 1
    connection.send(call, at: nowNanos)
  }

  func ended(
    _ flight: CallsInFlight.Flight, _ outcome: CallOutcome, received: Int, at nowNanos: UInt64,
    isOpen: Bool
  ) {
    underWay -= 1
    if isOpen { gains(room: 1, at: nowNanos) }
    lastEndNanos = nowNanos
    core.finished(
      flight.call, at: nowNanos, outcome, sent: flight.requestBytes, received: received)
    if underWay == 0 { endIfOver(at: nowNanos) }
  }

  func gains(room more: Int, at nowNanos: UInt64) {
    if room == 0 { roomSinceNanos = nowNanos }
    room += more
  }

  func loses(room less: Int) { room -= less }

  // MARK: - The end

  private func noMore(at nowNanos: UInt64) {
    noteOver(at: nowNanos)
    core.finish(at: nowNanos)
    endIfOver(at: nowNanos)
  }

  /// The measured time is over for this part's thread.
  private func noteOver(at nowNanos: UInt64) {
    guard cpuShare == nil else { return }
    overNanos = min(nowNanos, task?.span.endNanos ?? nowNanos)
    guard let from = cpuFrom, nowNanos > from.atNanos else {
      cpuShare = 0
      return
    }
    cpuShare =
      Double(ThreadTime.cpuNanos() - from.cpuNanos) / Double(nowNanos - from.atNanos)
  }

  func endIfOver(at nowNanos: UInt64) {
    guard core.isOver, underWay == 0, let task else { return }
    noteOver(at: nowNanos)
    self.task = nil
    watch?.cancel()
    watch = nil
    timer?.scheduled.cancel()
    timer = nil
    // Replies after the end of its time belong to calls that were due before.
    let ranOut = !isCutShort && overNanos < task.span.endNanos ?? .max
    task.promise.succeed(
      Outcome(
        tally: core.tally, measuredFromNanos: task.span.measuredFromNanos,
        endNanos: ranOut ? lastEndNanos : overNanos, cpuShare: cpuShare ?? 0,
        connectionsLost: connectionsLost, wasUnreachable: wasUnreachable))
  }
}
