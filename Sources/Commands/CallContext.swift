// The data about a call besides its request: one value, made where the call arrives and passed down
// to its execution. Parts of a fan-out and slices of a walk have the context of their call.
//
// A value of a few words; any thread.

import Users

@usableFromInline
package struct CallContext: Sendable {
  /// Who calls; nil: the node has no users, or a router has let the call in. Everything is allowed
  /// then.
  @usableFromInline package var principal: Principal?
  /// The database that the call is about; known once its request has been read.
  @usableFromInline package var database: UInt32 = 0
  /// The number of the call's span in the tracer of its loop; 0: the call isn't traced. It is in
  /// space that would be padding, so it needs no memory.
  @usableFromInline package var span: UInt32 = 0
  /// The time after which the call must not be executed, and ends with DEADLINE_EXCEEDED, in
  /// nanoseconds of the node's clock; 0: none.
  @usableFromInline package var deadlineNanos: UInt64 = 0
  /// The time after which it was in transit for too long to be executed (see LinkClock); 0: none.
  @usableFromInline package var staleNanos: UInt64 = 0
  /// The time of the last clock reading where the call arrived; 0: none, because the call has just
  /// arrived.
  @usableFromInline package var nowNanos: UInt64 = 0
  /// The wall clock of the tick, in milliseconds since 1970.
  @usableFromInline package var wallMillis: Int64 = 0

  package init() {}

  /// - Parameter deadlineNanos: nil: there is none.
  package init(
    _ principal: Principal? = nil, deadlineNanos: UInt64?, nowNanos: UInt64 = 0,
    wallMillis: Int64 = 0
  ) {
    self.principal = principal
    self.deadlineNanos = deadlineNanos ?? 0
    self.nowNanos = nowNanos
    self.wallMillis = wallMillis
  }

  @inlinable
  package var hasDeadline: Bool { deadlineNanos > 0 }

  /// Which keys and databases the caller may touch; nil: all.
  @inline(__always)
  package var rules: KeyRules? { principal?.rules }

  /// Whether it may still be executed, as far as time goes.
  @inlinable
  package var isInTime: Bool {
    (deadlineNanos == 0 || nowNanos < deadlineNanos) && (staleNanos == 0 || nowNanos < staleNanos)
  }
}

/// The wall clock of a loop, from a clock that never goes back: the system's wall clock is read
/// once a second at most, so that a tick costs one clock reading and not two. A shard uses only
/// this clock as its wall clock. It jumps when the system's clock jumps, up to a second later.
package final class WallClock {
  private static let askedAgainNanos: UInt64 = 1_000_000_000

  private let read: () -> Int64
  private var askedNanos: UInt64 = 0
  private var askedMillis: Int64 = 0

  /// - Parameter read: milliseconds since 1970.
  package init(_ read: @escaping () -> Int64) {
    self.read = read
  }

  package func millis(atNanos nowNanos: UInt64) -> Int64 {
    if askedNanos == 0 || nowNanos &- askedNanos >= Self.askedAgainNanos {
      askedNanos = nowNanos
      askedMillis = read()
    }
    return askedMillis + Int64((nowNanos &- askedNanos) / 1_000_000)
  }
}
