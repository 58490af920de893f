// The two timers of a client connection: the earliest deadline of its calls, and the watch over a
// silent peer. One scheduled task each, never one for each call.

import NIOCore

extension ClientConnection {
  // MARK: - Deadlines

  func watchDeadline(of call: ClientCall) {
    guard let deadline = call.deadlineNanos, deadline != .max else { return }
    call.deadline = deadlines.insert(deadlineNanos: deadline, call)
    armDeadlineTimer()
  }

  /// Arms the timer for the earliest deadline. A timer that is due earlier stays: it fires once
  /// without effect, which is cheaper than setting it again whenever a call ends.
  private func armDeadlineTimer() {
    guard !isClosed, let next = deadlines.nextDeadlineNanos else { return }
    if let timer = deadlineTimer {
      if timer.dueNanos <= next { return }
      timer.scheduled.cancel()
    }
    let scheduled = schedule(atNanos: next) { connection in
      connection.deadlineTimer = nil
      let now = max(connection.nowNanos, next)
      while let call = connection.deadlines.popExpired(nowNanos: now) {
        call.deadline = nil
        connection.end(call, RPCStatus(.deadlineExceeded, "the deadline passed"))
      }
      connection.armDeadlineTimer()
    }
    deadlineTimer = (next, scheduled)
  }

  // MARK: - Liveness

  /// Begins to watch the peer, if configured. Stops automatically without calls.
  func watchLiveness() {
    guard let interval = configuration.pingInterval, livenessTimer == nil, !isClosed else { return }
    let now = nowNanos
    if liveness == nil {
      liveness = Liveness(
        intervalNanos: UInt64(max(interval.nanoseconds, 1)),
        timeoutNanos: UInt64(max(configuration.pingTimeout.nanoseconds, 1)), nowNanos: now)
    } else {
      liveness?.restart(nowNanos: now)
    }
    lookForLife()
  }

  private func lookForLife() {
    livenessTimer = nil
    // Without calls there is nothing to wait for; the first new call restarts the watch.
    guard !isClosed, openCalls > 0 else { return }
    let channel = context?.channel
    switch liveness?.look(
      nowNanos: nowNanos, unheardNanos: { channel.flatMap(SilentPeers.unheardNanos) })
    {
    case .wait(let nanos):
      lookForLife(inNanos: nanos)
    case .ping(let nanos):
      session.ping(payload: nowNanos)
      markDirty()
      lookForLife(inNanos: nanos)
    case .dead:
      close(reason: .unresponsive)
    case nil:
      break
    }
  }

  private func lookForLife(inNanos nanos: UInt64) {
    livenessTimer = schedule(atNanos: nowNanos &+ nanos) { $0.lookForLife() }
  }

  // MARK: - Both

  func cancelTimers() {
    deadlineTimer?.scheduled.cancel()
    deadlineTimer = nil
    livenessTimer?.cancel()
    livenessTimer = nil
  }

  private func schedule(
    atNanos deadline: UInt64, _ body: @escaping (ClientConnection) -> Void
  ) -> Scheduled<Void> {
    let now = nowNanos
    let delay = deadline > now ? Int64(clamping: deadline - now) : 0
    let bound = NIOLoopBound((self, body), eventLoop: eventLoop)
    return eventLoop.scheduleTask(in: .nanoseconds(delay)) {
      let (connection, body) = bound.value
      body(connection)
    }
  }
}
