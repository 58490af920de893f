// One lane of the link from a router's loop to a shard: a connection and the link's stream on it.
// The loop's core decides; this class dials, sends and reports. One event loop.

import GRPC
import NIOCore
import NodeCore

final class RouterLinkStream: ClientConnectionDelegate, ClientCallHandler {
  let shard: Int
  let lane: LinkLane
  let generation: UInt64
  /// Gets all events of the lane; nil once the router has dropped it or has detected its loss.
  /// Until then the two hold each other. (A weak reference would make every reference to the
  /// service slower.)
  private var service: RouterService?
  private var connection: ClientConnection?
  private var call: ClientCall?
  /// Why the lane ended, where the shard said so before it closed the connection.
  private var ending: LinkEnding?
  private var address = ""

  init(shard: Int, lane: LinkLane, generation: UInt64, service: RouterService) {
    self.shard = shard
    self.lane = lane
    self.generation = generation
    self.service = service
  }

  func connect(
    host: String, port: Int, on eventLoop: any EventLoop, configuration: ClientConfiguration,
    flusher: FlushCoalescer
  ) {
    address = "\(host):\(port)"
    ClientConnection.connect(
      host: host, port: port, on: eventLoop, configuration: configuration, flusher: flusher,
      delegate: self
    ) { [self] result in
      switch result {
      case .success(let connection):
        guard let service else {
          connection.close()
          return
        }
        self.connection = connection
        var metadata = Metadata()
        if lane != .calls { metadata.add(LinkProtocol.laneMetadata, lane.rawValue) }
        call = connection.startCall(
          path: LinkProtocol.path, metadata: metadata, handler: self)
        service.linkConnected(self)
      case .failure(let loss):
        lost(LinkEnding(loss.description))
      }
    }
  }

  /// Sends all frames that the lane has, at once.
  func sendFrames(of core: RouterCore<RouterService>) {
    guard let connection else { return }
    connection.sendNow {
      while var frame = core.takeFrame(shard: shard, lane: lane) {
        call?.send(&frame.head, tail: frame.tail)
        core.reuse(&frame.head, shard: shard, lane: lane)
      }
    }
  }

  /// Closes the connection; nothing more is reported.
  func drop() {
    service = nil
    connection?.close()
    connection = nil
  }

  func call(_ call: ClientCall, received message: UnsafeRawBufferPointer) {
    service?.linkReceived(self, message)
  }

  func call(_ call: ClientCall, ended status: RPCStatus, processed: Processed) {
    self.call = nil
    ending = LinkEnding(status.code, status: status.description, address: address)
    // A stream that ends without its connection: the link is opened again, with a new connection.
    connection?.close()
  }

  func connectionGoingAway(_ connection: ClientConnection) {}

  func connectionClosed(_ connection: ClientConnection, reason: ConnectionLoss) {
    guard self.connection === connection else { return }
    self.connection = nil
    let ending = reason == .closedLocally ? self.ending : nil
    lost(ending ?? LinkEnding(reason.description))
  }

  private func lost(_ ending: LinkEnding) {
    let service = self.service
    self.service = nil
    service?.linkLost(self, ending)
  }
}

/// The two lanes of a link.
struct RouterLinkStreams {
  private(set) var calls: RouterLinkStream?
  private(set) var bulk: RouterLinkStream?

  init() {}

  init(shard: Int, generation: UInt64, service: RouterService) {
    calls = RouterLinkStream(
      shard: shard, lane: .calls, generation: generation, service: service)
    bulk = RouterLinkStream(shard: shard, lane: .bulk, generation: generation, service: service)
  }

  subscript(lane: LinkLane) -> RouterLinkStream? { lane == .calls ? calls : bulk }

  func drop() {
    calls?.drop()
    bulk?.drop()
  }
}
