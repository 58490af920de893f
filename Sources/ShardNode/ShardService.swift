// A shard's gRPC dispatch: from calls to the core and back. One event loop.

import GRPC
import Logging
import NIOCore
import NodeCore
import RingstoreAPI

final class ShardService: ServerService {
  let core: ShardCore
  private let logger: Logger
  private let localParts: LocalParts
  @exclusivity(unchecked) private var response = ByteBuffer()
  private var links: [ObjectIdentifier: LinkStream] = [:]
  private var isDraining = false

  init(core: ShardCore, eventLoop: any EventLoop, logger: Logger) {
    self.core = core
    self.logger = logger
    let isolated = eventLoop.assumeIsolated()
    localParts = LocalParts(core: core) { work in isolated.execute(work) }
  }

  /// Tells the routers that the shard is leaving; they send nothing new and end their streams.
  func beginDraining() {
    isDraining = true
    core.state = .draining
    for link in links.values { link.sendDraining() }
  }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    MethodRegistry.method(path: path, servesLink: true)
  }

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    // The server's own limit is the links', which carry a batch around a client's message.
    guard message.count <= core.limits.maxMessageBytes else {
      call.fail(CallError.requestTooLarge(message.count, core.limits).status)
      return
    }
    if call.methodID < MethodNumbers.firstFanout {
      oneKey(call, message)
    } else {
      fanout(call, message)
    }
  }

  private func oneKey(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    response.clear()
    do throws(CallError) {
      try core.execute(UInt32(call.methodID), message, into: &response)
      response.withUnsafeReadableBytes { call.respond(message: $0) }
    } catch {
      call.fail(error.status)
    }
    if response.capacity > Self.retainedResponseBytes { response = ByteBuffer() }
  }

  /// Capacity up to which the buffer for responses is kept between calls.
  private static let retainedResponseBytes = 1 << 20

  private func fanout(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    guard let id = CommandID(rawValue: call.methodID) else {
      call.fail(RPCStatus(.unimplemented))
      return
    }
    do throws(CallError) {
      let operation = try OperationFactory.make(
        id, message: message, limits: core.limits,
        describe: {
          DescribeMerge(
            cluster: core.ownership.cluster,
            map: core.ownership.map.map(SlotMapMessage.encode), router: nil, shardIDs: [core.id])
        })
      call.tag = localParts.start(operation) { error, response in
        call.tag = 0
        if let error {
          call.fail(error.status)
        } else {
          response.withUnsafeReadableBytes { call.respond(message: $0) }
        }
      }
    } catch {
      call.fail(error.status)
    }
  }

  func streamOpened(_ call: ServerCall) {
    switch call.methodID {
    case MethodRegistry.linkID:
      let link = LinkStream(call: call, core: core, logger: logger)
      links[ObjectIdentifier(link)] = link
      call.context = link
    case CommandID.pipeline.rawValue:
      call.context = PipelineStream(core: core)
    default:
      let error = MethodRegistry.unservedError(call.methodID)
      call.fail(error?.status ?? RPCStatus(.unimplemented))
    }
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if let link = call.context as? LinkStream {
      link.receive(message, isDraining: isDraining)
      if link.hasEnded { links[ObjectIdentifier(link)] = nil }
    } else if let pipeline = call.context as? PipelineStream {
      pipeline.receive(message, call)
    }
  }

  func streamHalfClosed(_ call: ServerCall) {
    if let link = call.context as? LinkStream {
      link.finish()
      links[ObjectIdentifier(link)] = nil
    } else {
      call.finish(.ok)
    }
  }

  func streamWritable(_ call: ServerCall) {
    call.resumeReading()
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    if let link = call.context as? LinkStream {
      link.connectionLost()
      links[ObjectIdentifier(link)] = nil
    }
    if call.methodID >= MethodNumbers.firstFanout, call.tag != 0 {
      localParts.cancel(call.tag)
    }
  }

  private enum MethodNumbers {
    static let firstFanout = 1_000
  }
}
