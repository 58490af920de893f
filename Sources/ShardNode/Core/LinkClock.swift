// A shard's clock for its routers, and the maximum age of a frame.
//
// Data of a connection may be delayed for any time: by a full buffer, a proxy, packet loss, a
// suspended shard. Meanwhile its router has abandoned it and reported unknown outcomes to its
// clients. So a shard sends its clock to each router repeatedly; a router puts the newest value
// into every frame, and calls are executed only within `LinkProtocol.callAgeMillisMax` of that. A
// router can't have a value before it was sent, so no call is executed later than this time after
// it was sent. Deadlines use the same clock, so they don't start again on arrival.

import Commands
import NodeCore
import RingstoreAPI

extension ShardCore {
  /// The clock for routers, in milliseconds; never 0.
  var clockMillis: UInt64 { (clock() &- startedNanos) / 1_000_000 &+ 1 }

  /// Sends the clock to each router, closes the links on which nothing has arrived for too long,
  /// and looks whether the disk stands. Call it every `LinkProtocol.clockIntervalNanos` while
  /// `needsWatch`, with a poll of the sockets between two calls.
  package func watchLinks() {
    peers.noteLook()
    // Links that end meanwhile are removed from the core's list.
    let links = peers
    links.watch(clockMillis: clockMillis)
    log?.watch()
  }

  /// Whether there are links, or were until lately, or the disk has something to do.
  package var needsWatch: Bool { peers.needLooks || awaitsDisk }

  @inline(__always)
  package var awaitsDisk: Bool { log?.awaitsDisk == true }
}

extension ShardCore {
  /// A time of the clock for routers, in nanoseconds of the core's clock: the end of that
  /// millisecond.
  @inline(__always)
  func nanos(ofMillis millis: UInt64) -> UInt64 {
    let (nanos, overflows) = millis.multipliedReportingOverflow(by: 1_000_000)
    return overflows ? .max : startedNanos &+ nanos
  }

  /// The reverse; 0 means none.
  func millis(ofNanos nanos: UInt64) -> UInt64 {
    nanos == 0 ? 0 : (nanos &- startedNanos) / 1_000_000
  }

  /// What all calls of a frame have in common.
  ///
  /// - Parameter heardMillis: the value in the frame.
  func frameContext(heardMillis: UInt64) -> CallContext {
    var context = context(nowNanos: clock())
    context.staleNanos = nanos(ofMillis: heardMillis &+ LinkProtocol.callAgeMillisMax)
    return context
  }
}

extension CallError {
  /// A call that was delayed on its way from its router. It was not executed.
  static func tooLate(_ shard: String) -> CallError {
    .shardUnavailable(
      shard,
      "the call took more than \(LinkProtocol.callAgeMillisMax / 1_000) seconds to get there, and "
        + "was not executed")
  }
}
