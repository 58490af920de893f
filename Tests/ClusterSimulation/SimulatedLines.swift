// A client that speaks lines: its connection to a router with the real session of the line
// protocol, whose calls the router's core gets, and a reader of the lines that come back.
//
// Owns the session and what is in progress between it and the client. One thread. A line is written
// for each call, and each reply belongs to the oldest line that has none. A client that closes its
// connection knows nothing of what it was not told.

import Commands
import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import StatusCodes

final class LineClientConnection: ClientConnection {
  /// Bytes that the network brings, or the client reads, at a time.
  private static let pieceBytesMax = 100

  private unowned let cluster: SimulatedCluster
  private let limits: Limits
  private lazy var port = LinePort(self, limits)
  private lazy var session = newSession()
  /// Lines that the session has not read.
  private var unread = ByteBuffer()
  /// Calls whose lines the session has not made calls of, and all that have no reply.
  private var notMade: [SimulatedCall] = []
  private var awaited: [SimulatedCall] = []
  private var replies = LineReplies()
  private var isWorkPlanned = false
  private var isClientReading = true
  /// Calls that came after the client had closed its side: they are made over the next connection.
  private var later: [SimulatedCall] = []
  private var isHalfClosed = false

  init(
    router: SimulatedRouter, limits: Limits, context: SimulationContext, cluster: SimulatedCluster
  ) {
    self.limits = limits
    self.cluster = cluster
    super.init(router: router, context: context)
  }

  override var carriesDeadlines: Bool { false }

  override var isIdle: Bool {
    awaited.isEmpty && later.isEmpty && unread.readableBytes == 0 && !session.isBusy
  }

  private func newSession() -> LineSession {
    LineSession(
      port: port, limits: LineLimits(limits), clock: { [context] in context.nowNanos },
      onWork: { [unowned self] in planWork() })
  }

  override func deliver(_ batch: [SimulatedCall]) {
    if isHalfClosed {
      later += batch
      return
    }
    for call in batch {
      call.items[0].call.writeLine(key: call.items[0].key, into: &unread)
      notMade.append(call)
      awaited.append(call)
    }
    planWork()
  }

  /// The client closes the connection, and comes back over a new one.
  private func close() {
    context.cover(.lineClosed)
    session.disconnected()
    let untold = awaited
    (notMade, awaited) = ([], [])
    comeBack()
    for call in untold { cluster.gaveUp(call) }
  }

  private func comeBack() {
    unread.clear()
    replies = LineReplies()
    session = newSession()
    isHalfClosed = false
    let batch = later
    later = []
    if !batch.isEmpty { deliver(batch) }
  }

  /// The client sends no more over this connection, and reads until its end.
  private func closeSide() {
    context.cover(.lineHalfClosed)
    isHalfClosed = true
    session.inputClosed()
  }

  /// The session has ended the connection.
  private func ended() {
    for call in awaited {
      context.found(.wrongOutcome, "a client that had closed its side got no reply to \(call.text)")
    }
    session.disconnected()
    awaited = []
    comeBack()
  }

  // MARK: - The session's loop

  private func planWork() {
    guard !isWorkPlanned else { return }
    isWorkPlanned = true
    context.after(context.nanos(upTo: 30_000)) { [unowned self] in
      isWorkPlanned = false
      work()
    }
  }

  private func work() {
    if context.chance(0.002) { close() }
    while unread.readableBytes > 0, session.wantsBytes {
      let count = min(context.number(1...Self.pieceBytesMax), unread.readableBytes)
      if let piece = unread.readSlice(length: count) { session.received(piece) }
      session.advance()
    }
    if unread.readableBytes > 0 { context.cover(.lineUnread) }
    if !isHalfClosed, unread.readableBytes == 0, !awaited.isEmpty, context.chance(0.004) {
      closeSide()
    }
    session.advance()
    if isClientReading, context.chance(0.05) { stopReading() }
    guard isClientReading else { return }
    while let bytes = session.takeOutput(max: context.number(1...Self.pieceBytesMax)) {
      replies.append(bytes)
    }
    if session.hasWork || unread.readableBytes > 0 && session.wantsBytes { planWork() }
    while let reply = replies.next() { take(reply) }
    if isHalfClosed, session.isFinished { ended() }
  }

  private func stopReading() {
    isClientReading = false
    context.after(context.nanosOfAnyScale(upTo: 10_000_000)) { [unowned self] in
      isClientReading = true
      planWork()
    }
  }

