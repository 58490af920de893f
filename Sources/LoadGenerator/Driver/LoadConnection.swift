// One of a load's connections: the calls in progress on it, and its transport, which is made again
// when it is lost. Belongs to its part, on the part's event loop.

import GRPC
import NIOCore
import StatusCodes

final class LoadConnection: LoadTransportOwner {
  /// Owns this connection, so it outlives it.
  private unowned(unsafe) let part: LoadPart
  private var transport: (any LoadTransport)?
  private var calls: CallsInFlight
  private var isOpen = false
  /// Why it is being closed here: its calls fail with that.
  private var closedFor: CallFailure?

  init(_ part: LoadPart, inFlight: Int) {
    self.part = part
    calls = CallsInFlight(max: inFlight)
  }

  /// How many more calls it accepts now.
  var room: Int { isOpen ? calls.room : 0 }
  var inFlight: Int { calls.count }
  var oldestSentNanos: UInt64? { calls.oldestSentNanos }

  func connect() {
    let transport = part.makeTransport(owner: self)
    closedFor = nil
    self.transport = transport
    transport.connect()
  }

  /// There must be room for it.
  func send(_ call: PlannedCall, at nowNanos: UInt64) {
    let id = calls.add(call, at: nowNanos)
    guard let bytes = transport?.write(call, id: id) else { return }
    calls.setRequestBytes(bytes, of: id)
  }

  func flush() { transport?.flush() }

  /// Ends the connection, and so the calls in progress; another one follows.
  func close(for failure: CallFailure? = nil) {
    closedFor = failure
    transport?.close()
  }

  /// How many calls it may have in progress from now on. There must be none.
  func setInFlight(_ most: Int) { calls = CallsInFlight(max: most) }

  // MARK: - LoadTransportOwner

  func opened() {
    isOpen = true
    part.opened(self)
  }

  func goingAway() {
    guard isOpen else { return }
    part.loses(room: calls.room)
    isOpen = false
  }

  func call(_ id: UInt64) -> PlannedCall? { calls.call(id) }

  func replied(_ id: UInt64, _ outcome: CallOutcome, received: Int) {
    calls.setReply(outcome, bytes: received, of: id)
  }

  func ended(_ id: UInt64, _ failure: CallFailure?, at nowNanos: UInt64) {
    guard let flight = calls.remove(id) else { return }
    let outcome: CallOutcome =
      failure.map { .failed(closedFor ?? $0) } ?? flight.reply?.outcome
      ?? .failed(.wrongReply("the call ended with OK but without a reply"))
    part.ended(
      flight, outcome, received: flight.reply?.bytes ?? 0, at: nowNanos, isOpen: isOpen)
  }

  func ended(_ id: UInt64, _ outcome: CallOutcome, received: Int, at nowNanos: UInt64) {
    guard let flight = calls.remove(id) else { return }
    part.ended(flight, outcome, received: received, at: nowNanos, isOpen: isOpen)
  }

  func endedAll(at nowNanos: UInt64) { part.roomCame(self, at: nowNanos) }

  func lost(_ failure: CallFailure) {
    goingAway()
    transport = nil
    let now = NIODeadline.now().uptimeNanoseconds
    let failure = closedFor ?? failure
    for flight in calls.removeAll() {
      part.ended(flight, .failed(failure), received: 0, at: now, isOpen: false)
    }
    part.lost(self, failure)
  }
}
