// The connections of a node, of all its ports and event loops: how many clients may have, and what
// is counted about them for Stats. Any thread; nothing here is on the path of a call.
//
// A connection that arrives when clients have as many as allowed is still accepted, while the
// reserve lasts, because an operator or another node may need it:
// - a link: it no longer counts as a client's connection once it is one;
// - a health check or a call of an administrator, which has `ServerConfiguration.reservedNanosMax`.
// Anything else on such a connection is refused with a message and ends it. Past the reserve a
// connection is closed without notice.

import LargeMemory
import NIOConcurrencyHelpers
import NIOCore

/// How many connections a node accepts.
package struct ConnectionLimits: Sendable {
  /// Those of clients, on all ports together.
  package var maxConnections = 65_536
  /// Those of one address, among them; nil: no limit. An IPv6 network of 64 bits is one address.
  package var maxConnectionsOfAddress: Int?
  /// Connections above these limits that are accepted for links and administration.
  package var reserved = 64

  package init() {}
}

/// Makes a report on a server, for the event loop that requests it.
package typealias ServerReporter = @Sendable (any EventLoop) -> EventLoopFuture<ServerReport>

package final class NodeConnections: Sendable {
  fileprivate struct State {
    var clients = 0
    var excess = 0
    var links = 0
    var accepted: UInt64 = 0
    var ends = [Int](repeating: 0, count: ConnectionEnd.allCases.count)
    var resets = 0
    var refusedCalls = 0
    var handshakes = 0
    var handshakesAbandoned = 0
    var ofAddress: [ClientNetwork: Int] = [:]
    /// Calls of gRPC connections that have gone.
    var calls = CallCounts()
    var server: ServerReporter?
    var directories: [ClientDirectory] = []
    /// Connections that have gone since their memory was given back to the system.
    var gone = 0
  }

  /// After this many connections have gone, malloc returns their memory to the system.
  package static let goneMax = 1_000

  package let limits: ConnectionLimits
  fileprivate let state = NIOLockedValueBox(State())

  package init(limits: ConnectionLimits = ConnectionLimits()) {
    self.limits = limits
  }

  /// A place for a connection that was just accepted; nil: there is none, and that is counted.
  package func admit(_ address: SocketAddress?) -> ConnectionPlace? {
    let network = limits.maxConnectionsOfAddress == nil ? nil : address.flatMap(ClientNetwork.init)
    let (id, isOpen, excess) = state.withLockedValue { state -> (UInt64, Bool, ConnectionEnd?) in
      state.accepted += 1
      let ofAddress = network.map { state.ofAddress[$0, default: 0] } ?? 0
      let excess: ConnectionEnd? =
        if state.clients >= limits.maxConnections {
          .tooManyConnections
        } else if ofAddress >= limits.maxConnectionsOfAddress ?? .max {
          .tooManyConnectionsOfAddress
        } else {
          nil
        }
      if let excess {
        guard state.excess < limits.reserved else {
          state.ends[Self.index(of: excess)] += 1
          return (state.accepted, false, excess)
        }
        state.excess += 1
      } else {
        state.clients += 1
        if let network { state.ofAddress[network] = ofAddress + 1 }
      }
      return (state.accepted, true, excess)
    }
    return isOpen ? ConnectionPlace(self, id: id, excess: excess, network: network) : nil
  }

  /// The message for a client whose connection exceeds the limit.
  package func sentence(_ refusal: ConnectionEnd) -> String {
    guard refusal == .tooManyConnectionsOfAddress, let max = limits.maxConnectionsOfAddress else {
      return "The node has \(limits.maxConnections) connections already."
    }
    return "The node has \(max) connections of your address already."
  }

  // MARK: - Counting

  /// Notes that the node ends a connection.
  package func ended(_ reason: ConnectionEnd) {
    let index = Self.index(of: reason)
    state.withLockedValue { $0.ends[index] += 1 }
  }

  /// Notes calls that clients cancelled.
  package func calls(reset count: Int) {
    state.withLockedValue { $0.resets += count }
  }

  /// Notes a call that the server refused without calling the service.
  package func callRefused() {
    state.withLockedValue { $0.refusedCalls += 1 }
  }

  /// Notes the calls of a connection that is gone.
  func callsGone(_ calls: CallCounts) {
    state.withLockedValue { $0.calls = $0.calls + calls }
  }

  /// Sets what reports on the node's gRPC server; nil once it has ended.
  func setServer(_ reporter: ServerReporter?) {
    state.withLockedValue { $0.server = reporter }
  }

  /// A report on the node's gRPC server; nil if there is none. O(connections).
  package func serverReport(on eventLoop: any EventLoop) -> EventLoopFuture<ServerReport>? {
    let server = state.withLockedValue { $0.server }
    return server?(eventLoop)
  }

  /// Notes how the connections of one of the node's ports are found.
  package func add(_ directory: ClientDirectory) {
    state.withLockedValue { $0.directories.append(directory) }
  }

  /// The connections of all ports. O(connections).
  package func clients(on eventLoop: any EventLoop) -> EventLoopFuture<[ClientReport]> {
    let lists = state.withLockedValue { $0.directories }.map { $0.list(eventLoop) }
    return EventLoopFuture.reduce([], lists, on: eventLoop) { $0 + $1 }
  }

  /// Whether any port has a connection with this number. O(connections).
  package func hasClient(_ id: UInt64, on eventLoop: any EventLoop) -> EventLoopFuture<Bool> {
    let finds = state.withLockedValue { $0.directories }.map { $0.has(id, eventLoop) }
    return EventLoopFuture.reduce(false, finds, on: eventLoop) { $0 || $1 }
  }

  /// Ends a connection of any port; false: there is none with this number.
  package func endClient(_ id: UInt64, on eventLoop: any EventLoop) -> EventLoopFuture<Bool> {
    let ends = state.withLockedValue { $0.directories }.map { $0.end(id, eventLoop) }
    return EventLoopFuture.reduce(false, ends, on: eventLoop) { $0 || $1 }
  }

  /// Calls of gRPC connections that have gone.
  var goneCalls: CallCounts { state.withLockedValue { $0.calls } }

  /// Notes a TLS handshake that was completed.
  func handshakeCompleted() {
    state.withLockedValue { $0.handshakes += 1 }
  }

  /// Notes one that the client gave up.
  func handshakeAbandoned() {
    state.withLockedValue { $0.handshakesAbandoned += 1 }
  }

  /// TLS handshakes that were completed, and those that clients gave up.
  package var handshakes: (completed: Int, abandoned: Int) {
    state.withLockedValue { ($0.handshakes, $0.handshakesAbandoned) }
  }

  /// How many connections were ended for this reason.
  package func count(of reason: ConnectionEnd) -> Int {
    state.withLockedValue { $0.ends[Self.index(of: reason)] }
  }

  /// Whether the next connection finds no place.
  package var isFull: Bool {
    state.withLockedValue {
      $0.clients >= limits.maxConnections && $0.excess >= limits.reserved
    }
  }

  /// Connections that are open.
  package var open: Int { state.withLockedValue { $0.clients + $0.excess + $0.links } }

  /// What is counted, as it is now.
  package var counts: ConnectionCounts {
    let state = state.withLockedValue { $0 }
    return ConnectionCounts(
      clients: state.clients, excess: state.excess, links: state.links, accepted: state.accepted,
      ends: Dictionary(uniqueKeysWithValues: zip(ConnectionEnd.allCases, state.ends)),
      resets: state.resets, refusedCalls: state.refusedCalls, handshakes: state.handshakes,
      handshakesAbandoned: state.handshakesAbandoned)
  }

  /// The counters by name, always the same names.
  ///
  /// - Parameter prefix: what all names begin with.
  package func entries(prefix: String) -> [String: Int64] {
    let state = state.withLockedValue { $0 }
    var refused = 0
    var cut = 0
    var entries: [String: Int64] = [:]
    for (index, reason) in ConnectionEnd.allCases.enumerated() {
      let count = state.ends[index]
      if reason.isRefusal { refused += count } else { cut += count }
      let kind = reason.isRefusal ? "refused" : "cut"
      entries["\(prefix)connections_\(kind)_\(reason.name)_total"] = Int64(count)
    }
    entries["\(prefix)connections_open"] = Int64(state.clients + state.excess + state.links)
    entries["\(prefix)connections_links"] = Int64(state.links)
    entries["\(prefix)connections_accepted_total"] = Int64(clamping: state.accepted)
    entries["\(prefix)connections_handshakes_total"] = Int64(state.handshakes)
    entries["\(prefix)connections_handshakes_abandoned_total"] = Int64(state.handshakesAbandoned)
    entries["\(prefix)connections_refused_total"] = Int64(refused)
    entries["\(prefix)connections_cut_total"] = Int64(cut)
    entries["\(prefix)resets_total"] = Int64(state.resets)
    entries["\(prefix)refused_calls_total"] = Int64(state.refusedCalls)
    return entries
  }

  private static func index(of reason: ConnectionEnd) -> Int {
    ConnectionEnd.allCases.firstIndex(of: reason) ?? 0
  }
}

