// Calls on a router from other threads of its process. Any thread.

import Front
import NIOCore
import NodeCore

extension RouterServer {
  /// Calls on its first event loop; the others would give the same replies.
  package var calls: NodeCalls {
    let service = services[0]
    return NodeCalls(on: service.eventLoop, of: nodeLoops) {
      let front: Front = service.value.front
      return (front, front.authorizer)
    }
  }
}
