// grpc.health.v1: whether the node serves. For the whole node (the empty name) and for the services
// of keys, this is whether it serves calls on keys; the other services serve from the start. When
// the node begins to drain, all of them become NOT_SERVING first. In addition there is a name for
// each shard, `shard/ID`: whether this node serves calls on its keys.
//
// While there is a Watch, the node's state is checked four times a second: the state depends on
// many places, and none of them has to send notifications. On the node's event loop.

import GRPC
import NIOCore
import RingstoreAPI

typealias ServingStatus = GRPCHealth.HealthCheckResponse.ServingStatus

/// One Watch in progress.
final class HealthWatch {
  let call: ServerCall
  let service: String
  fileprivate var told: ServingStatus?
  fileprivate var index = 0

  fileprivate init(_ call: ServerCall, service: String) {
    self.call = call
    self.service = service
  }
}

final class HealthService {
  private typealias Response = GRPCHealth.HealthCheckResponse
  private static let lookTime = TimeAmount.milliseconds(250)
  private static let shardPrefix = "shard/"

  private unowned let node: any StandardServicesNode
  private let eventLoop: any EventLoop
  private let services: [String]
  private let known: Set<String>
  private var watches: [HealthWatch] = []
  /// The status last sent to the watches.
  private var wasReady = false
  private var isLookScheduled = false
  private(set) var isDraining = false

  init(node: any StandardServicesNode, servesLink: Bool, eventLoop: any EventLoop) {
    self.node = node
    self.eventLoop = eventLoop
    services = [""] + ServedServices.all(servesLink: servesLink)
    known = Set(services)
  }

  /// Whether calls on keys are served.
  var isReady: Bool { !isDraining && node.notReadyReason == nil }

  /// The node's state in a line.
  var line: String {
    if isDraining { return "not serving: the node is stopping" }
    return node.notReadyReason.map { "not serving: \($0)" } ?? "serving"
  }

  /// Nil for a service that the node doesn't have.
  private func status(of service: String) -> ServingStatus? {
    guard known.contains(service) else {
      guard service.hasPrefix(Self.shardPrefix) else { return nil }
      let id = service.dropFirst(Self.shardPrefix.count)
      return node.shardHealth.first { $0.id == id }.map { serving($0.isServing) }
    }
    let isServing =
      service.isEmpty || ServedServices.ofKeys.contains(service) ? isReady : !isDraining
    return isServing ? .serving : .notServing
  }

  private func serving(_ isServing: Bool) -> ServingStatus {
    isServing && !isDraining ? .serving : .notServing
  }

  // MARK: - Check and List

  func check(_ call: ServerCall, _ request: UnsafeRawBufferPointer) throws(WireError) {
    let service = try Self.service(of: request)
    guard let status = status(of: service) else {
      return call.fail(RPCStatus(.notFound, "unknown service \(service.prefix(256))"))
    }
    call.respond { $0.write(Response.Field.status, status) }
  }

  func list(_ call: ServerCall) {
    typealias Entry = GRPCHealth.HealthListResponse.StatusesEntry
    let ofServices = services.map { ($0, status(of: $0) ?? .unknown) }
    let ofShards = node.shardHealth.map { (Self.shardPrefix + $0.id, serving($0.isServing)) }
    call.respond { buffer in
      for (name, status) in ofServices + ofShards {
        let entry = buffer.beginLengthDelimited(GRPCHealth.HealthListResponse.Field.statuses)
        buffer.write(Entry.Field.key, name)
        let value = buffer.beginLengthDelimited(Entry.Field.value)
        buffer.write(Response.Field.status, status)
        buffer.endLengthDelimited(value)
        buffer.endLengthDelimited(entry)
      }
    }
  }

  private static func service(of request: UnsafeRawBufferPointer) throws(WireError) -> String {
    let name = try MessageFields.bytes(GRPCHealth.HealthCheckRequest.Field.service, in: request)
    return String(decoding: name, as: UTF8.self)
  }

  // MARK: - Watch

  func watch(_ call: ServerCall, _ request: UnsafeRawBufferPointer) throws(WireError) {
    if let watch = call.context as? HealthWatch {
      forget(watch)
      return call.fail(RPCStatus(.unimplemented, "the call takes one request"))
    }
    let watch = HealthWatch(call, service: try Self.service(of: request))
    call.context = watch
    // A client that watches until it disconnects doesn't count as cancelling a call.
    call.countAsReplied()
    if watches.isEmpty { wasReady = isReady }
    watch.index = watches.count
    watches.append(watch)
    tell(watch)
    if isDraining { end(watch) } else { scheduleLook() }
  }

  /// Sends the status of its service to a watch, unless it was already sent, or the watch isn't
  /// writable now.
  func tell(_ watch: HealthWatch) {
    // An unknown service gets a reply too: a later version of the node may have it.
    let status = status(of: watch.service) ?? .serviceUnknown
    guard status != watch.told, watch.call.isWritable else { return }
    watch.told = status
    watch.call.send { $0.write(Response.Field.status, status) }
  }

  func forget(_ watch: HealthWatch) {
    guard watches.indices.contains(watch.index), watches[watch.index] === watch else { return }
    let last = watches.removeLast()
    if last !== watch {
      last.index = watch.index
      watches[watch.index] = last
    }
  }

  func beginDraining() {
    guard !isDraining else { return }
    isDraining = true
    // They would delay the drain, and they have received the final status.
    for watch in watches {
      tell(watch)
      end(watch)
    }
  }

  private func end(_ watch: HealthWatch) {
    forget(watch)
    watch.call.finish(RPCStatus(.unavailable, "the node is stopping"))
  }

  private func scheduleLook() {
    guard !isLookScheduled else { return }
    isLookScheduled = true
    eventLoop.assumeIsolated().scheduleTask(in: Self.lookTime) { [weak self] in
      guard let self else { return }
      isLookScheduled = false
      guard !watches.isEmpty else { return }
      let hasChanged = isReady != wasReady
      wasReady = isReady
      for watch in watches where hasChanged || watch.service.hasPrefix(Self.shardPrefix) {
        tell(watch)
      }
      scheduleLook()
    }
  }
}
