// A router's report on one link, for channelz. A value; any thread.

import GRPC
import RingstoreAPI

package struct LinkReport: Sendable {
  package typealias State = GRPCChannelz.ChannelConnectivityState.State

  /// "router loop 0, shard a".
  package let name: String
  package let target: String
  package let state: State
  /// Calls on keys and parts of calls that were put on the link.
  package let calls: CallCounts
  /// How long ago the last of them was sent; nil: there was none.
  package let sinceLastCallNanos: UInt64?

  package init(
    name: String, target: String, state: State, calls: CallCounts, sinceLastCallNanos: UInt64?
  ) {
    self.name = name
    self.target = target
    self.state = state
    self.calls = calls
    self.sinceLastCallNanos = sinceLastCallNanos
  }
}
