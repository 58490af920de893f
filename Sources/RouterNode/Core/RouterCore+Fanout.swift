// Calls that are made of parts: where they start, send and end.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension RouterCore {
  /// Starts an operation. Returns its handle while it is under way, or nil where it has ended.
  package func start(_ operation: any FanoutOperation, caller: Caller) -> UInt64? {
    operation.handle = nextOperation
    nextOperation += 1
    operations[operation.handle] = (operation, caller)
    operation.start(on: self)
    settle()
    return operations[operation.handle] == nil ? nil : operation.handle
  }

  /// The caller went away. Parts under way end by themselves; no further ones are sent.
  package func cancelOperation(_ handle: UInt64) {
    operations[handle] = nil
  }

  package func owner(of key: UnsafeRawBufferPointer) -> Int {
    map.owner(ofSlot: Slots.slot(of: key))
  }

  package func send(_ part: Part, request: UnsafeRawBufferPointer) {
    let call = PendingCall<Caller>(
      target: .part(part.operation, tag: part.tag), shard: part.shard, isWrite: part.isWrite,
      order: nil, bytes: request.count)
    do throws(CallError) {
      _ = try enqueue(call, method: part.method, request: request, timeoutMillis: 0)
    } catch {
      failedParts.append((part, error))
    }
  }

  package func emit(_ operation: any FanoutOperation, message: ByteBuffer) {}

  package func isWritable(_ operation: any FanoutOperation) -> Bool { true }

  package func finishStream(_ operation: any FanoutOperation) {}

  package func finish(_ operation: any FanoutOperation, response: ByteBuffer) {
    guard let ended = operations.removeValue(forKey: operation.handle) else { return }
    response.withUnsafeReadableBytes { driver.answer(ended.caller, response: $0) }
  }

  package func finish(_ operation: any FanoutOperation, error: CallError) {
    guard let ended = operations.removeValue(forKey: operation.handle) else { return }
    driver.fail(ended.caller, error: error)
  }
}
