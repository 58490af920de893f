// What a node has counted since its start, for Stats. One event loop owns it; adding to a counter
// is an index and an addition.
//
// Names are those that a metrics page has: `<prefix>calls_total`, one `<prefix>calls_get_total` for
// each call, and so on. A shard's prefix is `ringstore_`, a router's `ringstore_router_`: a call
// through a router is counted by both.

import Commands
import RingstoreAPI
import StatusCodes

package struct NodeCounters: Sendable {
  package static let shardPrefix = "ringstore_"
  package static let routerPrefix = "ringstore_router_"

  private var counts = [UInt64](repeating: 0, count: CallNumbers.places)
  private var errors: UInt64 = 0
  private var errorsByKind: [CallErrorKind: UInt64] = [:]

  package init() {}

  /// Counts a call, successful or not.
  ///
  /// - Parameter method: a number of `CommandID`, or an `InternalMethod`; others are not counted.
  @inline(__always)
  package mutating func called(_ method: UInt32) {
    if let place = CallNumbers.place(of: Int(method)) { counts[place] &+= 1 }
  }

  /// Counts a call, or a slice, that failed.
  @inline(never)
  package mutating func failed(_ error: CallError) {
    errors &+= 1
    errorsByKind[CallErrorKind(error), default: 0] &+= 1
  }

  /// Errors by their reason and code. There are no more kinds than reasons and codes.
  package var errorCounts: [CallErrorKind: UInt64] { errorsByKind }

  /// How often a call was counted.
  ///
  /// - Parameter method: as for `called`.
  package func count(of method: Int) -> UInt64 {
    CallNumbers.place(of: method).map { counts[$0] } ?? 0
  }

  /// The counters by name, always the same names. O(calls of the table).
  ///
  /// - Parameter prefix: `shardPrefix` or `routerPrefix`.
  package func entries(prefix: String) -> [String: Int64] {
    var entries: [String: Int64] = [:]
    var calls: UInt64 = 0
    for command in CommandTable.all {
      let count = CallNumbers.place(of: command.id.rawValue).map { counts[$0] } ?? 0
      calls &+= count
      entries["\(prefix)calls_\(command.name.lowercased())_total"] = Int64(clamping: count)
    }
    entries["\(prefix)calls_total"] = Int64(clamping: calls)
    entries["\(prefix)errors_total"] = Int64(clamping: errors)
    // A router executes no slices.
    if prefix == Self.shardPrefix {
      var slices: UInt64 = 0
      for method in InternalMethod.allCases { slices &+= counts[Int(method.rawValue)] }
      entries["\(prefix)slices_total"] = Int64(clamping: slices)
    }
    return entries
  }
}

/// The key that distinguishes errors in counters.
package struct CallErrorKind: Hashable, Sendable {
  package let reason: ErrorReason?
  package let code: StatusCode

  init(_ error: CallError) {
    reason = error.reason
    code = error.code
  }
}
