// What happened in a run: a digest of all of it, to tell whether two runs are the same, and the
// last events as a text for people.
//
// Owns the last events. One thread. Events are numbers; they become text only when a run fails.

struct SimulationTrace {
  enum Kind: UInt8 {
    case invoked, ended, gaveUp, unread
    /// A frame that tells nothing but the shard's clock. Not kept for people: in a quiet cluster
    /// there would soon be nothing else.
    case clock
    case connecting, connected, refused, lost, dropped, frameToShard, frameToRouter, executed
    case hello, fenced, crashed, restarted, stalled, resumed, draining, slowed, ready, closed
  }

  struct Event {
    let timeNanos: UInt64
    let kind: Kind
    let words: (UInt64, UInt64, UInt64, UInt64)
  }

  /// Events kept for people.
  static let keptMax = 100

  /// Depends on every event and its time.
  private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  private(set) var count = 0
  private var events: [Event] = []
  /// How many events were kept for people, the overwritten ones among them.
  private var keptCount = 0
  /// Nothing more is kept for people: only the digest grows.
  private var isFrozen = false

  mutating func add(
    _ timeNanos: UInt64, _ kind: Kind, _ first: UInt64, _ second: UInt64, _ third: UInt64,
    _ fourth: UInt64
  ) {
    mix(timeNanos)
    mix(UInt64(kind.rawValue))
    mix(first)
    mix(second)
    mix(third)
    mix(fourth)
    count += 1
    guard !isFrozen, kind != .clock else { return }
    let event = Event(timeNanos: timeNanos, kind: kind, words: (first, second, third, fourth))
    if events.count < Self.keptMax {
      events.append(event)
    } else {
      events[keptCount % Self.keptMax] = event
    }
    keptCount += 1
  }

  /// What led up to this moment is what people want to see; what follows is not kept.
  mutating func freeze() {
    isFrozen = true
  }

  /// The digest of bytes, to be put into an event: FNV-1a.
  static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return digest
  }

  private mutating func mix(_ word: UInt64) {
    digest = (digest ^ word) &* 0x9e37_79b9_7f4a_7c15
    digest ^= digest >> 29
  }

  /// The last events before it was frozen, one line each.
  ///
  /// - Parameter callText: what a call, by its number, asked for.
  func tail(callText: (Int) -> String) -> [String] {
    (max(0, keptCount - Self.keptMax)..<keptCount).map {
      text(events[$0 % Self.keptMax], callText)
    }
  }

  private func text(_ event: Event, _ callText: (Int) -> String) -> String {
    let micros = event.timeNanos / 1000
    let fraction = String(micros % 1000)
    let padded = String(repeating: "0", count: 3 - fraction.count) + fraction
    return "\(micros / 1000).\(padded) ms  " + sentence(event.kind, event.words, callText)
  }

  private func sentence(
    _ kind: Kind, _ words: (UInt64, UInt64, UInt64, UInt64), _ callText: (Int) -> String
  ) -> String {
    let link = "router \(words.0) shard \(words.1) generation \(words.2)"
    switch kind {
    case .invoked: return "call \(words.0) begins: \(callText(Int(words.0)))"
    case .ended: return "call \(words.0) ends: \(callText(Int(words.0)))"
    case .gaveUp: return "call \(words.0) is given up by its client"
    case .clock: return "\(link): the shard's clock, in \(words.3) bytes"
    case .unread: return "call \(words.0) lies unread, its connection is held"
    case .connecting: return "\(link): dials"
    case .connected: return "\(link): connected"
    case .refused: return "\(link): connect refused"
    case .lost: return "\(link): the router learns that it is gone"
    case .closed: return "\(link): the router closes it"
    case .dropped: return "\(link): breaks"
    case .frameToShard: return "\(link): frame of \(words.3) bytes leaves for the shard"
    case .frameToRouter: return "\(link): frame of \(words.3) bytes leaves for the router"
    case .executed: return "\(link): the shard executes the call with id \(words.3)"
    case .hello: return "\(link): Hello accepted"
    case .fenced: return "\(link): the shard ends it"
    case .crashed: return "shard \(words.0) is gone, and its memory"
    case .restarted: return "shard \(words.0) is back, incarnation \(words.1)"
    case .stalled: return "shard \(words.0) stops"
    case .resumed: return "shard \(words.0) continues"
    case .draining: return "shard \(words.0) drains"
    case .slowed: return "router \(words.0) shard \(words.1): slow from now on"
    case .ready: return "router \(words.0) shard \(words.1): ready"
    }
  }
}