/// What a node has counted about its connections.
package struct ConnectionCounts: Sendable {
  package let clients: Int
  package let excess: Int
  package let links: Int
  package let accepted: UInt64
  package let ends: [ConnectionEnd: Int]
  package let resets: Int
  package let refusedCalls: Int
  package let handshakes: Int
  package let handshakesAbandoned: Int
}

/// One connection's share of the node's limits. Used on the connection's event loop.
package final class ConnectionPlace {
  private enum Account { case clients, excess, links, closed }

  /// The node's number for the connection, never reused.
  package let id: UInt64
  private let node: NodeConnections
  private let network: ClientNetwork?
  private var account: Account
  private let refusal: ConnectionEnd?

  fileprivate init(
    _ node: NodeConnections, id: UInt64, excess: ConnectionEnd?, network: ClientNetwork?
  ) {
    self.id = id
    self.node = node
    self.network = network
    refusal = excess
    account = excess == nil ? .clients : .excess
  }

  /// The limit that the connection exceeds; nil: none.
  package var excess: ConnectionEnd? { account == .excess ? refusal : nil }

  /// The connection is a link of another node from here on.
  package func becomeLink() { move(to: .links) }

  /// The connection is gone. Further calls do nothing.
  package func close() { move(to: .closed) }

  private func move(to next: Account) {
    let (from, network) = (account, network)
    guard from != next, from != .closed else { return }
    account = next
    let isCrowdGone = node.state.withLockedValue { state in
      switch from {
      case .clients:
        state.clients -= 1
        guard let network, let count = state.ofAddress[network] else { break }
        state.ofAddress[network] = count > 1 ? count - 1 : nil
      case .excess: state.excess -= 1
      case .links: state.links -= 1
      case .closed: break
      }
      if next == .links { state.links += 1 }
      if next == .closed { state.gone += 1 }
      guard state.gone >= NodeConnections.goneMax else { return false }
      state.gone = 0
      return true
    }
    if isCrowdGone { BackgroundRelease.trimSoon() }
  }
}

/// Where a client comes from, for the limits: an IPv4 address, or the upper half of an IPv6
/// address, because one client may have all of the lower half.
struct ClientNetwork: Hashable, Sendable {
  private let bits: UInt64

  init?(_ address: SocketAddress) {
    switch address {
    case .v4(let v4): bits = UInt64(v4.address.sin_addr.s_addr)
    case .v6(let v6):
      bits = withUnsafeBytes(of: v6.address.sin6_addr) { bytes in
        // ::ffff:a.b.c.d is an IPv4 address on a socket of both families.
        let isMapped =
          bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
        return isMapped
          ? UInt64(bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
          : bytes.loadUnaligned(as: UInt64.self)
      }
    default: return nil
    }
  }
}
