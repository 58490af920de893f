// The latest slow and the latest large calls of an event loop: two rings of a fixed size, and the
// thresholds. Values; owned by the loop that notes calls, copied for readers.
//
// The form in which a key is kept is decided when the call is noted, so a key that must not be
// shown is not in this memory either.

/// One call, or one tick, that was slow or large.
package struct SlowCall: Sendable, Hashable {
  package enum Kind: String, Sendable {
    /// One call.
    case call
    /// All that a shard's loop did between a read and the replies: the calls of a tick.
    case tick
  }

  package var kind: Kind
  /// Numbers the entries of a loop.
  package fileprivate(set) var number: UInt64 = 0
  /// When it ended, in milliseconds since 1970.
  package var unixMillis: Int64 = 0
  /// Of the command, in tables of calls; of a tick, the command that it had the most calls of.
  package var place: Int
  /// 0: it isn't known.
  package var durationNanos: UInt64
  package var isError: Bool
  /// Calls of the tick.
  package var calls = 1
  package var requestBytes = 0
  package var replyBytes = 0
  package var slot: Int?
  /// The shard that a router has called.
  package var shard: String?
  package var database: Int?
  package var key: SlowKey?

  package init(
    kind: Kind = .call, place: Int, durationNanos: UInt64, isError: Bool, calls: Int = 1
  ) {
    self.kind = kind
    self.place = place
    self.durationNanos = durationNanos
    self.isError = isError
    self.calls = calls
  }
}

/// What is kept of a call's key.
package enum SlowKey: Sendable, Hashable {
  /// The beginning of its SHA-256, in hexadecimal digits: to compare with a known key.
  case digest(String)
  /// The key, or its beginning.
  case bytes([UInt8])
}

/// How a node keeps keys in its slow log.
package enum SlowKeyForm: String, Sendable, CaseIterable {
  case digest, key, none

  /// Of a longer key the beginning is kept.
  package static let keyBytesMax = 128
}

package struct SlowLog: Sendable {
  /// Entries of each ring.
  package static let entriesMax = 128

  /// The duration and size from which calls are noted; `.max`: never.
  package let slowNanos: UInt64
  package let largeBytes: Int
  package let keyForm: SlowKeyForm
  package private(set) var slow = SlowRing()
  package private(set) var large = SlowRing()
  /// Milliseconds since 1970; noted with each entry.
  private let wallMillis: (@Sendable () -> Int64)?

  package init(
    slowNanos: UInt64 = .max, largeBytes: Int = .max, keyForm: SlowKeyForm = .digest,
    wallMillis: (@Sendable () -> Int64)? = nil
  ) {
    self.slowNanos = slowNanos
    self.largeBytes = largeBytes
    self.keyForm = keyForm
    self.wallMillis = wallMillis
  }

  @inline(__always)
  package func isSlow(_ nanos: UInt64) -> Bool { nanos >= slowNanos }

  @inline(__always)
  package func isLarge(_ bytes: Int) -> Bool { bytes >= largeBytes }

  /// Notes a call if it is slow or large; one that is both is in both rings.
  package mutating func note(_ call: SlowCall) {
    let isSlow = isSlow(call.durationNanos)
    let isLarge = isLarge(max(call.requestBytes, call.replyBytes))
    guard isSlow || isLarge else { return }
    var call = call
    call.unixMillis = wallMillis?() ?? 0
    if isSlow { slow.add(call) }
    if isLarge { large.add(call) }
  }

  /// Forgets the calls; how many there ever were stays.
  package mutating func reset() {
    slow.reset()
    large.reset()
  }
}

/// The latest entries; a new one replaces the oldest.
package struct SlowRing: Sendable {
  private var entries: [SlowCall] = []
  /// The place of the oldest, once there are `entriesMax`.
  private var oldest = 0
  /// Entries ever noted.
  package private(set) var total: UInt64 = 0

  package init() {}

  fileprivate mutating func add(_ call: SlowCall) {
    var call = call
    call.number = total
    total &+= 1
    guard entries.count == SlowLog.entriesMax else { return entries.append(call) }
    entries[oldest] = call
    oldest = (oldest + 1) % SlowLog.entriesMax
  }

  fileprivate mutating func reset() {
    entries = []
    oldest = 0
  }

  /// Newest first.
  package var latest: [SlowCall] { entries.sorted { $0.number > $1.number } }
}
