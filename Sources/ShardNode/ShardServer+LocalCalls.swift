// Calls on a shard from other threads of its process. Any thread.

import Front
import NIOCore
import NodeCore

extension ShardServer {
  package var calls: NodeCalls {
    let service = self.service
    return NodeCalls(on: service.eventLoop, of: loops) {
      let front: Front = service.value.front
      return (front, front.authorizer)
    }
  }
}
