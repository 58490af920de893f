// A shard's own fan-outs: the parts of a many-key or every-shard call that a client made to the
// shard itself. They run on this shard, a few at a time, so that other calls get their turn.
//
// Lives on the shard's event loop. `later` runs a closure in a later turn of that loop.

import NIOCore
import NodeCore
import RingstoreAPI

package final class LocalParts: PartPort {
  /// One-key parts executed in a turn. A slice of an every-shard call has a turn for itself.
  package static let partsPerTurn = 256

  package var limits: Limits { core.limits }
  package var shardIDs: [String] { [core.id] }

  private let core: ShardCore
  private let later: (@escaping () -> Void) -> Void
  private var queue = CircularBuffer<(part: Part, request: ByteBuffer)>()
  private var operations: [UInt64: (CallError?, ByteBuffer) -> Void] = [:]
  private var nextHandle: UInt64 = 1
  private var isScheduled = false

  package init(core: ShardCore, later: @escaping (@escaping () -> Void) -> Void) {
    self.core = core
    self.later = later
  }

  /// Starts an operation; `completion` gets the error or the response, from inside this call or
  /// in a later turn. Returns the operation's handle.
  package func start(
    _ operation: any FanoutOperation, completion: @escaping (CallError?, ByteBuffer) -> Void
  ) -> UInt64 {
    operation.handle = nextHandle
    nextHandle += 1
    operations[operation.handle] = completion
    operation.start(on: self)
    return operation.handle
  }

  /// The caller went away: what has not been executed of the operation will not be.
  package func cancel(_ handle: UInt64) {
    operations[handle] = nil
  }

  package func owner(of key: UnsafeRawBufferPointer) -> Int { 0 }

  package func send(_ part: Part, request: UnsafeRawBufferPointer) {
    queue.append((part, ByteBuffer(bytes: request)))
    schedule()
  }

  package func emit(_ operation: any FanoutOperation, message: ByteBuffer) {}

  package func isWritable(_ operation: any FanoutOperation) -> Bool { true }

  package func finishStream(_ operation: any FanoutOperation) {}

  package func finish(_ operation: any FanoutOperation, response: ByteBuffer) {
    operations.removeValue(forKey: operation.handle)?(nil, response)
  }

  package func finish(_ operation: any FanoutOperation, error: CallError) {
    operations.removeValue(forKey: operation.handle)?(error, ByteBuffer())
  }

  private func schedule() {
    guard !isScheduled, !queue.isEmpty else { return }
    isScheduled = true
    later { [self] in
      isScheduled = false
      runTurn()
      schedule()
    }
  }

  private func runTurn() {
    var response = ByteBuffer()
    for _ in 0..<Self.partsPerTurn {
      guard let (part, request) = queue.popFirst() else { return }
      guard operations[part.operation.handle] != nil else { continue }
      response.clear()
      do throws(CallError) {
        try request.withUnsafeReadableBytes { bytes throws(CallError) in
          try core.execute(part.method, bytes, into: &response)
        }
        response.withUnsafeReadableBytes {
          part.operation.part(part.tag, answered: $0, on: self)
        }
      } catch {
        part.operation.part(part.tag, failed: error, on: self)
      }
      if InternalMethod(rawValue: part.method) != nil { return }
    }
  }
}
