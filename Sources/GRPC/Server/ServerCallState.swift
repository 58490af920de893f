// The state of a call: towards the service, of its request, of its reply. A value; it owns no
// memory and calls nothing. Its methods take an event and return what is to be done.

/// The state of one call of a server.
struct ServerCallState {
  private enum Stage {
    /// Not begun: the header block isn't complete, or the object is in the pool.
    case waiting
    /// Begun, and held back from the service until `admit`.
    case begun
    /// May go to the service.
    case admitted
    /// The service was notified of the call, so it must be notified of its end.
    case known
    /// Replied to, or ended without a reply.
    case over
  }

  private enum Request {
    case open
    /// A unary call's message is large: the deframer collects it.
    case gathering
    /// The service has all of it.
    case halfClosed
  }

  private enum Reading {
    case flowing
    case paused
  }

  private var stage = Stage.waiting
  private var request = Request.open
  private var reading = Reading.flowing
  /// The call has reached its high water mark and has not come down to the low one since.
  private(set) var isStalled = false
  /// The service is to be notified when the call is writable and its connection has room.
  private(set) var awaitsRoom = false
  /// The call waits until the client has read replies of its connection.
  private(set) var isHeld = false
  /// The service is within a delivery of this call, so its objects must not be reused.
  private(set) var isDelivering = false

  // MARK: - Towards the service

  var isWaiting: Bool { stage == .waiting }

  /// Whether the call has begun and neither has a reply nor was ended.
  var isOpen: Bool {
    switch stage {
    case .begun, .admitted, .known: true
    case .waiting, .over: false
    }
  }

  /// Whether the call may go to the service; see `GRPCServerHandler.admit`.
  var isAdmitted: Bool { stage == .admitted || stage == .known }

  var isKnownToService: Bool { stage == .known }

  mutating func begin() {
    if stage == .waiting { stage = .begun }
  }

  mutating func admit() {
    if stage == .begun { stage = .admitted }
  }

  /// The service is being notified of the call.
  mutating func introduce() {
    if isOpen { stage = .known }
  }

  /// The call has its reply, or is ended. Returns whether the service was notified of it.
  mutating func end() -> Bool {
    defer {
      stage = .over
      isHeld = false
      awaitsRoom = false
    }
    return stage == .known
  }

  /// The call has to wait until replies were read. Returns whether it didn't wait yet.
  mutating func hold() -> Bool {
    guard isOpen, !isHeld else { return false }
    isHeld = true
    return true
  }

  /// Its turn has come. Returns whether it still waits.
  mutating func release() -> Bool {
    defer { isHeld = false }
    return isHeld
  }

  // MARK: - The request

  /// Whether bytes of a unary call's message are looked at.
  var takesMessage: Bool { !isDelivering && request != .halfClosed }
  var isGathering: Bool { request == .gathering }
  var isHalfClosed: Bool { request == .halfClosed }

  mutating func gather() {
    if request == .open { request = .gathering }
  }

  /// The service gets the last of the request.
  mutating func halfClose() { request = .halfClosed }

  mutating func beginDelivery() { isDelivering = true }
  mutating func endDelivery() { isDelivering = false }

  var isReadingPaused: Bool { reading == .paused }

  mutating func pauseReading() { reading = .paused }

  /// Returns whether messages may have been held back, and are to be delivered.
  mutating func resumeReading() -> Bool {
    guard reading == .paused else { return false }
    reading = .flowing
    return isOpen
  }

  // MARK: - The reply

  /// What follows when a stalled call is down to its low water mark.
  enum Drained {
    /// It is notified when its connection has room.
    case queueForRoom
    case tellService
  }

  /// The call is at its high water mark. Returns whether it has just reached it.
  mutating func stall() -> Bool {
    defer { isStalled = true }
    return !isStalled
  }

  mutating func drain() -> Drained {
    isStalled = false
    return awaitsRoom ? .queueForRoom : .tellService
  }

  /// The service waits for room. Returns whether it didn't before.
  mutating func awaitRoom() -> Bool {
    defer { awaitsRoom = true }
    return !awaitsRoom
  }

  /// There is room, and the service is being notified.
  mutating func takeRoom() { awaitsRoom = false }
}
