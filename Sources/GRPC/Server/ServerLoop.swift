// What all connections of one event loop share: the service, the method cache, the deadlines, the
// output buffer, and the list of connections for sweeps and drains. Lives on that loop.

import HTTP2
import Logging
import NIOCore

/// The server's state on one event loop.
package final class ServerLoop: ListenerLoop {
  package let eventLoop: any EventLoop
  let service: any ServerService
  let configuration: ServerConfiguration
  let flusher: FlushCoalescer
  /// The loop's, that of the flusher.
  let meter: LoopMeter
  /// What the node counts about its connections.
  let connections: NodeConnections
  let logger: Logger
  package let receiveBuffer = SharedReceiveBuffer()
  /// Streams and calls for reuse.
  let streams: HTTP2StreamPool
  /// Built for each status that isn't OK, and cleared at each use.
  let statusBlock = HeaderBlock()
  /// For calls whose messages are compressed.
  let gzip = GzipCodec()
  /// Every flush of this loop uses one buffer: an idle connection holds none.
  var output = ByteBuffer()
  /// What this loop's clients hold, on whatever port they are.
  let clientMemory: ClientMemory

  private var methods = MethodCache()
  /// Spreads the ends of connections that began together; tests pass a fixed source.
  var chance: () -> UInt64 = { .random(in: .min ... .max) }

  private var deadlines = DeadlineQueue<ServerCall>()
  private var timer: Scheduled<Void>?
  private var timerNanos: UInt64 = .max
  let handlers: ConnectionList<GRPCServerHandler>
  private(set) var isDraining = false

  package init(
    eventLoop: any EventLoop, service: any ServerService, configuration: ServerConfiguration,
    connections: NodeConnections = NodeConnections(),
    streams: HTTP2StreamPool = HTTP2StreamPool(streamsMax: HTTP2StreamPool.loopStreamsMax),
    logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.service = service
    self.configuration = configuration
    self.connections = connections
    self.streams = streams
    self.logger = logger
    clientMemory = ClientMemory(
      bytesMax: configuration.clientMemoryBytes, messageBytesMax: configuration.maxMessageBytes,
      connectionBytesMax: configuration.connectionMemoryBytes)
    flusher = service.loopFlusher ?? FlushCoalescer(eventLoop: eventLoop)
    meter = flusher.scheduler.meter
    handlers = ConnectionList(scheduler: flusher.scheduler, sweepNanos: configuration.sweepNanos)
    meter.clientMemory = clientMemory
    clientMemory.join { [weak handlers] in handlers?.offenders ?? MemoryOffenders() }
  }

  /// The loop's clock in nanoseconds.
  var nowNanos: UInt64 { eventLoop.now.uptimeNanoseconds }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    if let method = methods.method(path) { return method }
    guard let method = service.method(path: path) else { return nil }
    methods.keep(method, of: path)
    return method
  }

  // MARK: - Deadlines

  /// Ends `call` with DEADLINE_EXCEEDED at its deadline.
  func watchDeadline(of call: ServerCall, at deadlineNanos: UInt64) {
    call.deadlineNanos = deadlineNanos
    call.deadlineHandle = deadlines.insert(deadlineNanos: deadlineNanos, call)
    if deadlineNanos < timerNanos { arm(deadlineNanos) }
  }

  /// Forgets the call's deadline. The timer is left: it will find nothing to do.
  func forgetDeadline(of call: ServerCall) {
    guard let handle = call.deadlineHandle else { return }
    call.deadlineHandle = nil
    deadlines.remove(handle)
  }

  private func arm(_ deadlineNanos: UInt64) {
    timer?.cancel()
    timerNanos = deadlineNanos
    // A deadline beyond the clock's range is never reached; it is set to one year.
    let yearNanos: UInt64 = 31_536_000_000_000_000
    let bounded = min(deadlineNanos, nowNanos &+ yearNanos)
    timer = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(bounded)) {
      self.deadlinesDue()
    }
  }

  private func deadlinesDue() {
    timerNanos = .max
    timer = nil
    let now = nowNanos
    while let call = deadlines.popExpired(nowNanos: now) {
      call.deadlineHandle = nil
      call.handler?.deadlinePassed(call)
    }
    if let next = deadlines.nextDeadlineNanos, next < timerNanos { arm(next) }
  }

  // MARK: - Connections

  func add(_ handler: GRPCServerHandler) { handlers.add(handler) }

  func remove(_ handler: GRPCServerHandler) { handlers.remove(handler) }

  package var connectionCount: Int { handlers.count }

  package var scheduler: LoopScheduler { flusher.scheduler }

  package func makeHandler(_ connection: AcceptedConnection) throws -> any ChannelHandler {
    try GRPCServerHandler(
      loop: self, place: connection.place, peer: connection.peer,
      openedNanos: connection.openedNanos, writer: connection.writer)
  }

  package func drain() -> [EventLoopFuture<Void>] {
    isDraining = true
    let ends = handlers.all.compactMap { $0.context?.channel.closeFuture }
    for handler in handlers.all { handler.beginDrain() }
    return ends
  }

  package func closeNow() {
    for handler in handlers.all { handler.closeNow(.drainTimeout) }
  }

  // MARK: - Memory

  /// The memory of the loop's clients, in bytes.
  package var clientBytes: Int { clientMemory.bytes }
}
