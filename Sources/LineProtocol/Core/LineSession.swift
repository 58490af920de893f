// One connection's conversation, without the connection: bytes in, calls on the node, replies out
// in the order of the requests. Pure; belongs to the event loop of its connection, which executes
// its requests (LineConnection).
//
// Order. Replies wait in `entries` until those before them are written. Calls on one key are made
// as they arrive, because a node keeps their order; any other call is made once everything before
// it has its reply, and later calls are made after its reply. So a connection's commands take
// effect in the order in which they were sent. For the same reason nothing is started after a
// command that waits for a value (BLPOP) until it has its reply.
//
// Limits. No command is started while the maximum is pending (`commandsMax`), while
// `outputBytesMax` of replies wait for the client to read them, or while the node requests a wait.
// The connection is not read then, so the session holds at most the bytes of one read and one
// unfinished request. Large replies are fetched from the node only while they fit
// (LineSession+LargeReplies.swift).

import Commands
import NIOCore
import NodeCore
import RingstoreAPI
import Users

package final class LineSession {
  /// Commands of one connection that may be pending: at first, and at most. With each reply it
  /// is one more; when a large reply has to wait, so few again, because calls in progress have
  /// deadlines and their values are pinned on shards.
  package static let commandsFirst = 32
  package static let commandsMax = 256
  /// If this many bytes of replies wait for the client, further commands wait too; also the bytes
  /// of large replies that are fetched from the node in advance.
  package static let outputBytesMax = 1 << 20
  /// How long a call may take, in nanoseconds, plus the wait that it requests. Shutdown has no
  /// limit.
  package static let callNanosMax: UInt64 = 60_000_000_000

  let port: any LocalDispatcher
  /// The users; nil: every caller may do everything.
  let identity: CallerIdentity?
  /// The user of the connection; nil: the node has no users, or there was no AUTH yet.
  package internal(set) var principal: Principal?
  package let peer: String
  private let clock: () -> UInt64
  private let onWork: () -> Void

  private var parser: LineParser
  private var database: UInt32 = 0
  /// A command that waits until it may be made alone.
  private var held: LineAction?
  /// The commands that were started and whose replies are not written.
  var entries = CircularBuffer<LineEntry>()
  /// The number of the first entry; they are numbered from 0 on.
  private var firstNumber = 0
  private var commandsNow = commandsFirst
  private var isAlone = false
  /// The number of a command that waits for a value.
  private var waitingNumber: Int?
  private var filter: LineTypeFilter?
  private var pauses = 0
  private var inputEnded = false
  private var isDraining = false
  /// No further command is accepted; the connection ends once the replies are written.
  private var isEnding = false
  private var isGone = false
  /// The error in the input, if the session ends because of it.
  package private(set) var endingFailure: LineFailure?

  /// Replies whose turn has come.
  private(set) var output = ByteBuffer()
  /// The node's account of large ones among them.
  private var holdings: [AnyObject] = []
  /// Bytes of replies that wait behind others, and of large ones that are being fetched.
  private(set) var waitingBytes = 0
  var expectedBytes = 0
  /// Calls whose large reply had to wait.
  var creditWaiters: [LocalCall] = [] {
    didSet { if !creditWaiters.isEmpty { commandsNow = Self.commandsFirst } }
  }

  /// - Parameters:
  ///   - clock: nanoseconds, as NIODeadline counts them: deadlines of calls are on that clock.
  ///   - identity: the node's users and the connection's user; nil: the node has no users.
  ///   - peer: the client's address, for logs.
  ///   - onWork: called when there is something to do: call `advance` afterwards, not from within.
  package init(
    port: any LocalDispatcher, limits: LineLimits, clock: @escaping () -> UInt64,
    identity: CallerIdentity? = nil, peer: String = "", onWork: @escaping () -> Void
  ) {
    self.port = port
    self.identity = identity
    self.peer = peer
    self.clock = clock
    self.onWork = onWork
    parser = LineParser(limits)
  }

  // MARK: - Events of the connection

  package func received(_ bytes: ByteBuffer) {
    guard !isEnding else { return }
    parser.append(bytes)
    onWork()
  }

  /// The client sends no more: its commands so far still get replies. It may also be gone
  /// completely, which looks the same, so a command stops waiting for a value: the value it would
  /// remove would be lost. A client that still reads gets the value if it was removed already.
  package func inputClosed() {
    inputEnded = true
    endWaiting()
    onWork()
  }

  private func endWaiting() {
    guard let number = waitingNumber, let index = index(of: number), let call = entries[index].call
    else { return }
    port.endWait(call)
  }

  /// Accepts no further commands. Those in progress get their replies; the first one that has
  /// arrived but not begun gets an error that it was not executed.
  package func drain() {
    isDraining = true
    onWork()
  }

  /// Ends the session with an error after the replies that are due: the node can't serve it.
  package func refuse(_ error: CallError) {
    guard !isEnding else { return }
    respond { $0.writeLine(error: LineError(error)) }
    end(lingering: true)
    onWork()
  }

  /// The connection is gone: calls in progress are cancelled, and no more replies are written.
  package func disconnected() {
    isGone = true
    isEnding = true
    held = nil
    creditWaiters.removeAll()
    filter?.cancel(on: port)
    filter = nil
    let cancelled = entries
    entries.removeAll()
    output = ByteBuffer()
    holdings.removeAll()
    for entry in cancelled { entry.call.map(port.cancel) }
  }

  // MARK: - State for the connection

  /// Whether the session accepts more bytes. Input after the end is discarded.
  package var wantsBytes: Bool { isEnding || (mayStart && !inputEnded) }

  /// Whether every reply is written and no other will follow.
  package var isFinished: Bool { isEnding && entries.isEmpty && !hasOutput }

  /// Whether the client may be sending still: were the connection closed at once, the system would
  /// reset it because of bytes that were not read, and the last reply would be lost.
  package private(set) var shouldLinger = false

  package var hasOutput: Bool { outputBytes > 0 }

  /// Bytes of replies that wait for the connection.
  package var outputBytes: Int { output.readableBytes }

  /// Whether `advance` may make progress after output was accepted.
  package var hasWork: Bool {
    !isGone && (held != nil || !creditWaiters.isEmpty || (mayStart && parser.heldBytes > 0))
  }

  /// Commands without a reply yet, and all that have arrived.
  package var openCommands: Int { entries.count }
  package var commandsReceived: Int { firstNumber + entries.count }

  /// Whether commands are pending, or replies unread.
  package var isBusy: Bool { !entries.isEmpty || hasOutput || held != nil }

  /// Bytes of requests that are held.
  package var heldBytes: Int { parser.heldBytes }

  /// Bytes of replies: those that the client has not read, those that wait for others, and large
  /// ones that are being fetched.
  package var replyBytes: Int { output.readableBytes + waitingBytes + expectedBytes }

  /// Up to this many bytes to write, or nil if there are none.
  package func takeOutput(max: Int) -> ByteBuffer? {
    guard hasOutput else { return nil }
    if output.readableBytes > max { return output.readSlice(length: max) }
    defer {
      output = ByteBuffer()
      holdings.removeAll()
    }
    return output
  }

  // MARK: - Continuing

  /// Starts the commands that may be started, and moves replies whose turn has come to the output.
  package func advance() {
    filter?.sendMore(on: self)
    collectReplies()
    askAgain()
    while !isEnding {
      collectReplies()
      if isDraining { return drainInput() }
      if let action = held {
        guard entries.isEmpty, pauses == 0, hasRoom else { break }
        held = nil
        start(action)
      } else if mayStart {
        guard let event = parser.next() else {
          if inputEnded { endOfInput() }
          break
        }
        take(event)
      } else {
        break
      }
    }
    collectReplies()
    askAgain()
  }

  private var mayStart: Bool {
    !isEnding && held == nil && !isAlone && waitingNumber == nil && pauses == 0 && hasRoom
  }

  private var hasRoom: Bool {
    entries.count < commandsNow && creditWaiters.isEmpty
      && output.readableBytes < Self.outputBytesMax
  }

  private func take(_ event: LineParser.Event) {
    switch event {
    case .failure(let failure):
      port.countError(.unreadableWords)
      if let text = failure.text { respond { $0.writeLine(error: LineError(text)) } }
      if failure.endsConnection {
        endingFailure = failure
        end(lingering: failure != .http)
      }
    case .request(let request):
      let isStranger = !isCallerKnown()
      let context = LineContext(
        database: database, limits: port.limits, isStranger: isStranger, principal: principal)
      request.withWords { words in
        let action = LineCommands.action(words, context)
        if action.isAlone, !entries.isEmpty {
          held = action
        } else {
          start(action)
        }
      }
    }
  }

  private func start(_ action: LineAction) {
    switch action {
    case .reply(let reply): respond { $0.writeImmutableBuffer(reply) }
    case .refuse(let error):
      port.countError(.unreadableWords)
      respond { $0.writeLine(error: error) }
    case .select(let number):
      database = number
      respond { $0.writeLine(text: "OK") }
    case .authenticate(let name, let token): authenticate(name, token)
    case .quit:
      respond { $0.writeLine(text: "OK") }
      end(lingering: true)
    case .callOnKey(let call, let form): if isLetIn() { make(call, form) }
    case .call(let line): if isLetIn() { make(line) }
    case .scan(let line, let type): if isLetIn() { scan(line, type) }
    }
  }

  private var deadlineNanos: UInt64 { clock() &+ Self.callNanosMax }

  private func endOfInput() {
    if let text = parser.finish()?.text { respond { $0.writeLine(error: LineError(text)) } }
    end(lingering: false)
  }

  private func drainInput() {
    if held != nil || parser.next() != nil {
      respond { $0.writeLine(error: .shuttingDown) }
    }
    held = nil
    end(lingering: false)
    collectReplies()
  }

  private func end(lingering: Bool) {
    isEnding = true
    shouldLinger = lingering
    // The buffered requests will not be parsed.
    parser = LineParser(parser.limits)
  }

  // MARK: - Calls

  // The node retains the session as the caller of its calls until they have ended. So their reply
  // handlers may retain it as well.

  private func make(_ call: any KeyedCall, _ form: ReplyForm) {
    let key = form.mayNameKey ? Array(call.key) : []
    let waitNanos = UInt64(call.waitMillis) * 1_000_000
    begin { number in
      if waitNanos > 0 { waitingNumber = number }
      return port.call(call, context(deadlineNanos &+ waitNanos), for: self) {
        [self] outcome in
        var reply = ByteBuffer()
        switch outcome {
        case .success(let response):
          key.withUnsafeBytes { form.write(response, of: $0, into: &reply) }
        case .failure(let error): reply.writeLine(error: LineError(error))
        }
        // A removed value can't be read again, so it is kept even if other replies hold much
        // memory.
        completed(number, reply, isLast: form.mayTake)
      }
    }
    if inputEnded { endWaiting() }
  }

  private func make(_ line: LineCall) {
    isAlone = true
    begin(line, line.command.id == .shutdown ? nil : deadlineNanos) { [self] number, outcome in
      var reply = ByteBuffer()
      switch outcome {
      case .success(let response): line.form.write(response, of: line.request, into: &reply)
      case .failure(let error): reply.writeLine(error: LineError(error))
      }
      if line.command.id == .shutdown, case .success = outcome { end(lingering: false) }
      completed(number, reply)
    }
  }

  private func begin(
    _ line: LineCall, _ deadlineNanos: UInt64?,
    then ended: @escaping (Int, Result<ByteBuffer, CallError>) -> Void
  ) {
    begin { number in
      port.call(
        line.command, request: line.request, context(deadlineNanos), for: self
      ) { outcome in
        ended(number, outcome.flatMap { $0.merged })
      }
    }
  }

  /// Adds an entry, and makes its call.
  private func begin(_ call: (Int) -> LocalCall?) {
    let number = firstNumber + entries.count
    entries.append(LineEntry())
    if let call = call(number), let index = index(of: number) { entries[index].call = call }
  }

  private func index(of number: Int) -> CircularBuffer<LineEntry>.Index? {
    let offset = number - firstNumber
    guard (0..<entries.count).contains(offset) else { return nil }
    return entries.index(entries.startIndex, offsetBy: offset)
  }

  private func completed(_ number: Int, _ reply: ByteBuffer, isLast: Bool = false) {
    guard let index = index(of: number), !isGone else { return }
    expectedBytes -= entries[index].expectedBytes
    entries[index] = kept(reply, isLast: isLast)
    waitingBytes += entries[index].reply?.readableBytes ?? 0
    // A command that runs alone is the only entry.
    isAlone = false
    if waitingNumber == number { waitingNumber = nil }
    onWork()
  }

  /// A page of keys, and then the type of each of them.
  private func scan(_ line: LineCall, _ type: V1.ValueType) {
    let deadline = deadlineNanos
    isAlone = true
    begin(line, deadline) { [self] number, outcome in
      guard !isGone else { return }
      let filter = LineTypeFilter(line, type, deadlineNanos: deadline) { [weak self] reply in
        self?.filter = nil
        self?.completed(number, reply)
      }
      self.filter = filter
      filter.begin(outcome, on: self)
    }
  }

  // MARK: - Replies

  /// Replies to a command that needs no call.
  func respond(_ write: (inout ByteBuffer) -> Void) {
    var reply = ByteBuffer()
    write(&reply)
    waitingBytes += reply.readableBytes
    entries.append(LineEntry(reply: reply))
  }

  private func collectReplies() {
    while let first = entries.first, let reply = first.reply {
      entries.removeFirst()
      if let holding = first.holding { holdings.append(holding) }
      firstNumber += 1
      commandsNow = min(commandsNow + 1, Self.commandsMax)
      waitingBytes -= reply.readableBytes
      if hasOutput {
        if output.readerIndex > output.readableBytes { output.discardReadBytes() }
        output.writeImmutableBuffer(reply)
      } else {
        output = reply
      }
    }
  }
}

/// A command that was started, in the order of the requests.
struct LineEntry {
  /// The call in progress; nil if there is none, or it is not set yet.
  var call: LocalCall?
  /// The reply, once it is there.
  var reply: ByteBuffer?
  /// Bytes of a large reply that is being fetched.
  var expectedBytes = 0
  /// The entry of a large reply in the node's account, while it is kept here.
  var holding: AnyObject?
}

extension LineError {
  static let shuttingDown = LineError("the node is shutting down; the command was not executed")
}

extension LineAction {
  /// Nodes keep the order of calls on one key only.
  var isAlone: Bool {
    switch self {
    case .call, .scan: true
    case .callOnKey, .reply, .refuse, .select, .authenticate, .quit: false
    }
  }
}

// MARK: - Calls from the node

extension LineSession: LocalCaller {
  package var mayCall: Bool { pauses == 0 && !isGone }

  package var samplesCalls: Bool { true }

  package func pauseReading() {
    pauses += 1
  }

  package func resumeReading() {
    pauses -= 1
    onWork()
  }
}
