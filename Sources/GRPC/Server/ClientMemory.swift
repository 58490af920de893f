// The memory that a node holds for its clients, and its limit. One for each event loop, with an
// equal share of the node's setting: loops share nothing, so a loop above its share can close its
// own connections at once, without synchronization. Connections are assigned to the loops in turn,
// so the shares fill evenly. The clients of all ports count (`join`). On its loop.
//
// Counted for each connection: bytes of requests that the service has not accepted, replies that
// the client has not read, be it that its window is closed or its socket full, and for gRPC a flat
// sum for each open stream, and large header lists.

import LargeMemory

/// What the node's account for clients is charged for one connection, in bytes.
package struct MemoryCharge {
  package private(set) var bytes = 0
  /// The least of it since the last sweep.
  package private(set) var heldThroughout = 0

  package init() {}

  /// - Returns: by how much the charge has grown.
  package mutating func set(_ new: Int) -> Int {
    let difference = new - bytes
    bytes = new
    heldThroughout = min(heldThroughout, new)
    return difference
  }

  /// A sweep has looked at it.
  package mutating func beginPeriod() { heldThroughout = bytes }
}

/// A connection whose memory is counted.
package protocol MemoryHolder: SweptConnection {
  /// What is counted for it.
  var charge: MemoryCharge { get }
  /// Closes the connection, or what remains of it, because it holds too much. Less is counted for
  /// it when this returns.
  func endForMemory()
}

/// The connections of one port that may be closed.
package struct MemoryOffenders {
  /// The one that holds the most, and the one that has held the most since the last sweep.
  var largest: (any MemoryHolder)?
  var longest: (any MemoryHolder)?
  /// What all of them have held since then.
  var heldThroughout = 0

  package init() {}

  mutating func add(_ other: MemoryOffenders) {
    heldThroughout += other.heldThroughout
    if other.largest?.charge.bytes ?? 0 > largest?.charge.bytes ?? 0 { largest = other.largest }
    if other.longest?.charge.heldThroughout ?? 0 > longest?.charge.heldThroughout ?? 0 {
      longest = other.longest
    }
  }
}

extension ConnectionList where Connection: MemoryHolder {
  /// O(connections).
  package var offenders: MemoryOffenders {
    var found = MemoryOffenders()
    var (largest, longest) = (0, 0)
    for connection in all {
      found.heldThroughout += connection.charge.heldThroughout
      if connection.charge.bytes > largest {
        largest = connection.charge.bytes
        found.largest = connection
      }
      if connection.charge.heldThroughout > longest {
        longest = connection.charge.heldThroughout
        found.longest = connection
      }
    }
    return found
  }
}

package final class ClientMemory {
  /// The loop's share, in bytes.
  let bytesMax: Int
  /// Most bytes of one connection.
  package let connectionBytesMax: Int
  /// The memory of all connections.
  package private(set) var bytes = 0
  /// The maximum of held bytes since malloc was last trimmed.
  private var peakBytes = 0
  private var ports: [() -> MemoryOffenders] = []

  /// After this many freed bytes malloc must return pages to the operating system.
  static let fallBytes = 32 << 20

  /// A flat sum for a stream: its objects here and in the library.
  static let streamBytes = 2 << 10

  /// - Parameters:
  ///   - messageBytesMax: the longest message; a connection may hold a few of them.
  ///   - connectionBytesMax: the maximum of one connection; nil: derived from the other two.
  package init(bytesMax: Int, messageBytesMax: Int, connectionBytesMax: Int? = nil) {
    self.bytesMax = bytesMax
    self.connectionBytesMax = min(
      bytesMax,
      connectionBytesMax
        ?? max(bytesMax / Self.connectionPart, Self.messagesOfConnection * messageBytesMax))
  }

  private static let connectionPart = 4
  private static let messagesOfConnection = 4

  /// Charges a connection with so much more, or less.
  package func charge(_ difference: Int) {
    change(by: difference)
    if takeFall() { BackgroundRelease.trimSoon() }
  }

  func change(by difference: Int) {
    bytes += difference
    peakBytes = max(peakBytes, bytes)
  }

  /// Whether so much was freed that malloc should give pages back; true once for each such fall.
  func takeFall() -> Bool {
    guard peakBytes - bytes >= Self.fallBytes else { return false }
    peakBytes = bytes
    return true
  }

  /// Whether connections must be closed.
  package var isOver: Bool { bytes > bytesMax }

  /// Whether enough was freed, once `isOver` was true. Some space is freed in addition, so that the
  /// next byte doesn't close another connection.
  private var isRelieved: Bool { bytes <= bytesMax - bytesMax / 8 }

  /// Whether connections that hold much must not get new calls.
  var isTight: Bool { bytes > bytesMax - bytesMax / 4 }

  /// Whether a connection holds so much that it gets no new calls while memory is short.
  func isMuch(_ bytes: Int) -> Bool { bytes > bytesMax / 16 }

  // MARK: - Relief

  /// A port whose connections are charged here.
  ///
  /// - Parameter offenders: those of its connections that might be ended.
  package func join(_ offenders: @escaping () -> MemoryOffenders) { ports.append(offenders) }

  /// Ends connections until what clients hold is within its bounds again.
  ///
  /// - Parameter grown: the one that has just come to hold more.
  package func relieve(after grown: any MemoryHolder) {
    if grown.charge.bytes > connectionBytesMax { grown.endForMemory() }
    guard isOver else { return }
    while !isRelieved, let worst = worstOffender() {
      let before = bytes
      worst.endForMemory()
      guard bytes < before else { return }
    }
  }

  /// The connection that holds the most. Where most of the memory has been held since the last
  /// sweep, it is the one that has held the most of it all the time: many small requests that stand
  /// still must not push out a large one that is on its way. O(connections).
  private func worstOffender() -> (any MemoryHolder)? {
    var all = MemoryOffenders()
    for offenders in ports { all.add(offenders()) }
    return all.heldThroughout > bytes / 2 ? all.longest : all.largest
  }
}
