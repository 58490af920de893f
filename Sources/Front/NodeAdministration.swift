// Calls about the node itself: its connections, log level, slow calls and settings. They come from
// its own clients, or from a router whose client named this node. Event loop of its front.

import Commands
import GRPC
import NIOCore
import NodeCore
import RingstoreAPI
import Users

/// The parts of the process that its nodes can report and change. Any thread.
package protocol NodeSurroundings: Sendable {
  /// Which events are logged now, and were when the process started: names of levels.
  var logLevel: (inForce: String, configured: String) { get }
  /// Changes which events are logged; false: there is no such level.
  func setLogLevel(_ name: String) -> Bool
  /// Nil: they aren't known.
  var settings: NodeSettings? { get }
}

/// The slow calls that a node has kept, of all its loops. `isReset` clears the lists.
package typealias SlowCallSource = (_ isReset: Bool) -> EventLoopFuture<SlowCalls>

package final class NodeAdministration {
  private let connections: NodeConnections
  private let surroundings: (any NodeSurroundings)?
  private let slowCalls: SlowCallSource
  private let eventLoop: any EventLoop

  /// The maximum number of connections that Clients returns, and the default.
  static let clientsMax = 10_000
  static let clientsDefault = 100

  /// - Parameters:
  ///   - surroundings: nil: the process has none of it.
  ///   - slowCalls: called on the event loop.
  package init(
    _ connections: NodeConnections, _ surroundings: (any NodeSurroundings)?,
    slowCalls: @escaping SlowCallSource, eventLoop: any EventLoop
  ) {
    self.connections = connections
    self.surroundings = surroundings
    self.slowCalls = slowCalls
    self.eventLoop = eventLoop
  }

  /// Executes a call about this node.
  ///
  /// - Parameter rules: which keys the caller may access; nil: all.
  /// - Returns: the response, or a CallError; nil: the call is none of these.
  package func execute(
    _ command: CommandID, _ message: UnsafeRawBufferPointer, for rules: KeyRules?
  ) throws(CallError) -> EventLoopFuture<ByteBuffer>? {
    switch command {
    case .clients: listClients(try V1.ClientsRequest(decoding: message))
    case .killClient: try killClient(try V1.KillClientRequest(decoding: message))
    case .logLevel: try logLevel(try V1.LogLevelRequest(decoding: message))
    case .slowLog: try slowLog(try V1.SlowLogRequest(decoding: message), for: rules)
    case .config: try settings()
    default: nil
    }
  }

  private func listClients(_ request: V1.ClientsRequest) -> EventLoopFuture<ByteBuffer> {
    let most = request.count == 0 ? Self.clientsDefault : min(Int(request.count), Self.clientsMax)
    return connections.clients(on: eventLoop).map { clients in
      let shown = clients.sorted { ($0.heldBytes, $0.ageNanos) > ($1.heldBytes, $1.ageNanos) }
      var response = ByteBuffer()
      for client in shown.prefix(most) {
        let entry = response.beginLengthDelimited(V1.ClientsResponse.Field.clients)
        client.write(into: &response)
        response.endLengthDelimited(entry)
      }
      response.write(V1.ClientsResponse.Field.total, UInt64(clients.count))
      return response
    }
  }

  private func killClient(
    _ request: V1.KillClientRequest
  ) throws(CallError) -> EventLoopFuture<ByteBuffer> {
    if request.hasUnknownField { throw .unknownField }
    let (id, connections, eventLoop) = (request.id, connections, eventLoop)
    return connections.hasClient(id, on: eventLoop).map { found in
      // Behind the reply, which may have to leave over that very connection.
      if found { eventLoop.execute { _ = connections.endClient(id, on: eventLoop) } }
      var response = ByteBuffer()
      V1.KillClientResponse(found: found).write(into: &response)
      return response
    }
  }

  private func logLevel(
    _ request: V1.LogLevelRequest
  ) throws(CallError) -> EventLoopFuture<ByteBuffer> {
    if request.hasUnknownField { throw .unknownField }
    guard let surroundings else {
      throw CallError(code: .failedPrecondition, message: "This node's log has no levels.")
    }
    let wanted = String(decoding: request.level, as: UTF8.self)
    guard wanted.isEmpty || surroundings.setLogLevel(wanted) else {
      throw CallError(
        code: .invalidArgument,
        message: "The level must be trace, debug, info, notice, warning, error or critical.")
    }
    let level = surroundings.logLevel
    var response = ByteBuffer()
    response.write(V1.LogLevelResponse.Field.level, level.inForce)
    response.write(V1.LogLevelResponse.Field.configured, level.configured)
    return eventLoop.makeSucceededFuture(response)
  }

  private func slowLog(
    _ request: V1.SlowLogRequest, for rules: KeyRules?
  ) throws(CallError) -> EventLoopFuture<ByteBuffer> {
    // One that it doesn't know may change what is forgotten.
    if request.hasUnknownField { throw .unknownField }
    let most = request.count == 0 ? SlowCalls.countDefault : Int(request.count)
    return slowCalls(request.reset).map { $0.shown(to: rules).message(most: most) }
  }

  private func settings() throws(CallError) -> EventLoopFuture<ByteBuffer> {
    guard let settings = surroundings?.settings else {
      throw CallError(
        code: .failedPrecondition, message: "This node was started without settings.")
    }
    return eventLoop.makeSucceededFuture(settings.message)
  }
}

extension ClientReport {
  fileprivate func write(into buffer: inout ByteBuffer) {
    typealias Field = V1.Client.Field
    buffer.write(Field.id, id)
    buffer.write(Field.kind, kind.rawValue)
    buffer.write(Field.address, address)
    buffer.write(Field.user, user)
    buffer.write(Field.encrypted, isEncrypted)
    buffer.write(Field.ageMillis, Int64(clamping: ageNanos / 1_000_000))
    buffer.write(Field.idleMillis, Int64(clamping: idleNanos / 1_000_000))
    buffer.write(Field.openCalls, UInt64(openCalls))
    buffer.write(Field.calls, UInt64(calls))
    buffer.write(Field.heldBytes, Int64(heldBytes))
  }
}
