// The report of clients' connections for administrators, on all ports. Values; any thread. A report
// is made on request, on each event loop of its connections.

import NIOCore

/// One connection, as it is now.
package struct ClientReport: Sendable, Hashable {
  package enum Kind: String, Sendable {
    case grpc, line
    /// Of a router, to a shard.
    case link
  }

  /// The node's number of the connection, never reused.
  package let id: UInt64
  package let kind: Kind
  package let address: String
  /// The user of the latest call; empty if the node has no users or there was no call.
  package let user: String
  package let isEncrypted: Bool
  package let ageNanos: UInt64
  /// Since it was last seen busy, which is looked at every few seconds.
  package let idleNanos: UInt64
  package let openCalls: Int
  /// Calls since it began.
  package let calls: Int
  /// Bytes that the node holds for it.
  package let heldBytes: Int

  package init(
    id: UInt64, kind: Kind, address: String, user: String, isEncrypted: Bool, ageNanos: UInt64,
    idleNanos: UInt64, openCalls: Int, calls: Int, heldBytes: Int
  ) {
    self.id = id
    self.kind = kind
    self.address = address
    self.user = user
    self.isEncrypted = isEncrypted
    self.ageNanos = ageNanos
    self.idleNanos = idleNanos
    self.openCalls = openCalls
    self.calls = calls
    self.heldBytes = heldBytes
  }
}

/// The user of a connection, from the service.
package protocol ConnectionUser: AnyObject {
  /// Empty: there was no call.
  var latestUser: String { get }
}

/// How the connections of one port are found.
package struct ClientDirectory: Sendable {
  /// All of them. O(connections).
  let list: @Sendable (any EventLoop) -> EventLoopFuture<[ClientReport]>
  /// Whether there is one with this number.
  let has: @Sendable (UInt64, any EventLoop) -> EventLoopFuture<Bool>
  /// Ends one; false: there is none with this number.
  let end: @Sendable (UInt64, any EventLoop) -> EventLoopFuture<Bool>

  package init(
    list: @escaping @Sendable (any EventLoop) -> EventLoopFuture<[ClientReport]>,
    has: @escaping @Sendable (UInt64, any EventLoop) -> EventLoopFuture<Bool>,
    end: @escaping @Sendable (UInt64, any EventLoop) -> EventLoopFuture<Bool>
  ) {
    self.list = list
    self.has = has
    self.end = end
  }
}

extension ClientDirectory {
  /// That of a listener, for as long as it is there.
  package init<Loop: ClientLoop>(_ listener: Listener<Loop>) {
    self.init(
      list: { [weak listener] eventLoop in
        listener?.gather(on: eventLoop) { $0.clientReports }
          ?? eventLoop.makeSucceededFuture([])
      },
      has: { [weak listener] id, eventLoop in
        listener?.gather(on: eventLoop) { $0.hasClient(id) ? [true] : [] }.map { !$0.isEmpty }
          ?? eventLoop.makeSucceededFuture(false)
      },
      end: { [weak listener] id, eventLoop in
        listener?.gather(on: eventLoop) { $0.endClient(id) ? [true] : [] }.map { !$0.isEmpty }
          ?? eventLoop.makeSucceededFuture(false)
      })
  }
}

/// The connections of a port on one event loop. On that loop.
package protocol ClientLoop: ListenerLoop {
  var clientReports: [ClientReport] { get }
  /// Whether this loop has a connection with this number. O(connections).
  func hasClient(_ id: UInt64) -> Bool
  /// Ends a connection of this loop; false: it has none with this number.
  func endClient(_ id: UInt64) -> Bool
}

extension ServerLoop: ClientLoop {
  package var clientReports: [ClientReport] {
    handlers.all.map { $0.clientReport(nowNanos: nowNanos) }
  }

  package func hasClient(_ id: UInt64) -> Bool { handlers.all.contains { $0.place?.id == id } }

  package func endClient(_ id: UInt64) -> Bool {
    guard let handler = handlers.all.first(where: { $0.place?.id == id }) else { return false }
    handler.cut(.administrator)
    return true
  }
}

extension GRPCServerHandler {
  fileprivate func clientReport(nowNanos: UInt64) -> ClientReport {
    ClientReport(
      id: place?.id ?? 0, kind: isLink ? .link : .grpc, address: remoteAddress,
      user: (serviceContext as? any ConnectionUser)?.latestUser ?? "",
      isEncrypted: peer.isEncrypted, ageNanos: state.ageNanos(nowNanos: nowNanos),
      idleNanos: tally.open > 0 ? 0 : state.idle.idleNanos(nowNanos: nowNanos), openCalls: tally.open,
      calls: session.counters.streamsOpened, heldBytes: charge.bytes)
  }
}