  private func take(_ reply: LineReplies.Reply) {
    guard !awaited.isEmpty else {
      context.found(.endedTwice, "a line that nothing was asked for: \(reply)")
      return
    }
    let call = awaited.removeFirst()
    if let error = reply.error {
      cluster.failed(call, error)
    } else if let outcome = reply.outcome(of: call) {
      context.cover(.lineReplied)
      cluster.replied(call, outcome)
    } else {
      context.found(.unexpectedError, "the line \(reply) in reply to \(call.text)")
      cluster.replied(call, .unknown)
    }
  }

  // MARK: - The session's calls

  fileprivate func make(_ line: any KeyedCall, _ made: LocalCall) -> LocalCall? {
    guard !notMade.isEmpty else { return nil }
    let call = notMade.removeFirst()
    var request = ByteBuffer()
    line.write(into: &request)
    if request != call.request() {
      context.found(.wrongOutcome, "a line has become another request than \(call.text)")
    }
    call.local = made
    if context.configuration.sabotage == .mixesLines { mix(call) }
    router.place(line, call)
    made.id = call.id ?? 0
    return made.isOver ? nil : made
  }

  /// Now and then two replies to one command change places.
  private func mix(_ call: SimulatedCall) {
    let other = awaited.first {
      $0 !== call && $0.local?.isOver == false && $0.local?.command === call.local?.command
    }
    guard let other, context.chance(0.2) else { return }
    (other.local, call.local) = (call.local, other.local)
  }

  fileprivate func cancel(_ call: LocalCall) {
    if call.id != 0 { router.core.cancel(call.id) }
    call.drop()
    router.eventHandled()
  }

  fileprivate func endWait(_ call: LocalCall) {
    if !call.isOver, call.id != 0 { router.core.endWait(call.id) }
    router.eventHandled()
  }

  fileprivate func takesMore(_ call: LocalCall) {
    if !call.isOver, call.id != 0 { router.core.callerWritable(call.id) }
    router.eventHandled()
  }
}

/// What the session knows of the router.
private final class LinePort: LocalDispatcher {
  private unowned let connection: LineClientConnection
  let limits: Limits

  init(_ connection: LineClientConnection, _ limits: Limits) {
    self.connection = connection
    self.limits = limits
  }

  func call(
    _ call: any KeyedCall, _ context: CallContext, for caller: (any LocalCaller)?,
    reply: @escaping LocalReply
  ) -> LocalCall? {
    connection.make(call, LocalCall(call.command, for: caller, reply: reply))
  }

  func call(
    _ command: Command, request: ByteBuffer, _ context: CallContext,
    for caller: (any LocalCaller)?, reply: @escaping LocalReply
  ) -> LocalCall? {
    preconditionFailure("the simulation's lines are calls on one key")
  }

  func cancel(_ call: LocalCall) { connection.cancel(call) }
  func endWait(_ call: LocalCall) { connection.endWait(call) }
  func countError(_ error: CallError) {}
  func callerTakesMore(_ call: LocalCall) { connection.takesMore(call) }
}

/// The lines that come back to a client.
private struct LineReplies {
  struct Reply {
    /// `+`, `-` or `*`.
    let kind: UInt8
    /// What stands behind it, or the lines of a list.
    let texts: [[UInt8]]
  }

  private var bytes: [UInt8] = []

  mutating func append(_ buffer: ByteBuffer) {
    bytes += buffer.readableBytesView
  }

  mutating func next() -> Reply? {
    var place = 0
    guard let first = Self.line(of: bytes, &place), let kind = first.first else { return nil }
    var texts = [Array(first.dropFirst())]
    if kind == UInt8(ascii: "*") {
      let count = Int(String(decoding: texts[0], as: UTF8.self)) ?? 0
      texts = []
      for _ in 0..<count {
        guard let line = Self.line(of: bytes, &place) else { return nil }
        texts.append(line)
      }
    }
    bytes.removeFirst(place)
    return Reply(kind: kind, texts: texts)
  }

  private static func line(of bytes: [UInt8], _ place: inout Int) -> [UInt8]? {
    guard let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")), end > place else {
      return nil
    }
    defer { place = end + 1 }
    return Array(bytes[place..<end - 1])
  }
}

extension LineReplies.Reply: CustomStringConvertible {
  var description: String {
    String(UnicodeScalar(kind)) + texts.map(HistoryOperation.text).joined(separator: ", ")
  }

