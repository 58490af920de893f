// The services that every gRPC user expects, beside the node's own: health, reflection, channelz,
// and two pages for probes that speak HTTP/2 and no gRPC. None of them uses keys.
//
// Lives on the node's event loop, one for each. The front forwards the calls of `StandardMethod`
// here, and nothing else.

import GRPC
import NIOCore
import RingstoreAPI

/// What the standard services need from their node.
package protocol StandardServicesNode: AnyObject {
  /// Why this event loop of the node serves no call on any key now; nil: it does. O(1).
  var notReadyReason: String? { get }

  /// The shards that the node has in its map, or itself if it is one, and whether this event loop
  /// serves calls on their keys. O(shards).
  var shardHealth: [(id: String, isServing: Bool)] { get }

  /// The health of all event loops of the node; nil: there is only this one. Each loop of a router
  /// has its own links, and they don't become ready at one moment.
  func healthOfAllLoops() -> EventLoopFuture<NodeHealth>?

  /// The connections that the node itself has opened; nil: it opens none.
  func linkReports() -> EventLoopFuture<[LinkReport]>?
}

extension StandardServicesNode {
  /// The health of this event loop.
  package var loopHealth: NodeHealth {
    NodeHealth(notReadyReason: notReadyReason, shards: shardHealth)
  }

  package func healthOfAllLoops() -> EventLoopFuture<NodeHealth>? { nil }

  package func linkReports() -> EventLoopFuture<[LinkReport]>? { nil }
}

package final class StandardServices {
  private let health: HealthService
  private let reflection: ReflectionService
  private let channelz: ChannelzService
  private let servesLink: Bool

  /// - Parameters:
  ///   - node: owns these services, so it outlives them.
  ///   - servesLink: whether the node serves the link of routers.
  package init(node: any StandardServicesNode, servesLink: Bool, eventLoop: any EventLoop) {
    self.servesLink = servesLink
    health = HealthService(node: node, servesLink: servesLink, eventLoop: eventLoop)
    reflection = ReflectionService(services: ServedServices.all(servesLink: servesLink))
    channelz = ChannelzService(node: node, eventLoop: eventLoop)
  }

  /// The node's connections, for channelz. Set once, before the first call.
  package var connections: NodeConnections? {
    get { channelz.connections }
    set { channelz.connections = newValue }
  }

  /// The node begins to drain: its health changes at once, and watches are notified.
  package func beginDraining() { health.beginDraining() }

  package var isDraining: Bool { health.isDraining }

  /// Why the node serves no call on any key now, in a line; nil: it does.
  package var notReadyReason: String? { health.isReady ? nil : health.line }

  // MARK: - Pages

  /// `/healthz` says that the node is alive, `/readyz` whether it serves calls on keys.
  package func page(path: UnsafeRawBufferPointer) -> ServerPage? {
    switch String(decoding: path, as: UTF8.self) {
    case "/healthz": ServerPage(isOK: true, line: "alive, \(health.line)")
    case "/readyz": ServerPage(isOK: health.isReady, line: health.line)
    default: nil
    }
  }

  // MARK: - Calls

  package func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    guard let method = StandardMethod(rawValue: call.methodID) else {
      return call.fail(RPCStatus(.unimplemented))
    }
    do throws(WireError) {
      switch method {
      case .healthCheck: try health.check(call, message)
      case .healthList: health.list(call)
      case .healthWatch, .reflection, .reflectionAlpha: call.fail(RPCStatus(.unimplemented))
      default: try channelz.reply(call, method, message)
      }
    } catch {
      call.fail(.notAMessage(error))
    }
  }

  package func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    do throws(WireError) {
      if call.methodID == StandardMethod.healthWatch.rawValue {
        try health.watch(call, message)
      } else {
        try reflection.reply(call, message)
      }
    } catch {
      ended(call)
      call.fail(.notAMessage(error))
    }
  }

  package func streamHalfClosed(_ call: ServerCall) {
    guard call.methodID == StandardMethod.healthWatch.rawValue else { return call.finish(.ok) }
    if call.context == nil { call.fail(RPCStatus(.unimplemented, "the request is missing")) }
  }

  package func streamWritable(_ call: ServerCall) {
    if let watch = call.context as? HealthWatch {
      health.tell(watch)
    } else {
      call.resumeReading()
    }
  }

  /// The call ended before its reply.
  package func ended(_ call: ServerCall) {
    if let watch = call.context as? HealthWatch { health.forget(watch) }
  }
}

extension RPCStatus {
  fileprivate static func notAMessage(_ error: WireError) -> RPCStatus {
    RPCStatus(.internal, "The request is not a valid message: \(error.sentence).")
  }
}
