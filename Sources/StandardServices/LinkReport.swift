// What a router tells of one link, for channelz. A value; any thread.

import RingstoreAPI

package struct LinkReport: Sendable {
  package typealias State = GRPCChannelz.ChannelConnectivityState.State

  /// "router loop 0, shard a".
  package let name: String
  package let target: String
  package let state: State

  package init(name: String, target: String, state: State) {
    self.name = name
    self.target = target
    self.state = state
  }
}