  private var text: String { String(decoding: texts.first ?? [], as: UTF8.self) }
  private var isText: Bool { kind == UInt8(ascii: "+") }
  /// There is no such key.
  private var isMissing: Bool { kind == UInt8(ascii: "-") && text.hasPrefix("invalid key ") }

  /// There is no such element.
  private var isNotFound: Bool { kind == UInt8(ascii: "-") && text == "not found" }

  private var isNotMet: Bool { kind == UInt8(ascii: "-") && text == "condition not met" }

  private var isNoPrevious: Bool { kind == UInt8(ascii: "-") && text == "no value before" }

  /// The error that a client reads; nil if it is none.
  var error: CallError? {
    guard kind == UInt8(ascii: "-"), !isMissing, !isNotFound, !isNotMet, !isNoPrevious
    else { return nil }
    let name = text.prefix { $0 != " " }
    let message = String(text.dropFirst(name.count + 1))
    if let reason = ErrorReason(rawValue: String(name)) { return CallError(reason, message) }
    let code = StatusCode.allCases.first { $0.name == name }
    return CallError(code: code ?? .unknown, message: text)
  }

  /// What a client concludes of the reply to a call; nil if it makes no sense.
  func outcome(of call: SimulatedCall) -> Outcome? {
    let model = call.items[0].call.model
    switch (model.form?.reply, kind) {
    case (.ok, UInt8(ascii: "+")) where call.items[0].call.returnsPrevious:
      return .ok(.previous(isDone: true, texts[0]))
    case (.ok, _) where call.items[0].call.returnsPrevious:
      return isNoPrevious ? .ok(.previous(isDone: true, nil)) : nil
    case (.isDone, UInt8(ascii: "+")):
      return text == "1" ? .ok(.done) : text == "0" ? .ok(.notDone) : nil
    case (.ok, UInt8(ascii: "+")): return text == "OK" ? .ok(.done) : nil
    case (.ok, _): return isNotMet ? .ok(.notDone) : nil
    case (.ttl, UInt8(ascii: "+")): return Int64(text).map { .ok(.integer($0)) }
    case (.taken, _) where model.takesMany:
      return isMissing ? .ok(.elements(nil)) : isText ? nil : .ok(.elements(texts))
    case (.inserted, UInt8(ascii: "+")):
      if let count = Int64(text), count > 0 { return .ok(.count(count)) }
      // A line doesn't tell how long a list without the pivot is.
      guard case .notInserted(let length)? = call.items[0].seen, (length == 0) == (text == "0")
      else {
        return .ok(.notInserted(-1))
      }
      return .ok(.notInserted(length))
    case (.popped, UInt8(ascii: "*")):
      guard texts.count == 2 else { return nil }
      let place = call.items[0].call.place(of: texts[0])
      return .ok(.popped(texts[1], from: place))
    case (.popped, _): return isNotFound ? .ok(.value(nil)) : nil
    case (.positions, _):
      guard isNotFound else { return Int(text).map { .ok(.places([$0])) } }
      // Nor whether there is a list.
      if case .places([])? = call.items[0].seen { return .ok(.places([])) }
      return .ok(.places(nil))
    case (.element, _):
      return isNotFound ? .ok(.value(nil)) : isText ? .ok(.value(texts[0])) : nil
    case (.value, _), (.taken, _):
      return isMissing ? .ok(.value(nil)) : isText ? .ok(.value(texts[0])) : nil
    case (.part, UInt8(ascii: "+")): return .ok(.value(texts[0]))
    case (.removed, _): return isMissing ? .ok(.count(0)) : text == "OK" ? .ok(.count(1)) : nil
    case (.count, UInt8(ascii: "+")): return Int64(text).map { .ok(.count($0)) }
    case (.sum, UInt8(ascii: "+")): return Int64(text).map { .ok(.integer($0)) }
    case (.type, UInt8(ascii: "+")):
      let kinds: [String: KeyState.Kind] = ["none": .absent, "string": .string, "list": .list]
      return kinds[text].map { .ok(.type($0)) }
    case (.list, UInt8(ascii: "*")):
      // Lines don't tell an empty list from none.
      guard texts.isEmpty, case .elements(let seen?) = call.items[0].seen, seen.isEmpty else {
        return .ok(.elements(texts.isEmpty ? nil : texts))
      }
      return .ok(.elements([]))
    default: return nil
    }
  }
}
