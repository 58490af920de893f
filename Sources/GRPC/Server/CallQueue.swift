// Calls of a connection that wait for something, in their order. A call that ends while it waits
// stays in the queue, and its object may serve a call of another connection by then. So check that
// a call taken from the queue still belongs to the connection. Event loop only.

import NIOCore

struct CallQueue {
  private var calls = CircularBuffer<ServerCall>(initialCapacity: 1)

  var isEmpty: Bool { calls.isEmpty }
  var count: Int { calls.count }
  var first: ServerCall? { calls.first }

  mutating func append(_ call: ServerCall) { calls.append(call) }
  mutating func popFirst() -> ServerCall? { calls.popFirst() }
  mutating func removeAll() { calls.removeAll() }
}
