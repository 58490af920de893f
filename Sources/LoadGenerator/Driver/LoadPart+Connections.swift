// The connections of a part: opening them, reopening lost ones, and closing those whose calls get
// no replies. On the part's event loop.

import GRPC
import NIOCore

extension LoadPart {
  /// Connects that one part has in progress at once.
  private static let connectsMax = 64
  /// The pause before a lost connection is made again.
  private static let reconnectPause = TimeAmount.milliseconds(200)

  /// Makes all connections. Fails with the first that can't be made.
  func connect() -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    connecting = (connections.count, promise)
    notBegun = connections.reversed()
    for _ in 0..<min(Self.connectsMax, connections.count) { notBegun.popLast()?.connect() }
    return promise.futureResult
  }

  func opened(_ connection: LoadConnection) {
    if isClosing { return connection.close() }
    let now = nowNanos
    unreachableSinceNanos = nil
    gains(room: connection.room, at: now)
    if var connecting = self.connecting {
      connecting.left -= 1
      self.connecting = connecting.left > 0 ? connecting : nil
      if connecting.left == 0 { return connecting.promise.succeed() }
      notBegun.popLast()?.connect()
    } else {
      roomCame(connection, at: now)
    }
  }

  func lost(_ connection: LoadConnection, _ failure: CallFailure) {
    if let connecting = self.connecting {
      self.connecting = nil
      notBegun = []
      return connecting.promise.fail(LoadFailure(failure.message))
    }
    if isClosing { return }
    if task != nil { connectionsLost += 1 }
    unreachableSinceNanos = unreachableSinceNanos ?? nowNanos
    eventLoop.assumeIsolated().scheduleTask(in: Self.reconnectPause) {
      if !self.isClosing { connection.connect() }
    }
    endIfOver(at: nowNanos)
  }

  /// Of calls that stayed without replies for too long.
  private var noReply: CallFailure {
    CallFailure(
      code: "DEADLINE_EXCEEDED", reason: "NO_REPLY",
      message: "no reply within \(LoadText.fixed(settings.timeoutSeconds, 1)) s; the connection "
        + "was closed")
  }

  private func isSilent(since sentNanos: UInt64, at nowNanos: UInt64) -> Bool {
    Double(nowNanos) - Double(sentNanos) >= settings.timeoutSeconds * 1e9
  }

  func close() {
    isClosing = true
    connecting?.promise.fail(LoadFailure("closed"))
    connecting = nil
    watch?.cancel()
    timer?.scheduled.cancel()
    for connection in connections { connection.close() }
  }

  /// Looks now and then whether a call has stayed without a reply for too long, or no connection
  /// can be made.
  func watchSilence() {
    let pause = Int64(min(settings.timeoutSeconds / 4, 1) * 1e9)
    watch = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(max(pause, 10_000_000))) {
      guard self.task != nil else { return }
      let now = self.nowNanos
      for connection in self.connections {
        if let oldest = connection.oldestSentNanos, self.isSilent(since: oldest, at: now) {
          connection.close(for: self.noReply)
        }
      }
      if let since = self.unreachableSinceNanos, self.room == 0, self.underWay == 0,
        self.isSilent(since: since, at: now)
      {
        self.wasUnreachable = true
        self.stop()
      }
      if self.task != nil { self.watchSilence() }
    }
  }
}
