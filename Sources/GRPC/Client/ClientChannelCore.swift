// The heart of a ClientChannel: one connection, made when a call needs it and made again when it is
// lost. Lives on the channel's event loop.
//
//   idle --call--> connecting --SETTINGS--> ready --GOAWAY, lost--> idle
//                  connecting --failed--> idle, and closed to calls until the backoff has passed
//
// A call during the backoff fails at once, unless it waits until ready.

import NIOCore

/// A call that needs a connection. All on the event loop.
protocol ConnectionWaiter: AnyObject {
  var waitsForReady: Bool { get }
  /// When waiting is over; nil: never.
  var deadlineNanos: UInt64? { get }
  /// The core's, while the call is parked.
  var parkTimer: Scheduled<Void>? { get set }
  func connectionReady(_ connection: ClientConnection)
  func connectionUnavailable(_ status: RPCStatus)
}

final class ClientChannelCore {
  /// Makes a connection; calls back once, on the loop, never from within.
  typealias Connector = (
    any ClientConnectionDelegate, @escaping (Result<ClientConnection, ConnectionLoss>) -> Void
  ) -> Void

  private enum State {
    case idle
    case connecting
    case ready(ClientConnection)
    case closed
  }

  let eventLoop: any EventLoop
  let configuration: ClientChannelConfiguration
  private let connector: Connector
  private var random: any RandomNumberGenerator
  private var backoff: Backoff
  private var state = State.idle
  private var waiters: [any ConnectionWaiter] = []
  /// Connections that went away and still have calls.
  private var leaving: [ClientConnection] = []
  private var lastFailure: ConnectionLoss?
  private var closedUntilNanos: UInt64 = 0
  private var reconnectTimer: Scheduled<Void>?

  init(
    eventLoop: any EventLoop, configuration: ClientChannelConfiguration,
    random: any RandomNumberGenerator, connector: @escaping Connector
  ) {
    self.eventLoop = eventLoop
    self.configuration = configuration
    self.random = random
    self.connector = connector
    backoff = configuration.backoff
  }

  var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  /// Gives the waiter a connection, now or as soon as there is one, or an error.
  func request(_ waiter: any ConnectionWaiter) {
    eventLoop.assertInEventLoop()
    // A connection ends its calls before it reports its own end; their retries arrive here first.
    if case .ready(let connection) = state, connection.isGoingAway { leave(connection) }
    switch state {
    case .ready(let connection):
      waiter.connectionReady(connection)
    case .closed:
      waiter.connectionUnavailable(RPCStatus(.unavailable, "the client was closed"))
    case .connecting:
      park(waiter)
    case .idle:
      if nowNanos >= closedUntilNanos {
        park(waiter)
        connect()
      } else if waiter.waitsForReady {
        park(waiter)
        reconnectLater()
      } else {
        waiter.connectionUnavailable(unavailable)
      }
    }
  }

  /// Removes a waiter that has ended for other reasons.
  func forget(_ waiter: any ConnectionWaiter) {
    waiter.parkTimer?.cancel()
    waiter.parkTimer = nil
    waiters.removeAll { $0 === waiter }
  }

  /// Takes no more calls. `gracefully`: those in progress finish first.
  func close(gracefully: Bool) {
    let connection: ClientConnection? = if case .ready(let ready) = state { ready } else { nil }
    state = .closed
    reconnectTimer?.cancel()
    reconnectTimer = nil
    tellWaiters { $0.connectionUnavailable(RPCStatus(.unavailable, "the client was closed")) }
    for old in leaving where !gracefully { old.close() }
    guard let connection else { return }
    if gracefully { connection.shutdownGracefully() } else { connection.close() }
  }

  private var unavailable: RPCStatus {
    RPCStatus(.unavailable, lastFailure?.description ?? "not connected")
  }

  private func park(_ waiter: any ConnectionWaiter) {
    guard waiters.count < configuration.maxWaitingCalls else {
      waiter.connectionUnavailable(
        RPCStatus(.resourceExhausted, "too many calls wait for a connection"))
      return
    }
    waiters.append(waiter)
    guard let deadline = waiter.deadlineNanos else { return }
    let now = nowNanos
    let delay = deadline > now ? Int64(clamping: deadline - now) : 0
    waiter.parkTimer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) {
      self.forget(waiter)
      let reason = self.lastFailure.map { " (\($0))" } ?? ""
      waiter.connectionUnavailable(
        RPCStatus(.deadlineExceeded, "the deadline passed while connecting\(reason)"))
    }
  }

  private func leave(_ connection: ClientConnection) {
    if !connection.isClosed { leaving.append(connection) }
    state = .idle
  }

  private func connect() {
    guard case .idle = state else { return }
    state = .connecting
    connector(self) { self.connected($0) }
  }

  private func connected(_ result: Result<ClientConnection, ConnectionLoss>) {
    guard case .connecting = state else {
      if case .success(let connection) = result { connection.close() }
      return
    }
    switch result {
    case .success(let connection):
      backoff.reset()
      lastFailure = nil
      closedUntilNanos = 0
      state = .ready(connection)
      tellWaiters { request($0) }
    case .failure(let loss):
      lastFailure = loss
      closedUntilNanos = nowNanos &+ backoff.nextNanos(using: &random)
      state = .idle
      tellWaiters { waiter in
        guard waiter.waitsForReady else { return waiter.connectionUnavailable(unavailable) }
        park(waiter)
        reconnectLater()
      }
    }
  }

  /// Each waiter in turn, without the list: it may change meanwhile.
  private func tellWaiters(_ body: (any ConnectionWaiter) -> Void) {
    let waiting = waiters
    waiters = []
    for waiter in waiting {
      waiter.parkTimer?.cancel()
      waiter.parkTimer = nil
      body(waiter)
    }
  }

  private func reconnectLater() {
    guard reconnectTimer == nil else { return }
    let now = nowNanos
    let delay = closedUntilNanos > now ? Int64(clamping: closedUntilNanos - now) : 0
    reconnectTimer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) {
      self.reconnectTimer = nil
      if !self.waiters.isEmpty { self.connect() }
    }
  }
}

extension ClientChannelCore: ClientConnectionDelegate {
  func connectionGoingAway(_ connection: ClientConnection) {
    guard case .ready(let current) = state, current === connection else { return }
    leave(connection)
  }

  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) {
    leaving.removeAll { $0 === connection }
    if case .ready(let current) = state, current === connection { state = .idle }
  }
}
