// gRPC connections of a load: a call for each request, or batches on one stream. Both on their
// connection's event loop; for a call only the transport itself allocates memory.

import GRPC
import NIOCore
import RingstoreAPI
import StatusCodes

/// What both have: the connection.
class GRPCTransport: ClientConnectionDelegate {
  fileprivate let target: LoadTarget
  fileprivate let requests: LoadRequests
  /// Until it is notified of the end.
  fileprivate var owner: (any LoadTransportOwner)?
  fileprivate var connection: ClientConnection?
  private let eventLoop: any EventLoop
  private let flusher: FlushCoalescer
  private var isClosed = false

  init(
    _ target: LoadTarget, _ requests: LoadRequests, _ flusher: FlushCoalescer,
    owner: any LoadTransportOwner
  ) {
    self.target = target
    self.requests = requests
    self.flusher = flusher
    self.owner = owner
    eventLoop = flusher.scheduler.eventLoop
  }

  func connect() {
    ClientConnection.connect(
      host: target.host, port: target.port, on: eventLoop, configuration: target.connection,
      flusher: flusher, delegate: self
    ) { [self] result in
      switch result {
      case .success(let connection):
        if isClosed { return connection.close() }
        self.connection = connection
        owner?.opened()
      case .failure(let loss): tellLost(.unavailable(loss.description))
      }
    }
  }

  func close() {
    isClosed = true
    connection?.close()
  }

  func connectionGoingAway(_ connection: ClientConnection) { owner?.goingAway() }

  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) {
    self.connection = nil
    tellLost(.unavailable(reason.description))
  }

  fileprivate func tellLost(_ failure: CallFailure) {
    let owner = self.owner
    self.owner = nil
    owner?.lost(failure)
  }

  fileprivate var nowNanos: UInt64 { NIODeadline.now().uptimeNanoseconds }
}

/// A call for each request.
final class UnaryTransport: GRPCTransport, LoadTransport, ClientCallHandler {
  func write(_ call: PlannedCall, id: UInt64) -> Int {
    guard let connection else { return 0 }
    let started = connection.startCall(path: LoadRequests.rpc(call.kind).path, handler: self)
    started.tag = id
    var count = 0
    started.send { count = requests.write(call, into: &$0) }
    started.halfClose()
    return count
  }

  /// The connection writes at the end of the tick.
  func flush() {}

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    guard let owner, let planned = owner.call(call.tag) else { return }
    owner.replied(
      call.tag, requests.outcome(of: planned, response: message), received: message.count)
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    guard let owner else { return }
    let now = nowNanos
    if call.connection.isGoingAway { owner.goingAway() }
    owner.ended(call.tag, status.isOK ? nil : CallFailure(status), at: now)
    owner.endedAll(at: now)
  }
}

/// Batches of calls on one stream, which is opened with the connection and stays open as long.
final class PipelineTransport: GRPCTransport, LoadTransport, ClientCallHandler {
  /// A batch larger than this is sent; it is well below every node's limit.
  private static let batchBytesMax = 1 << 20

  private var stream: ClientCall?
  private var batch = ByteBuffer()
  /// Why the stream has ended; its calls share it.
  private var failure: CallFailure?

  override func connect() {
    MessageFrame.leaveRoom(in: &batch)
    super.connect()
  }

  func write(_ call: PlannedCall, id: UInt64) -> Int {
    let count = requests.write(call, batchID: id, into: &batch)
    if batch.readableBytes > Self.batchBytesMax { flush() }
    return count
  }

  func flush() {
    guard batch.readableBytes > 0, let connection else { return }
    let stream = stream ?? connection.startCall(path: V1.KeyStore.pipeline.path, handler: self)
    self.stream = stream
    stream.send(&batch)
  }

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    let now = nowNanos
    do throws(WireError) {
      for encoded in try V1.ReplyBatch(message, checkingElements: false).replies.encoded {
        take(try V1.Reply(encoded), at: now)
      }
    } catch {
      failure = .wrongReply("the replies can't be decoded: \(error.sentence)")
      return call.cancel()
    }
    owner?.endedAll(at: now)
  }

  private func take(_ reply: V1.Reply, at now: UInt64) {
    guard let owner else { return }
    guard let planned = owner.call(reply.id) else {
      failure = .wrongReply("a reply belongs to no call in progress")
      stream?.cancel()
      return
    }
    let outcome: CallOutcome =
      reply.error.map { .failed(CallFailure($0)) }
      ?? requests.outcome(of: planned, response: reply.response)
    owner.ended(reply.id, outcome, received: reply.response.count, at: now)
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    stream = nil
    failure =
      failure
      ?? (status.isOK ? .unavailable("the stream ended without replies") : CallFailure(status))
    // When the stream ends, its connection is closed too: the next connection starts again.
    owner?.goingAway()
    connection?.close()
  }

  override func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) {
    self.connection = nil
    tellLost(failure ?? .unavailable(reason.description))
  }
}
