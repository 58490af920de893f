// grpc.health.v1: whether the node serves. For the whole node (the empty name) and for the services
// of keys, this is whether it serves calls on keys; the other services serve from the start. When
// the node begins to drain, all of them become NOT_SERVING first. In addition there is a name for
// each shard, `shard/ID`: whether this node serves calls on its keys.
//
// A node with several event loops serves what all of them serve, because a client's connection may
// get any of them. They are queried for each reply: it is rare, and so no loop has to keep the
// others informed. While there is a Watch, the node's state is checked four times a second, for the
// same reason. On the node's event loop.

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
  /// The health that the watches were last told of; nil: not known, as there was no watch.
  private var watched: NodeHealth?
  private var isLookScheduled = false
  private(set) var isDraining = false

  init(node: any StandardServicesNode, servesLink: Bool, eventLoop: any EventLoop) {
    self.node = node
    self.eventLoop = eventLoop
    services = [""] + ServedServices.all(servesLink: servesLink)
    known = Set(services)
  }

  /// Whether this event loop serves calls on keys.
  var isReady: Bool { !isDraining && node.notReadyReason == nil }

  /// The state of this event loop in a line.
  var line: String {
    if isDraining { return "not serving: the node is stopping" }
    return node.notReadyReason.map { "not serving: \($0)" } ?? "serving"
  }

  /// Nil for a service that the node doesn't have.
  private func status(of service: String, in health: NodeHealth) -> ServingStatus? {
    guard known.contains(service) else {
      guard service.hasPrefix(Self.shardPrefix) else { return nil }
      let id = service.dropFirst(Self.shardPrefix.count)
      return health.shards.first { $0.id == id }.map { serving($0.isServing) }
    }
    return serving(!isAboutKeys(service) || health.notReadyReason == nil)
  }

  /// Whether the status of a service depends on more than whether the node drains.
  private func isAboutKeys(_ service: String) -> Bool {
    service.isEmpty || ServedServices.ofKeys.contains(service) || !known.contains(service)
  }

  private func serving(_ isServing: Bool) -> ServingStatus {
    isServing && !isDraining ? .serving : .notServing
  }

  // MARK: - Check and List

  func check(_ call: ServerCall, _ request: UnsafeRawBufferPointer) throws(WireError) {
    let service = try Self.service(of: request)
    guard isAboutKeys(service) else { return reply(call, service, node.loopHealth) }
    withHealth(for: call) { self.reply(call, service, $0) }
  }

  private func reply(_ call: ServerCall, _ service: String, _ health: NodeHealth) {
    guard let status = status(of: service, in: health) else {
      return call.fail(RPCStatus(.notFound, "unknown service \(service.prefix(256))"))
    }
    call.respond { $0.write(Response.Field.status, status) }
  }

  func list(_ call: ServerCall) {
    withHealth(for: call) { self.list(call, $0) }
  }

  private func list(_ call: ServerCall, _ health: NodeHealth) {
    typealias Entry = GRPCHealth.HealthListResponse.StatusesEntry
    let ofServices = services.map { ($0, status(of: $0, in: health) ?? .unknown) }
    let ofShards = health.shards.map { (Self.shardPrefix + $0.id, serving($0.isServing)) }
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

  /// Calls `body` with the node's health, unless the call has ended by then.
  private func withHealth(for call: ServerCall, _ body: @escaping (NodeHealth) -> Void) {
    guard let health = node.healthOfAllLoops() else { return body(node.loopHealth) }
    let pending = PendingReply()
    call.context = pending
    let bound = NIOLoopBound((call, pending, body), eventLoop: eventLoop)
    health.whenComplete { outcome in
      let (call, pending, body) = bound.value
      guard call.context === pending else { return }
      switch outcome {
      case .success(let health): body(health)
      case .failure(let error): call.fail(RPCStatus(.unavailable, "\(error)"))
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
    watch.index = watches.count
    watches.append(watch)
    if isDraining {
      tell(watch)
      return end(watch)
    }
    if watched == nil { look() } else { tell(watch) }
    scheduleLook()
  }

  private func isWatching(_ watch: HealthWatch) -> Bool {
    watches.indices.contains(watch.index) && watches[watch.index] === watch
  }

  /// Sends the status of its service to a watch, unless it was already sent, or the watch isn't
  /// writable now.
  func tell(_ watch: HealthWatch) {
    guard let health = isDraining ? node.loopHealth : watched else { return }
    // An unknown service gets a reply too: a later version of the node may have it.
    let status = status(of: watch.service, in: health) ?? .serviceUnknown
    guard status != watch.told, watch.call.isWritable else { return }
    watch.told = status
    watch.call.send { $0.write(Response.Field.status, status) }
  }

  func forget(_ watch: HealthWatch) {
    guard isWatching(watch) else { return }
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
      guard !watches.isEmpty else {
        watched = nil
        return
      }
      look()
      scheduleLook()
    }
  }

  /// Finds out the node's health, and tells all watches of a change, now or later.
  private func look() {
    guard let health = node.healthOfAllLoops() else { return tell(node.loopHealth) }
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    health.whenSuccess { bound.value.tell($0) }
  }

  private func tell(_ health: NodeHealth) {
    // The last watch may have ended meanwhile.
    guard !watches.isEmpty else { return }
    let isReady = health.notReadyReason == nil
    let hasChanged = watched.map { ($0.notReadyReason == nil) != isReady } ?? true
    watched = health
    for watch in watches where hasChanged || watch.service.hasPrefix(Self.shardPrefix) {
      tell(watch)
    }
  }
}
