// What the clients of a node make it hold, and its bound. One for each event loop, which has an
// equal share of the node's setting: loops share nothing, so the one that is over its share can end
// its own connections at once and needs no word with others. Connections are dealt out to the loops
// in turn, so the shares fill alike. Clients of all ports count (`join`). Lives on its loop.
//
// Counted are, for each connection: bytes of requests that the service has not taken, answers that
// the client has not taken (also those that only its socket doesn't take), and for gRPC a flat sum
// for each open stream, and large header lists.
//
// @exclusivity(unchecked) in this file: looked at by every flush, on the loop alone.

import LargeMemory

/// A connection that is charged for what its client makes the node hold.
package protocol MemoryHolder: SweptConnection {
  /// What the loop's memory is charged with, and the least of it since the last sweep.
  var chargedBytes: Int { get }
  var heldThroughout: Int { get }
  /// Ends the connection, or what there still is of it, for what it holds. It is charged with less
  /// when this returns.
  func endForMemory()
}

/// The connections of one port that might be ended.
package struct MemoryOffenders {
  /// The one that holds the most, and the one that has held the most since the last sweep.
  var largest: (any MemoryHolder)?
  var longest: (any MemoryHolder)?
  /// What all of them have held since then.
  var heldThroughout = 0

  package init() {}

  mutating func add(_ other: MemoryOffenders) {
    heldThroughout += other.heldThroughout
    if other.largest?.chargedBytes ?? 0 > largest?.chargedBytes ?? 0 { largest = other.largest }
    if other.longest?.heldThroughout ?? 0 > longest?.heldThroughout ?? 0 {
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
      found.heldThroughout += connection.heldThroughout
      if connection.chargedBytes > largest {
        largest = connection.chargedBytes
        found.largest = connection
      }
      if connection.heldThroughout > longest {
        longest = connection.heldThroughout
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
  /// What all connections hold.
  @exclusivity(unchecked) package private(set) var bytes = 0
  /// Most bytes that were held since so much was last freed that malloc was to give it back.
  @exclusivity(unchecked) private var peakBytes = 0
  private var ports: [() -> MemoryOffenders] = []

  /// After so many bytes were freed malloc is to give pages back to the system.
  static let fallBytes = 32 << 20

  /// A flat sum for a stream: its objects here and in the library.
  static let streamBytes = 2 << 10

  /// - Parameters:
  ///   - messageBytesMax: the longest message; a connection may hold a few of them.
  ///   - connectionBytesMax: most bytes of one connection; nil: what follows from the other two.
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

  /// Whether connections must be ended.
  package var isOver: Bool { bytes > bytesMax }

  /// Whether enough was freed, once `isOver` was true. Some room is made, so that the next byte
  /// isn't the next cut.
  private var isRelieved: Bool { bytes <= bytesMax - bytesMax / 8 }

  /// Whether connections that hold much should get nothing new.
  var isTight: Bool { bytes > bytesMax - bytesMax / 4 }

  /// Whether a connection holds so much that it gets nothing new while memory is tight.
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
    if grown.chargedBytes > connectionBytesMax { grown.endForMemory() }
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
