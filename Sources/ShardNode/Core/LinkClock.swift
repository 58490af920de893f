// A shard's clock as its routers know it, and how old a frame may be.
//
// A connection keeps what it carries for as long as something on the way holds it: a full buffer, a
// proxy, a network that loses packets, a shard that was stopped. Meanwhile its router has given it
// up and told its clients that outcomes are unknown. So a shard tells each router its clock again
// and again; a router names in every frame what it heard last, and calls are executed only within
// `LinkProtocol.callAgeMillisMax` of that. A router can't hear a clock before it is told, so no
// call is executed later than so long after it was sent. Deadlines are told on the same clock, so
// they don't begin anew on arrival either.

import Commands
import NodeCore
import RingstoreAPI

extension ShardCore {
  /// The clock that routers are told, in milliseconds; never 0.
  var clockMillis: UInt64 { (clock() &- startedNanos) / 1_000_000 &+ 1 }

  /// Tells each router the clock, and closes the links on which nothing has come for too long. To
  /// be called every `LinkProtocol.clockIntervalNanos` while `linksNeedLooks`, with a look at the
  /// sockets between two calls.
  package func watchLinks() {
    peers.noteLook()
    // Links that end meanwhile leave the core's own list.
    let links = peers
    links.watch(clockMillis: clockMillis)
    log?.watch()
  }

  /// Whether there are links, or were until lately.
  package var linksNeedLooks: Bool { peers.needLooks }
}

extension ShardCore {
  /// A moment of the clock that routers are told, in nanoseconds of the core's own: the end of that
  /// millisecond.
  @inline(__always)
  func nanos(ofMillis millis: UInt64) -> UInt64 {
    let (nanos, overflows) = millis.multipliedReportingOverflow(by: 1_000_000)
    return overflows ? .max : startedNanos &+ nanos
  }

  /// The reverse; 0 stands for none.
  func millis(ofNanos nanos: UInt64) -> UInt64 {
    nanos == 0 ? 0 : (nanos &- startedNanos) / 1_000_000
  }

  /// What all calls of a frame have in common.
  ///
  /// - Parameter heardMillis: what the frame names.
  func frameContext(heardMillis: UInt64) -> CallContext {
    var context = context(nowNanos: clock())
    context.staleNanos = nanos(ofMillis: heardMillis &+ LinkProtocol.callAgeMillisMax)
    return context
  }
}

extension CallError {
  /// A call that was held on its way from its router. It was not executed.
  static func tooLate(_ shard: String) -> CallError {
    .shardUnavailable(
      shard,
      "the call took more than \(LinkProtocol.callAgeMillisMax / 1_000) seconds to get there, and "
        + "was not executed")
  }
}
